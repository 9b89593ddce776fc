//! The log against a real Postgres.

mod appending;
mod archives;
mod archiving;
mod contention;
mod failover;
mod following;
mod identity;
mod keys;
mod leasing;
mod lineage;
mod loading;
mod lost_connections;
mod ranges;
mod reference;
mod sessions;
mod support;
