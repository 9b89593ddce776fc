//! The edge as chargers see it: a real Postgres, real sockets.

mod commands;
mod ends;
mod frames;
mod opening;
mod outage;
mod reconnecting;
mod support;
mod transactions;
mod unreadable;
