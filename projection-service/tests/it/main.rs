//! The projections against a real Postgres.

mod admin;
mod feeds;
mod kills;
mod poison;
mod queries;
mod support;
