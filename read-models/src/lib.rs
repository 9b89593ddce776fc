//! Read models: pure folds from events to rows, one file each. No IO, no clock.
//!
//! Each row is written by events of one partition key only, in the order of their positions; so what comes out does not
//! depend on how work is shared out. [`fold`] does one event, [`fold_all`] a whole log.

mod charge_points;
mod commands;
mod dispatch;
mod drivers;
mod error;
mod fact;
mod fold_all;
mod folds;
mod meter_values;
mod plans;
mod read_model;
mod selection;
mod sessions;
mod sites;
mod tariffs;
#[cfg(feature = "testing")]
pub mod testing;
mod tokens;

pub use charge_points::ChargePoints;
pub use commands::Commands;
pub use dispatch::{FromRow, Touch, fold, retention, touched, version};
pub use drivers::Drivers;
pub use error::FoldError;
pub use fact::Fact;
pub use fold_all::{Rows, fold_all};
pub use folds::{Folds, ModelFold, change};
pub use meter_values::MeterValues;
pub use plans::Plans;
pub use read_model::ReadModel;
pub use selection::{aggregates, may_touch, passed_over};
pub use sessions::Sessions;
pub use sites::Sites;
pub use tariffs::Tariffs;
pub use tokens::Tokens;
