//! The projections against a real Postgres.

mod admin;
mod feeds;
mod first_state;
mod folds;
mod kills;
mod lost;
mod poison;
mod proof;
mod property;
mod queries;
mod rebuild;
mod support;
mod unknown;
