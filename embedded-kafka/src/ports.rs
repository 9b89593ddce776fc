//! Ports that are still free when a killed node comes back to them.

use std::net::{Ipv4Addr, TcpListener};

use rand::Rng;

use crate::error::Error;

/// Below the range from which the kernel gives ports to clients (32768 and more): nobody gets them by chance.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// So many different ports of 127.0.0.1 that nobody listens on, and that no client gets by chance: what listened there and
/// was killed finds them free. All are held until the last is found.
///
/// # Errors
/// [`Error::NoPort`].
pub fn free(number: usize) -> Result<Vec<u16>, Error> {
    // Several processes at a time begin at different places.
    let span = LAST - FIRST;
    let start = rand::rng().random_range(0..span);
    let candidates = (0..span).map(|step| FIRST + (start + step) % span);
    let free =
        candidates.filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|held| (port, held)));
    let held: Vec<_> = free.take(number).collect();
    if held.len() < number {
        return Err(Error::NoPort { first: FIRST, last: LAST });
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}
