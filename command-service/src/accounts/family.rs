//! What a presented refresh token is, to the family that it names.

use application::vault::MasterKey;
use chrono::{DateTime, TimeDelta, Utc};
use subtle::ConstantTimeEq;

use super::refresh_token::RefreshToken;

/// A device that was not seen for so long has to log in again.
pub const IDLE_MAX: TimeDelta = TimeDelta::days(60);
/// For how long a device that lost the answer is given it again.
pub const LOST_ANSWER_WINDOW: TimeDelta = TimeDelta::seconds(60);
/// How far back a token is recognised as one that was good once: six weeks of a refresh each quarter of an hour. An older
/// one is refused like a stranger's; the bound is on what a stranger can make us compute.
const TRACED_BACK_MAX: u32 = 4096;

/// The newest token of a device, as far as the database knows it.
#[derive(Clone, Debug)]
pub struct Family {
    pub number: u32,
    pub digest: [u8; 32],
    pub rotated_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// What is to be done with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the newest: exchange it.
    Exchange {
        successor: RefreshToken,
    },
    /// It was exchanged just now, and its successor has not been used: the device lost the answer.
    Repeat {
        successor: RefreshToken,
    },
    /// It was exchanged before: two have it, and one of them is a thief.
    Reused,
    /// It was never one of this family, or is too old to be followed.
    Stranger,
    Expired,
}

impl Family {
    pub fn judge(&self, presented: &RefreshToken, master: &MasterKey, now: DateTime<Utc>) -> Verdict {
        let Some(behind) = self.number.checked_sub(presented.number).filter(|behind| *behind <= TRACED_BACK_MAX) else {
            return Verdict::Stranger;
        };
        let newest = (0..behind).fold(presented.clone(), |token, _| token.successor(master));
        if !bool::from(newest.digest().ct_eq(&self.digest)) {
            return Verdict::Stranger;
        }
        match behind {
            _ if self.expires_at <= now => Verdict::Expired,
            0 => Verdict::Exchange { successor: newest.successor(master) },
            1 if now - self.rotated_at <= LOST_ANSWER_WINDOW => Verdict::Repeat { successor: newest },
            _ => Verdict::Reused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_token_is_judged_by_its_place_in_the_chain() {
        let master = MasterKey::new(rand::random());
        let chain: Vec<_> = std::iter::successors(Some(RefreshToken::first()), |token| Some(token.successor(&master)))
            .take(6)
            .collect();
        let family = Family { number: 3, digest: chain[3].digest(), rotated_at: at(0), expires_at: at(0) + IDLE_MAX };
        let mut stranger = RefreshToken::first();
        stranger.family_id = chain[0].family_id;
        let other_master = chain[3].successor(&MasterKey::new(rand::random()));
        let exchange = Verdict::Exchange { successor: chain[4].clone() };
        let repeat = Verdict::Repeat { successor: chain[3].clone() };
        let table = [
            (&chain[3], 0, exchange.clone()),
            (&chain[3], 3600, exchange),
            (&chain[2], 0, repeat.clone()),
            // Another process's clock is behind.
            (&chain[2], -5, repeat.clone()),
            (&chain[2], 60, repeat),
            (&chain[2], 61, Verdict::Reused),
            (&chain[1], 0, Verdict::Reused),
            (&chain[0], 0, Verdict::Reused),
            // Not given out yet, even if it is the true one.
            (&chain[4], 0, Verdict::Stranger),
            (&other_master, 0, Verdict::Stranger),
            (&stranger, 0, Verdict::Stranger),
            (&chain[3], IDLE_MAX.num_seconds(), Verdict::Expired),
        ];
        for (n, (token, second, expected)) in table.into_iter().enumerate() {
            assert_eq!(family.judge(token, &master, at(second)), expected, "row {n}");
        }
    }

    #[test]
    fn a_chain_is_followed_only_so_far() {
        let master = MasterKey::new(rand::random());
        let first = RefreshToken::first();
        let last = (0..TRACED_BACK_MAX + 1).fold(first.clone(), |token, _| token.successor(&master));
        let family = Family { number: last.number, digest: last.digest(), rotated_at: at(0), expires_at: at(1) };
        assert_eq!(family.judge(&first, &master, at(0)), Verdict::Stranger);
        assert_eq!(family.judge(&first.successor(&master), &master, at(0)), Verdict::Reused);
    }
}
