use std::time::{Duration, Instant};

use futures_util::future::join_all;
use realtime_api::Limits;

use crate::support::{World, limits};

#[tokio::test]
async fn at_the_end_sockets_are_told_when_to_come_back() {
    let world = World::new().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(world.driver_socket().await);
    }
    world.begin_shutdown();
    for client in &mut clients {
        let (code, reason) = client.closed().await;
        let wait = reason.strip_prefix("reconnect_after_ms=").and_then(|wait| wait.parse::<u64>().ok());
        assert_eq!((code, wait.is_some()), (1001, true), "{reason}");
    }
    drop(clients);
    world.ended().await;
}

/// Phones that are told to go come back: all of them together would be a storm on whoever takes them.
#[tokio::test]
async fn sockets_are_closed_evenly_over_the_time_that_is_set() {
    const SOCKETS: usize = 80;
    // A machine that stands still for a second is not to close most of them in one quarter.
    const SPREAD: Duration = Duration::from_secs(6);
    const LATE_MAX: Duration = Duration::from_secs(10);
    let world = World::with(Limits { drain_over: SPREAD, ..limits() }).await;
    let mut clients = Vec::new();
    for _ in 0..SOCKETS {
        clients.push(world.driver_socket().await);
    }
    let began = Instant::now();
    world.begin_shutdown();
    let closing = clients.into_iter().map(|mut client| async move {
        assert_eq!(client.closed().await.0, 1001);
        began.elapsed()
    });
    let mut closed = join_all(closing).await;
    closed.sort();
    let within = |share: f64| closed.iter().filter(|at| **at <= SPREAD.mul_f64(share)).count();
    let by_quarters = [0.25, 0.5, 0.75, 1.0].map(within);
    // A slow machine is late with some; none is ever closed too soon.
    let at_most = [1, 2, 3, 4].map(|quarter| quarter * SOCKETS / 4 + 1);
    assert!(by_quarters.iter().zip(at_most).all(|(closed, at_most)| *closed <= at_most), "{by_quarters:?}");
    // Nor do most go at once, be it late; what is a quarter too late has one of its own.
    let quarter_of = |at: &Duration| (at.as_secs_f64() / SPREAD.mul_f64(0.25).as_secs_f64()) as usize;
    let fullest = closed.chunk_by(|a, b| quarter_of(a) == quarter_of(b)).map(<[_]>::len).max();
    assert!(fullest.is_some_and(|most| most <= SOCKETS * 6 / 10), "{by_quarters:?}, {fullest:?} of them at once");
    assert!(closed.last().is_some_and(|last| *last < SPREAD + LATE_MAX), "the last after {:?}", closed.last());
    println!(
        "{SOCKETS} sockets were closed by quarters of {SPREAD:?}: {by_quarters:?}, all of them {:?}",
        closed.last()
    );
    world.ended().await;
}
