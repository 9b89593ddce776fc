//! Questions to librdkafka, which block, each on a thread of its own for which nobody waits: a process that ends would wait for
//! the runtime's.

use tokio::sync::oneshot;

/// Told whether anybody still waits for the answer.
pub(super) type GivenUp<'q> = &'q dyn Fn() -> bool;

/// None: there was no thread for it, or it panicked. Dropped, the question is given up: it should end soon by itself.
pub(super) async fn ask<T: Send + 'static>(question: impl FnOnce(GivenUp<'_>) -> T + Send + 'static) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    let asking = move || {
        let said = question(&|| answer.is_closed());
        // Nobody may be there for it any more.
        let _ = answer.send(said);
    };
    std::thread::Builder::new().name("kafka-asks".to_owned()).spawn(asking).ok()?;
    answered.await.ok()
}
