//! Apache Kafka for tests and developers: fetched once, started on free ports of 127.0.0.1, stopped with its owner.
//!
//! It needs Java 17 or newer and, the first time, Maven, which fetches Kafka (about 45 MB) into a cache of the user's:
//! `$XDG_CACHE_HOME/coulomb/kafka-4.1.0` or `~/.cache/coulomb/kafka-4.1.0`. `COULOMB_KAFKA_LIBS` names a directory of
//! jars to use instead.
//!
//! One node, or three: then topics have three replicas, of which two must have a record before it is acknowledged.
//! Every node is broker and controller. Nodes are numbered from 1.
//!
//! The layout of the directory (`Options::directory`):
//!
//! | name | what it is |
//! |---|---|
//! | `lock` | held by the owner as long as it lives; its pid is inside |
//! | `cluster` | the cluster's id and its ports: a restart has the same |
//! | `tls/` | a certificate authority of its own, with the certificates of server and client; only with `secured` |
//! | `pids/node-1` | its process, when that began, and its owner |
//! | `node-1/server.properties` | written anew at every start |
//! | `node-1/data/` | the node's records and metadata |
//! | `node-1/formatted` | there when `data/` is whole |
//! | `node-1/server.log` | what it said |
//!
//! No node outlives its owner for long: a guardian ends them when the owner is gone ([`owned_process`]). Where even the
//! guardian was killed, the next start in the same directory ends what was left.

mod error;
mod java;
mod kafka;
mod layout;
mod libraries;
mod node;
mod properties;
mod secured;
pub mod testing;

pub use error::Error;
pub use kafka::{EmbeddedKafka, Options};
pub use libraries::VERSION;
pub use owned_process::State as NodeState;
pub use secured::Secured;
