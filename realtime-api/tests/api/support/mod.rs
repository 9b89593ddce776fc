mod client;
mod rows;
mod world;

pub use client::Client;
pub use rows::{Point, charging, command, command_at, site, tariff};
pub use world::{World, limits};
