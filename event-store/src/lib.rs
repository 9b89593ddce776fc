//! The log: append, load, follow, leases. The only SQL about events is here and in `schema/migrations`.
//!
//! [`EventStore`] is the handle. Commands use [`Session`]; consumers of the log use the traits of [`feed`].

pub mod append;
pub mod archived;
pub mod archiving;
pub mod bulk;
mod cache;
mod caretaker;
mod database;
pub mod dead_letters;
pub mod feed;
pub mod kafka;
mod lane;
pub mod leases;
pub mod lineage;
pub mod load;
pub mod options;
mod partitions;
pub mod past;
mod ranges;
pub mod read;
pub mod refeed;
mod row;
mod seal;
pub mod session;
mod states;
mod store;
pub mod stored;
mod tail;

pub use append::{Append, Appended, CommandKey, Expected, Guard, GuardCondition, Write};
pub use archived::{Archive, ArchiveError, ArchivedRange};
pub use cache::Loaded;
pub use load::stream_of;
pub use options::{StoreOptions, Wake};
pub use partitions::PartitionSet;
pub use session::Session;
pub use store::{Answered, ConnectError, EventStore};
