//! Connections to Postgres as it is found in the field: behind a pooler in transaction mode, on several hosts of which
//! one is the primary, with a replica for reads.
//!
//! Services use [`Pool`], [`Connection`] and [`Transaction`] and none of sqlx's own: what is run on those can be carried by
//! a pooler, whoever wrote it, and ends when the primary is another node. A test of this crate keeps it so.

mod begin;
mod connection;
mod follow;
mod handle;
mod hosts;
mod listener;
mod node;
mod standby;
mod statement;

pub use connection::{Connection, CopyIn, Transaction};
pub use follow::{Followed, Options, State, Unreachable, follow, pool_options, primary};
pub use handle::Pool;
pub use hosts::{Hosts, InvalidHosts};
pub use listener::Listener;
pub use node::{Replication, Seen};
pub use standby::follow_standby;
