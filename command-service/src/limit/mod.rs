//! How often something may be done, by whom: token buckets in bounded memory, and who a client is.

mod address;
mod bucket;

pub use address::{AddressKey, Network, NotANetwork, TrustedProxies};
pub use bucket::{Exhausted, Limiter, Rate};
