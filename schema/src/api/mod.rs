//! The types of the wire: what clients send and get, the source of the OpenAPI document.

pub mod account;
pub mod command;
pub mod document;
pub mod person;
pub mod query;
pub mod socket;
pub mod target;
pub mod tariff;
