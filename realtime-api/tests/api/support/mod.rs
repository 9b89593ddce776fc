mod client;
mod rows;
mod world;

pub use rows::{Point, charging, command, site, tariff};
pub use world::{World, limits};
