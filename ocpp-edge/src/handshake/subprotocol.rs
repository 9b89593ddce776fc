/// The versions of OCPP that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V16,
}

impl Version {
    /// In the order of preference.
    const ALL: [Self; 1] = [Self::V16];

    /// The name registered with IANA.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::V16 => "ocpp1.6",
        }
    }
}

/// What to answer to the offered subprotocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negotiated {
    /// Answer with this version's name.
    Selected(Version),
    /// Nothing was offered: a client must then not be answered with a name (RFC 6455 section 4.2.2), and is taken to speak
    /// this version, as the chargers that do so have been found to.
    Assumed(Version),
    /// Only others were offered: complete the handshake without a name, then close at once (OCPP-J 1.6 section 3.2).
    Refused,
}

impl Negotiated {
    /// The value of `Sec-WebSocket-Protocol` in the answer.
    pub fn header(self) -> Option<&'static str> {
        match self {
            Self::Selected(version) => Some(version.subprotocol()),
            Self::Assumed(_) | Self::Refused => None,
        }
    }
}

/// Chooses from the values of the request's `Sec-WebSocket-Protocol` headers: there may be several, each a list.
///
/// Names are compared exactly, since the answer must repeat one that was offered. The charger's order doesn't count.
pub fn negotiate<'h>(offers: impl IntoIterator<Item = &'h str>) -> Negotiated {
    let offered: Vec<&str> = offers
        .into_iter()
        .flat_map(|header| header.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if offered.is_empty() {
        return Negotiated::Assumed(Version::V16);
    }
    Version::ALL
        .into_iter()
        .find(|version| offered.contains(&version.subprotocol()))
        .map_or(Negotiated::Refused, Negotiated::Selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_of_real_chargers() {
        use Negotiated::{Assumed, Refused, Selected};
        for (offers, negotiated, header) in [
            (&["ocpp1.6"][..], Selected(Version::V16), Some("ocpp1.6")),
            (&["ocpp2.0.1, ocpp1.6"], Selected(Version::V16), Some("ocpp1.6")),
            (&["ocpp1.5", "ocpp1.6"], Selected(Version::V16), Some("ocpp1.6")),
            (&[], Assumed(Version::V16), None),
            (&[""], Assumed(Version::V16), None),
            (&[" , "], Assumed(Version::V16), None),
            (&["ocpp1.5"], Refused, None),
            (&["OCPP1.6"], Refused, None),
            (&["ocpp1.6j,chat"], Refused, None),
        ] {
            let result = negotiate(offers.iter().copied());
            assert_eq!((result, result.header()), (negotiated, header), "{offers:?}");
        }
    }
}
