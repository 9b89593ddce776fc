//! The relay as a part of a process: what it says of itself is the process's readiness.

use event_store::EventStore;
use event_store::kafka::{Doing, KafkaOptions, Relay, RelayOptions, RelayState};
use service_host::{NotReady, Readiness, Shutdown};

use crate::supervisor::Supervisor;

/// `alone`: the process has nothing else to do, and is not ready where the relay can't work. Beside others it is only said: the
/// platform goes on without Kafka.
pub fn start(
    store: EventStore,
    kafka: KafkaOptions,
    alone: bool,
    readiness: &Readiness,
    shutdown: Shutdown,
    supervisor: &mut Supervisor,
) {
    let relay = Relay::new(store, RelayOptions::new(kafka));
    let mut state = relay.state();
    if alone {
        let asked = state.clone();
        readiness.register("relay", move || {
            std::future::ready(trouble(&asked.borrow()).map_or(Ok(()), |why| Err(NotReady(why))))
        });
    }
    let readiness = readiness.clone();
    supervisor.spawn("relay", async move {
        let said = async {
            loop {
                let now = state.borrow_and_update().clone();
                if !alone {
                    readiness.degrade("relay", trouble(&now));
                }
                readiness.tell("relay", doing(&now).to_owned());
                if state.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = relay.run(shutdown.begun()) => {}
            () = said => {}
        }
        anyhow::Ok(())
    });
}

fn doing(state: &RelayState) -> &'static str {
    match state.doing {
        Doing::Standby => "stands by",
        Doing::Leading => "leads",
        Doing::KafkaDown { .. } => "waits for Kafka",
        Doing::Stopped { .. } => "stopped",
    }
}

/// What keeps the log from Kafka. The brokers' names and what they answered are nothing secret; no setting is told.
fn trouble(state: &RelayState) -> Option<String> {
    match &state.doing {
        Doing::Standby | Doing::Leading => None,
        Doing::KafkaDown { why, .. } => {
            Some(format!("Kafka takes nothing, and {} positions wait for it: {why}", state.lag()))
        }
        Doing::Stopped { why } => Some(why.to_string()),
    }
}
