//! The edge as chargers see it.

mod support;
mod transactions;
