//! Read models: their rows, how they are read, and the feed of their changes from projection-service to realtime-api.
//!
//! A row is written by events of one partition key only; what spans keys is joined when it is asked for. It carries the
//! generation and position of the event that last changed it. A deletion is a row that says `removed`.

mod boundaries;
mod error;
mod feed;
mod json;
mod progress;
mod query;
mod row;
pub mod store;
mod value;

pub use boundaries::Boundaries;
pub use error::Error;
pub use feed::{FeedStart, ViewBatch, ViewFeed, ViewFeeds};
pub use progress::{NotReached, Progress, Reached};
pub use query::{Column, Cursor, Order, PAGE_ROWS, PAGE_ROWS_MAX, Query};
pub use row::{
    ChargePointRow, CommandRow, DriverRow, MeterValuesRow, Model, PlanRow, Row, RowChange, SessionCost, SessionRow,
    SiteRow, TariffRow, TokenRow,
};
pub use store::{FeedOptions, Found, Page, Replica, TableFeed, TableFeeds, Version, ViewStore};
