//! Every contract between processes: migrations, the event catalogue, the records of the log, rows, the wire.

pub mod analytics;
pub mod api;
pub mod catalogue;
pub mod columns;
pub mod digest;
pub mod golden;
pub mod log;
pub mod metadata;
pub mod migrations;
pub mod partition;
pub mod record;
pub mod reference;
pub mod stored;
pub mod topics;
pub mod upcast;
pub mod view;

pub use migrations::MIGRATOR;
