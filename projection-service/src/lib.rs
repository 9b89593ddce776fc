//! Runs the folds of `read-models`: batches of events to rows and checkpoints in one transaction, under leases.
//!
//! [`start`] begins the work inside a process; [`run`] is the service alone, with its admin port. [`Views`] is the handle
//! for readers in the same process. [`rebuild`] makes read models anew.

mod config;
mod keeping;
mod lag;
mod metrics;
pub mod parked;
pub mod rebuild;
mod service;
pub mod verify;
mod views;
mod worker;

pub use config::Config;
pub use service::{Error, run, start};
pub use views::Views;
