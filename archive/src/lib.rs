//! The history as Parquet files: for analysts, with a typed column for every member of an event that has a type
//! ([`TableWriter`]); and ranges of the log that move to object storage, with its own columns ([`part`], [`writer`]).
//!
//! What this needs to be built is needed for nothing else: the program has it behind its feature `archive`.

mod buffer;
pub mod check;
mod decimal;
pub mod location;
pub mod manifest;
pub mod part;
mod reader;
mod table;
pub mod writer;

pub use decimal::{DECIMAL_PRECISION, DECIMAL_SCALE, holds};
pub use location::Location;
pub use reader::Reader;
pub use table::{Column, TableWriter};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the Parquet file can't be written")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A row is of another table, or one of its cells of another column.
    #[error("column {column} holds {holds}, and can't take {given}")]
    Misplaced { column: String, holds: String, given: String },
}
