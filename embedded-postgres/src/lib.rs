//! A private Postgres: started from the installed binaries, stopped with its owner, found again at the next start.
//!
//! The layout of the directory (`Options::data_dir`):
//!
//! | name | what it is |
//! |---|---|
//! | `lock` | held by the owner as long as it lives; its pid is inside |
//! | `data/` | the cluster, owned by the account that the server runs as |
//! | `socket/` | the server's unix socket |
//! | `password` | of the one role, mode 600 |
//! | `port` | the port that was free the last time |
//! | `pids/` | the server's process, for its guardian |
//! | `server.log` | what the server said since it was started |
//! | `location` | only where the account can't reach this directory: where `data/`, `socket/` and `pids/` are instead |
//!
//! Postgres refuses to run as root, so a root process starts it as the user `postgres`, or `nobody`.
//!
//! The server never outlives its owner for long: a guardian stops it when the owner is gone ([`owned_process`]). Where even
//! the guardian was killed, the next start in the same directory stops what was left.
//!
//! A server can also be a standby of another one (`start_standby`, `promote`), and stand behind a PgBouncer: for tests,
//! and for a whole cluster on one machine.

mod account;
mod address;
mod cluster;
mod directory;
mod error;
mod installation;
mod launch;
mod leftover;
mod pgbouncer;
mod server;
mod settings;
mod standby;
pub mod testing;

pub use error::Error;
pub use installation::{Installation, VERSION_MIN};
pub use pgbouncer::{PgBouncer, PgBouncerOptions};
pub use server::{EmbeddedPostgres, Options};
