//! The whole program, from the outside: what a charger, a driver and an operator see, and what is in the log afterwards.
//!
//! Most tests share one running program (`tests::shared`), each with chargers and drivers of its own.

mod analytics;
mod appenders;
mod archive;
mod clash;
mod demo;
mod deploy;
mod described;
mod edges;
mod erased_sockets;
mod erasure;
mod flows;
mod history;
mod independent;
mod interrupted;
mod kafka;
mod keys;
mod kill;
mod killed_rebuild;
mod late_start;
mod long_stop;
mod nodes;
mod parked;
mod personal_data;
mod quirks;
mod rebuild;
mod recovery;
mod refresh;
mod replay;
mod retries;
mod roles;
mod rolling;
mod stale_status;
mod trace;
mod unknown_chargers;
mod unreadable;
