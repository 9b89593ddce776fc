//! The log in a real Kafka.

#[allow(dead_code, reason = "shared with the tests of the log, which use all of it")]
#[path = "../log/support.rs"]
mod support;

mod commands;
mod dead_letters;
mod leaders;
mod outages;
mod relaying;
mod tail;
mod teller;
mod topic;
