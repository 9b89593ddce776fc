mod edges;
mod processes;
mod runners;
mod world;

pub(super) use world::transaction_started;
