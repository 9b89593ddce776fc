//! Three nodes: one may be gone, or hang.

mod support;

use embedded_kafka::{NodeState, testing};
use support::{consume, create, plain, produce};

#[tokio::test]
async fn one_of_three_may_be_killed_or_hang() {
    let kafka = testing::own(|options| options.nodes = 3).await;
    let config = plain(&kafka.brokers());
    create(&config, "replicated", 3).await;
    let mut wanted = vec![];
    for number in kafka.nodes() {
        kafka.kill(number).await.expect("it is killed");
        let text = format!("without {number}");
        produce(&config, "replicated", &text).await;
        wanted.push(text);
        kafka.restart(number).await.expect("it comes back");
    }
    kafka.freeze(2).await.expect("it is frozen");
    assert_eq!(kafka.state(2).await.expect("node 2"), NodeState::Frozen);
    produce(&config, "replicated", "while 2 hangs").await;
    wanted.push("while 2 hangs".to_owned());
    kafka.thaw(2).await.expect("it is woken");
    assert_eq!(consume(&config, "replicated", wanted.len()).await, wanted);

    for number in kafka.nodes() {
        kafka.kill(number).await.expect("it is killed");
    }
    kafka.start_stopped().await.expect("all come back");
    assert_eq!(consume(&config, "replicated", wanted.len()).await, wanted);
    kafka.stop().await;
}
