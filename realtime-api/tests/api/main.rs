//! The service over real sockets, on real tables, with a view feed driven by hand.

mod as_of;
mod authentication;
mod commands;
mod convergence;
mod drain;
mod memory;
mod misuse;
mod openings;
mod pages;
mod queries;
mod support;
mod topics;
