//! The whole cluster on one machine, for developers (`cargo xtask cluster`) and tests: Kafka, a Postgres with a replica,
//! PgBouncer, nginx, and any number of processes of each role of the program, all real.
//!
//! ```no_run
//! # async fn example(program: std::path::PathBuf) -> Result<(), cluster::Error> {
//! use cluster::{Cluster, Options, Part};
//!
//! let options = Options { edges: 3, relays: 2, ..Options::new("/tmp/cluster", program) };
//! let cluster = Cluster::launch(options).await?;
//! let http = cluster.http();                     // nginx: commands, queries, WebSocket
//! cluster.kill(Part::Edge(1)).await?;            // -9
//! cluster.freeze(Part::Relay(2)).await?;         // SIGSTOP
//! cluster.thaw(Part::Relay(2)).await?;           // SIGCONT
//! cluster.restart(Part::Edge(1)).await?;         // the same ports, the same data; answers when it is ready
//! cluster.kill(cluster.primary().await).await?;
//! cluster.promote().await?;                      // the replica, which is the primary now
//! cluster.stop().await?;
//! # Ok(()) }
//! ```
//!
//! Parts have names: `edge-1`, `relay-2`, `kafka-1`, `postgres-2`, `nginx`. Every part that listens keeps its ports from one
//! start to the next, and across a kill.
//!
//! The layout of the directory:
//!
//! | name | what it is |
//! |---|---|
//! | `cluster.json` | all addresses and logins, for scripts; there while the cluster runs |
//! | `ports` | which part has which port |
//! | `secrets.json` | the operator's password and the master key |
//! | `logs/<part>.log` | what a process said |
//! | `pids/<part>` | its process, when that began, and its owner |
//! | `kafka/`, `postgres-1/`, `postgres-2/`, `pgbouncer/`, `nginx/`, `traffic/` | what they keep |
//! | `primary` | which of the two Postgres is the primary |
//!
//! No process outlives its owner: a guardian ends what is left when the owner is gone ([`owned_process`]).

mod cluster;
mod database;
mod disturb;
mod error;
mod launch;
mod memory;
mod nginx;
mod options;
mod part;
mod ports;
mod process;
mod published;
mod roles;
mod secrets;

pub use cluster::Cluster;
pub use database::Replication;
pub use error::Error;
pub use memory::Memory;
pub use options::{Options, Traffic};
pub use owned_process::State;
pub use part::{NoSuchPart, Part};
pub use published::{Login, Published};
pub use roles::{NO_LIMITS, program};
