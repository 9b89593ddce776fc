//! A Kafka through the ways in which it and its owner end.

mod support;

use std::process::{Command, Stdio};

use embedded_kafka::{EmbeddedKafka, Error, NodeState, Options, testing};
use owned_process::lives;
use support::{consume, create, plain, produce, until};

/// Set for the process that this test starts of itself, to be an owner that is killed.
const OWNER_VARIABLE: &str = "EMBEDDED_KAFKA_TEST_OWNER";

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill_and_after_a_second_start() {
    let home = tempfile::tempdir().expect("a directory");
    let kafka = EmbeddedKafka::start(Options::new(home.path())).await.expect("the first start");
    let brokers = kafka.brokers();
    let config = plain(&brokers);
    create(&config, "kept", 1).await;
    produce(&config, "kept", "one").await;

    let pid = kafka.pid(1).await.expect("node 1").expect("it runs");
    kafka.kill(1).await.expect("it is killed");
    assert!(!lives(pid));
    assert_eq!(kafka.state(1).await.expect("node 1"), NodeState::Stopped);
    assert!(matches!(kafka.kill(1).await, Err(Error::NotRunning(1))));
    kafka.restart(1).await.expect("it starts again");
    produce(&config, "kept", "two").await;
    assert_eq!(consume(&config, "kept", 2).await, ["one", "two"]);

    let second = EmbeddedKafka::start(Options::new(home.path())).await.expect_err("it has an owner").to_string();
    assert!(second.contains(&format!("is in use by process {}", std::process::id())), "{second}");
    kafka.stop().await;

    let kafka = EmbeddedKafka::start(Options::new(home.path())).await.expect("the second start");
    assert_eq!(kafka.brokers(), brokers);
    assert_eq!(consume(&config, "kept", 2).await, ["one", "two"]);
    kafka.stop().await;
}

#[tokio::test]
async fn the_shared_node_answers_and_unknown_topics_are_not_made() {
    let brokers = testing::brokers().await;
    assert_eq!(brokers, testing::brokers().await);
    let config = plain(brokers);
    let prefix = testing::topic_prefix();
    assert_ne!(prefix, testing::topic_prefix());
    let topic = format!("{prefix}.events");
    create(&config, &topic, 1).await;
    produce(&config, &topic, "hello").await;
    assert_eq!(consume(&config, &topic, 1).await, ["hello"]);
}

#[tokio::test]
async fn a_dropped_one_is_ended_and_removed_by_its_guardian() {
    let kafka = testing::own(|_| {}).await;
    let (pid, guardian) = (kafka.pid(1).await.expect("node 1").expect("it runs"), kafka.guardian_pid());
    let directory = kafka.log(1).ancestors().nth(2).expect("a directory").to_owned();
    // Frozen, it would not hear of a polite request.
    kafka.freeze(1).await.expect("it is frozen");
    drop(kafka);
    until("the node to end", || !lives(pid)).await;
    until("the guardian to end", || !lives(guardian)).await;
    assert!(!directory.exists());
}

/// The owner of the test below: says its node's pid, and waits to be killed.
#[tokio::test]
async fn an_owner() {
    let Some(directory) = std::env::var_os(OWNER_VARIABLE) else { return };
    let kafka = EmbeddedKafka::start(Options::new(&directory)).await.expect("it starts");
    let pid = kafka.pid(1).await.expect("node 1").expect("it runs");
    let word = std::path::Path::new(&directory).join("word");
    std::fs::write(word, format!("{pid} {}\n", kafka.guardian_pid())).expect("ours");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn no_node_outlives_an_owner_that_is_killed() {
    // What is fetched the first time takes longer than an owner is waited for.
    embedded_kafka::testing::brokers().await;
    let home = tempfile::tempdir().expect("a directory");
    let own = std::env::current_exe().expect("a test has a path");
    let mut owner = Command::new(own);
    owner.args(["--exact", "an_owner", "--nocapture"]).env(OWNER_VARIABLE, home.path());
    let mut owner = owner.stdin(Stdio::null()).spawn().expect("it runs");
    let word = home.path().join("word");
    let said = || std::fs::read_to_string(&word).unwrap_or_default();
    until("the owner's word", || said().ends_with('\n')).await;
    let pids: Vec<u32> = said().split_whitespace().map(|pid| pid.parse().expect("a number")).collect();
    assert!(pids.iter().all(|pid| lives(*pid)));
    owner.kill().expect("it is ours");
    owner.wait().expect("it is ours");
    until("the node to end", || !lives(pids[0])).await;
    until("the guardian to end", || !lives(pids[1])).await;

    // With the guardian gone as well, the next start ends what was left.
    let mut owner = Command::new(std::env::current_exe().expect("a test has a path"));
    owner.args(["--exact", "an_owner", "--nocapture"]).env(OWNER_VARIABLE, home.path());
    std::fs::remove_file(&word).expect("ours");
    let mut owner = owner.stdin(Stdio::null()).spawn().expect("it runs");
    until("the owner's word", || said().ends_with('\n')).await;
    let pids: Vec<u32> = said().split_whitespace().map(|pid| pid.parse().expect("a number")).collect();
    let killed = Command::new("kill").args(["-KILL", &pids[1].to_string()]).status().expect("kill runs");
    assert!(killed.success());
    owner.kill().expect("it is ours");
    owner.wait().expect("it is ours");
    assert!(lives(pids[0]));
    let kafka = EmbeddedKafka::start(Options::new(home.path())).await.expect("it starts");
    assert!(!lives(pids[0]));
    kafka.stop().await;
}
