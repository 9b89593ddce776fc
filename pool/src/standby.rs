//! The pool for reads leads to a standby, whichever of the hosts that is.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;

use crate::follow::{LOOK_EVERY, Options, look, pool_options, replace, replace_gently};
use crate::handle::{Node, Pool};
use crate::hosts::{Hosts, name};
use crate::node::{Looker, Seen};

/// A standby that has not come by then to where another one was is left for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// It doubles with each that is left so, up to this: two that are behind in turns are not changed all the time.
const PATIENCE_MAX: Duration = Duration::from_secs(300);
/// After so long in which none was left it is what it was.
const CALM: Duration = Duration::from_secs(900);

/// A pool that leads to a standby among the hosts, and to another when that one is promoted, gives no answer or stays behind
/// another one; to the primary while there is no standby. With one host it leads there, whatever that is. Nothing need answer at the start.
pub fn follow_standby(hosts: Hosts, options: &Options) -> Pool {
    let lazily = |host: &PgConnectOptions| pool_options(options).connect_lazy_with(host.clone());
    let first = lazily(&hosts.each()[0]);
    if hosts.each().len() == 1 {
        return first.into();
    }
    let (node, following) = watch::channel(Node::first(first));
    let lookers = hosts.each().iter().map(Looker::new).collect();
    tokio::spawn(run(hosts, options.clone(), lookers, node));
    Pool::following(following)
}

async fn run(hosts: Hosts, options: Options, mut lookers: Vec<Looker>, node: watch::Sender<Node>) {
    let mut reading = Reading::default();
    while !node.borrow().last.is_closed() {
        let before = reading.host;
        let seen = look(&mut lookers).await;
        let left = reading.choose(&seen, Instant::now());
        if reading.host != before {
            let connect = hosts.each()[reading.host].clone();
            match left {
                Left::Behind => tracing::warn!(
                    host = name(&connect),
                    left = name(&hosts.each()[before]),
                    "reads go to another standby now: the one before stays behind it. Does it still receive and replay?"
                ),
                Left::Other => tracing::info!(host = name(&connect), "reads go to another server now"),
            }
            let pool = pool_options(&options).connect_lazy_with(connect);
            // Who reads from one that answers is not to take it for gone.
            match seen[before] {
                Ok(_) => replace_gently(&node, pool),
                Err(_) => replace(&node, Some(pool)),
            }
        }
        tokio::select! {
            () = node.closed() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Why a server is left, where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// It answers, and did not come to where another standby was.
    Behind,
    /// It is gone, or no standby, or nothing is left.
    Other,
}

/// Which host is read from.
#[derive(Debug)]
struct Reading {
    host: usize,
    /// Where another standby was, further than this one, and when that was seen.
    awaited: Option<(i64, Instant)>,
    /// For how long that is waited for.
    patience: Duration,
    /// When one was left last because it stayed behind.
    left: Option<Instant>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { host: 0, awaited: None, patience: PATIENCE, left: None }
    }
}

impl Reading {
    /// A standby before a primary, of several primaries the one that was promoted last, and nothing is left without need:
    /// because it is gone, or does not come to where another standby was some time ago.
    fn choose<E>(&mut self, seen: &[Result<Seen, E>], now: Instant) -> Left {
        if self.left.is_some_and(|left| now.duration_since(left) > CALM) {
            (self.patience, self.left) = (PATIENCE, None);
        }
        if let Some(further) = self.stays_behind(seen, now) {
            let patience = (2 * self.patience).min(PATIENCE_MAX);
            *self = Self { host: further, awaited: None, patience, left: Some(now) };
            return Left::Behind;
        }
        let answering = seen.iter().enumerate().filter_map(|(nth, seen)| Some((nth, seen.as_ref().ok()?)));
        let best = answering
            .max_by_key(|(nth, seen)| (seen.in_recovery, seen.timeline, *nth == self.host, std::cmp::Reverse(*nth)));
        if let Some((best, _)) = best.filter(|(nth, _)| *nth != self.host) {
            (self.host, self.awaited) = (best, None);
        }
        Left::Other
    }

    /// The standby that is the furthest, where the one that is read from stays behind it.
    fn stays_behind<E>(&mut self, seen: &[Result<Seen, E>], now: Instant) -> Option<usize> {
        let replayed = |nth: usize| seen.get(nth)?.as_ref().ok()?.replayed;
        let (Some(own), Some((furthest, further))) =
            (replayed(self.host), (0..seen.len()).filter_map(|nth| Some((replayed(nth)?, nth))).max())
        else {
            self.awaited = None;
            return None;
        };
        self.awaited = match self.awaited {
            Some((awaited, since)) if own < awaited => Some((awaited, since)),
            // It is where the other was, and the other has gone on.
            _ if own < furthest => Some((furthest, now)),
            _ => None,
        };
        self.awaited.is_some_and(|(_, since)| now.duration_since(since) >= self.patience).then_some(further)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Replication;

    fn standby_at(replayed: i64) -> Result<Seen, ()> {
        Ok(Seen { in_recovery: true, timeline: None, replayed: Some(replayed), replication: Replication::None })
    }

    fn primary(timeline: u32) -> Result<Seen, ()> {
        Ok(Seen { in_recovery: false, timeline: Some(timeline), replayed: None, replication: Replication::None })
    }

    fn gone() -> Result<Seen, ()> {
        Err(())
    }

    #[test]
    fn a_standby_is_read_from_where_there_is_one() {
        let standby = || standby_at(100);
        let table = [
            // At the start the first is what is read from.
            (0, vec![primary(1), standby()], 1),
            (0, vec![standby(), primary(1)], 0),
            (0, vec![gone(), primary(1), standby()], 2),
            // One is as good as another.
            (1, vec![standby(), standby(), primary(1)], 1),
            (2, vec![standby(), standby(), primary(1)], 0),
            // It is gone, or was promoted, and there is no other; then the former primary comes back as a standby.
            (1, vec![primary(1), gone()], 0),
            (1, vec![gone(), primary(2)], 1),
            (1, vec![standby(), primary(2)], 0),
            // One that was left behind by a promotion.
            (0, vec![primary(1), primary(2)], 1),
            (1, vec![primary(1), primary(2)], 1),
            (1, vec![gone(), gone()], 1),
        ];
        for (nth, (host, seen, expected)) in table.into_iter().enumerate() {
            let mut reading = Reading { host, ..Reading::default() };
            assert_eq!(reading.choose(&seen, Instant::now()), Left::Other, "row {nth}");
            assert_eq!(reading.host, expected, "row {nth}");
        }
    }

    const PATIENCE_LOOKS: u32 = PATIENCE.as_millis().div_ceil(LOOK_EVERY.as_millis()) as u32;

    /// What is read from after so many looks, of which the first standby and the second are where these say.
    fn read_after(looks: u32, first: impl Fn(i64) -> Option<i64>, second: impl Fn(i64) -> i64) -> usize {
        let (mut reading, began) = (Reading::default(), Instant::now());
        for look in 0..looks {
            let (now, look) = (began + look * LOOK_EVERY, look.into());
            let first = first(look).map_or_else(gone, standby_at);
            reading.choose(&[first, standby_at(second(look)), primary(1)], now);
        }
        reading.host
    }

    #[test]
    fn a_standby_that_stays_behind_another_is_left() {
        let goes_on = |look: i64| 1_000 + 100 * look;
        let enough = PATIENCE_LOOKS + 1;
        // It receives nothing any more, replays less than there is, or the other has had all there is for long.
        assert_eq!(read_after(enough, |_| Some(1_000), |look| goes_on(look) + 1), 1);
        assert_eq!(read_after(enough, |look| Some(1_000 + look), |look| goes_on(look) + 100), 1);
        assert_eq!(read_after(enough, |_| Some(1_000), |_| 1_001), 1);
        // Not at once.
        assert_eq!(read_after(enough - 1, |_| Some(1_000), |look| goes_on(look) + 1), 0);
    }

    #[test]
    fn a_standby_that_is_a_little_behind_is_kept() {
        let goes_on = |look: i64| 1_000 + 100 * look;
        let long = 20 * PATIENCE_LOOKS;
        // Always where the other was two looks ago; further than it; as far as it.
        assert_eq!(read_after(long, |look| Some(goes_on(look - 2)), goes_on), 0);
        assert_eq!(read_after(long, |look| Some(goes_on(look)), |_| 1_000), 0);
        assert_eq!(read_after(long, |_| Some(1_000), |_| 1_000), 0);
    }

    /// After how long it is left for another one that is always further.
    fn left_after(reading: &mut Reading, now: &mut Instant) -> Duration {
        let (began, before) = (*now, reading.host);
        while reading.host == before {
            *now += LOOK_EVERY;
            let at = |host: usize| standby_at(if host == before { 10 } else { 20 });
            reading.choose(&[at(0), at(1)], *now);
        }
        // The first look only sees where the other one is.
        *now - began - LOOK_EVERY
    }

    #[test]
    fn two_that_are_behind_in_turns_are_changed_less_and_less_often() {
        let (mut reading, mut now) = (Reading::default(), Instant::now());
        let mut waited = || left_after(&mut reading, &mut now).as_secs();
        assert_eq!([(); 8].map(|()| waited()), [5, 10, 20, 40, 80, 160, 300, 300]);
        now += CALM;
        assert_eq!(left_after(&mut reading, &mut now), PATIENCE, "it was calm for long");
    }

    /// Where a third host makes each look take long, the time counts and not the looks.
    #[test]
    fn looks_that_take_long_make_it_no_later() {
        let (mut reading, began) = (Reading::default(), Instant::now());
        for (after_s, host) in [(0, 0), (3, 0), (6, 1)] {
            reading.choose(&[standby_at(10), standby_at(20)], began + Duration::from_secs(after_s));
            assert_eq!(reading.host, host, "after {after_s} s");
        }
    }
}
