//! command-service as its clients meet it: over a socket, on a real database.

mod accounts;
mod commands;
mod idempotency;
mod limits;
mod network;
mod privacy;
mod refresh;
mod service;
