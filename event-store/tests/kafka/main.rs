//! The log in a real Kafka.

#[allow(dead_code, reason = "shared with the tests of the log, which use all of it")]
#[path = "../log/support.rs"]
mod support;

mod behind;
mod commands;
mod dead_letters;
mod deleted;
mod ending;
mod foreign;
mod heard;
mod leaders;
mod lost_tails;
mod outages;
mod relaying;
mod secured;
mod shorter;
mod tail;
mod teller;
mod three;
mod topic;
