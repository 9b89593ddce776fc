//! Commands and reports against a real Postgres.

mod people;
mod registering;
mod reported_commands;
mod reported_starts;
mod reported_stops;
mod starting;
mod stopping;
mod support;
mod tokens;
mod vault;
