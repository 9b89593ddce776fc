//! Read models: their rows, and the feed of their changes from projection-service to realtime-api.
//!
//! A row is written by events of one partition key only; what spans keys is joined when it is asked for. It carries the
//! generation and position of the event that last changed it. A deletion is a row that says `removed`.

mod feed;
mod row;

pub use feed::{Error, ViewBatch, ViewFeed};
pub use row::{
    ChargePointRow, CommandRow, DriverRow, MeterValuesRow, Model, PlanRow, Row, RowChange, SessionCost, SessionRow,
    SiteRow, TariffRow, TokenRow,
};
