//! How many sockets are told to go without all of them going at once: whoever takes them then would have a storm.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Between two sockets a drain waits for this part of its time at the most: few of them are told sooner.
const STEPS_MIN: u32 = 50;

/// Between two of `sockets` that are told evenly within `over`.
pub fn drain_step(sockets: usize, over: Duration) -> Duration {
    over / u32::try_from(sockets).unwrap_or(u32::MAX).max(STEPS_MIN)
}

/// Tells one after another, the first at once.
pub async fn tell_evenly<T>(sockets: impl IntoIterator<Item = T>, step: Duration, mut tell: impl FnMut(T)) {
    let mut at = Instant::now();
    for socket in sockets {
        // What is due, however much that is: a timer is not as fine as the steps of a hundred thousand.
        sleep_until(at).await;
        tell(socket);
        at += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sockets, seconds of the setting, and how long they are told over in milliseconds.
    #[test]
    fn sockets_are_told_over_the_time_that_is_set_and_few_of_them_sooner() {
        for (sockets, over_s, expected_ms) in [
            (0, 30, 0),
            (1, 30, 600),
            (3, 30, 1_800),
            (50, 30, 30_000),
            (51, 30, 29_999),
            (80, 30, 30_000),
            (1_000, 30, 30_000),
            (1_000, 0, 0),
            (100_000, 30, 30_000),
        ] {
            let over = drain_step(sockets as usize, Duration::from_secs(over_s)) * sockets;
            assert_eq!(over.as_millis(), expected_ms, "{sockets} sockets");
        }
    }

    #[tokio::test]
    async fn each_is_told_once_in_order_and_none_before_its_time() {
        let (began, step, mut told) = (Instant::now(), Duration::from_millis(1), vec![]);
        tell_evenly(0..20, step, |socket| told.push((socket, began.elapsed()))).await;
        assert!(told.iter().map(|(socket, _)| *socket).eq(0..20), "{told:?}");
        assert!(told.iter().all(|(socket, at)| *at >= step * *socket), "{told:?}");
    }
}
