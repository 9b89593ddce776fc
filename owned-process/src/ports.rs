//! Ports that are still free when a killed process comes back to them.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::Rng;

use crate::error::Error;

/// Below the range from which the kernel gives ports to clients (32768 and more): nobody gets them by chance.
const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;

/// A port of 127.0.0.1 that nobody listens on, and that no client gets by chance: what listened there and was killed finds
/// it free. No two calls of this process answer the same, until there are no others.
///
/// # Errors
/// [`Error::NoPort`].
pub fn free_port() -> Result<u16, Error> {
    static NEXT: OnceLock<AtomicU32> = OnceLock::new();
    let span = u32::from(LAST - FIRST) + 1;
    // Several processes at a time begin at different places.
    let next = NEXT.get_or_init(|| AtomicU32::new(rand::rng().random_range(0..span)));
    let mut candidates = (0..span).map(|_| FIRST + (next.fetch_add(1, Ordering::Relaxed) % span) as u16);
    candidates.find(|port| is_free(*port)).ok_or(Error::NoPort { first: FIRST, last: LAST })
}

/// So many of them, each another.
///
/// # Errors
/// [`Error::NoPort`].
pub fn free_ports(number: usize) -> Result<Vec<u16>, Error> {
    (0..number).map(|_| free_port()).collect()
}

/// Whether nobody listens there, on 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_and_none_that_is_taken() {
        let ports = free_ports(50).expect("there are enough");
        let different: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(different.len(), ports.len());
        assert!(ports.iter().all(|port| (FIRST..=LAST).contains(port)));
        let next = ports[49] + 1;
        if let Ok(_held) = TcpListener::bind((Ipv4Addr::LOCALHOST, next)) {
            assert!(!is_free(next));
            assert_ne!(free_port().expect("there are more"), next);
        }
    }
}
