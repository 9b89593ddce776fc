//! Which address a request counts for.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use axum::http::HeaderMap;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// What is limited together: an IPv4 address, or the /64 that one IPv6 subscriber has to themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressKey(IpAddr);

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        })
    }
}

/// A network in CIDR notation, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor a network such as 10.0.0.0/8")]
pub struct NotANetwork(String);

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same_start(network.to_bits().into(), address.to_bits().into(), 32 - self.prefix_bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same_start(network.to_bits(), address.to_bits(), 128 - self.prefix_bits)
            }
            _ => false,
        }
    }
}

fn same_start(one: u128, other: u128, ignored_bits: u8) -> bool {
    (one ^ other).checked_shr(ignored_bits.into()).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let parse = || {
            let (address, prefix) = match text.trim().split_once('/') {
                Some((address, prefix)) => (address, Some(prefix)),
                None => (text.trim(), None),
            };
            let address: IpAddr = address.parse().ok()?;
            let bits_max = if address.is_ipv4() { 32 } else { 128 };
            let prefix_bits = prefix.map_or(Some(bits_max), |prefix| prefix.parse().ok())?;
            (prefix_bits <= bits_max).then_some(Self { address, prefix_bits })
        };
        parse().ok_or_else(|| NotANetwork(text.to_owned()))
    }
}

/// The proxies whose word on a client's address is taken. None by default: anybody can write the header.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Whom a request comes from: the peer; or, behind proxies that are trusted, the last address of `X-Forwarded-For`
    /// that is none of theirs. What stands before it was written by the client and may be invented.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> AddressKey {
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
        let mut client = peer;
        let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
        while self.trusts(client) {
            match hops.next().and_then(|hop| hop.trim().parse().ok()) {
                Some(hop) => client = hop,
                None => break,
            }
        }
        client.into()
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_counts_as_far_as_it_was_written_by_trusted_proxies() {
        let table: [(&str, &str, &[&str], &str); 11] = [
            // Nobody is trusted.
            ("", "203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.0/8", "203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.0/8", "10.1.2.3", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.0/8", "10.1.2.3", &[], "10.1.2.3"),
            ("10.0.0.0/8", "10.1.2.3", &["invented, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.0/8", "10.1.2.3", &["192.0.2.7, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
            ("10.0.0.0/8", "10.1.2.3", &["192.0.2.7", "198.51.100.1", "10.9.9.9"], "198.51.100.1"),
            ("10.0.0.0/8", "10.1.2.3", &["nonsense"], "10.1.2.3"),
            ("127.0.0.1", "::ffff:127.0.0.1", &["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::"),
            ("127.0.0.1,::1", "::1", &["2001:db8:1:2::9"], "2001:db8:1:2:ffff::"),
            ("0.0.0.0/0", "10.1.2.3", &["198.51.100.1"], "198.51.100.1"),
        ];
        for (trusted, peer, lines, expected) in table {
            let networks = trusted.split(',').filter(|text| !text.is_empty());
            let trusted = TrustedProxies::new(networks.map(|text| text.parse().unwrap()).collect());
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            let expected: IpAddr = expected.parse().unwrap();
            assert_eq!(trusted.client(peer.parse().unwrap(), &headers), expected.into(), "{peer} {lines:?}");
        }
    }

    #[test]
    fn networks_are_read_strictly() {
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "example.org", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
