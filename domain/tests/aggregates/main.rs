//! Every aggregate as tables: given these events, when this command, then these events or this refusal.

mod charge_point;
mod claims;
mod disclosure;
mod log;
mod people;
mod places_and_prices;
mod read_model;
mod session;
mod session_price;
mod station_command;
mod support;
