//! Signals, sent to a real process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use service_host::Shutdown;

/// Starts [`process`] below and returns when it has its handlers.
fn spawn(drains: bool) -> (Child, impl Iterator<Item = String>) {
    spawn_with(drains, 0)
}

fn spawn_with(drains: bool, notice_ms: u64) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process", "--ignored", "--nocapture"])
        .env("COULOMB_TEST_DRAINS", if drains { "1" } else { "0" })
        .env("COULOMB_TEST_NOTICE_MS", notice_ms.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("listening")));
    (child, lines)
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_signal_begins_an_orderly_end() {
    for name in ["TERM", "INT"] {
        let (mut child, _lines) = spawn(true);
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
    }
}

/// Balancers get their notice from SIGTERM; a person at a terminal waits for none.
#[test]
fn the_end_begins_after_the_notice() {
    const NOTICE: Duration = Duration::from_millis(700);
    let (mut child, _lines) = spawn_with(true, NOTICE.as_millis() as u64);
    let sent = Instant::now();
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(sent.elapsed() >= NOTICE);

    let (mut child, _lines) = spawn_with(true, 3_600_000);
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let (mut child, _lines) = spawn_with(true, 3_600_000);
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        signal(&child, "TERM");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(ended.code(), Some(130), "a second signal does not wait for the notice");
}

#[test]
fn a_second_signal_forces_the_end() {
    let (mut child, mut lines) = spawn(false);
    signal(&child, "INT");
    assert!(lines.any(|line| line.contains("begun")));
    // The first ones come too soon after the other, and count as the same request.
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        signal(&child, "INT");
    };
    assert_eq!(ended.code(), Some(130));
}

#[tokio::test]
#[ignore = "is started by other tests, as a process to signal"]
async fn process() {
    let shutdown = Shutdown::new();
    let notice_ms = std::env::var("COULOMB_TEST_NOTICE_MS").map_or(0, |text| text.parse().unwrap());
    shutdown.on_signals(Duration::from_millis(notice_ms)).unwrap();
    println!("listening");
    shutdown.begun().await;
    println!("begun");
    if std::env::var("COULOMB_TEST_DRAINS").as_deref() == Ok("0") {
        std::future::pending::<()>().await;
    }
}

#[test]
fn a_part_can_end_before_the_whole_and_not_after_it() {
    let whole = Shutdown::new();
    let (one, two) = (whole.child(), whole.child());
    one.begin();
    assert!(one.has_begun() && !two.has_begun() && !whole.has_begun());
    whole.begin();
    assert!(two.has_begun());
}
