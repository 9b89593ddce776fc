//! What an operator asks chargers for, besides charges.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::json;
use simulator::charger::Asked;
use simulator::phone::Accepted;
use simulator::town::CommandWitness;
use tests::watched::Watched;
use tokio::time::sleep;

/// Between two commands.
const PAUSE: Duration = Duration::from_millis(700);
/// Chargers that are asked: few, so that each is asked for the same often.
const ASKED: usize = 6;
/// The only refusal there is a reason for.
const OFFLINE: &str = "charger-offline";
/// What only the staff asks for, and most often.
const ITS_OWN: [&str; 2] = ["ChangeAvailability", "UnlockConnector"];

/// Goes on for ever. A command that was not answered is said again with its key. Counts what was `taken`.
pub async fn asks(watched: &Watched, mut rng: SmallRng, taken: &AtomicU32) {
    let chargers = &watched.town.chargers()[..ASKED.min(watched.town.chargers().len())];
    for number in 0_u64.. {
        sleep(PAUSE).await;
        let charger = chargers[rng.random_range(0..chargers.len())].id();
        let connector = rng.random_range(1..=2);
        let body = match rng.random_range(0..10) {
            0..5 => json!({"action": "ChangeAvailability", "payload": {"connectorId": connector, "type": "Operative"}}),
            5..9 => json!({"action": "UnlockConnector", "payload": {"connectorId": connector}}),
            _ => json!({"action": "Reset", "payload": {"type": "Soft"}}),
        };
        let (path, key) = (format!("/api/chargers/{charger}/commands"), format!("staff-{number}"));
        loop {
            match watched.operator.post(&path, &body, Some(&key)).await {
                Ok(answer) => {
                    let accepted: Accepted = serde_json::from_value(answer).expect("as documented");
                    watched.commands.accepted(&accepted);
                    taken.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Err(error) if error.retry_after().is_some() => sleep(PAUSE).await,
                Err(error) if error.code() == Some(OFFLINE) => break,
                Err(error) => panic!("{path}: {error}"),
            }
        }
    }
}

/// That there was something to be asked twice.
///
/// # Panics
/// When nothing was taken, or reached a charger.
pub fn was_heard(taken: &AtomicU32, asked: &[Asked]) {
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken > 0, "of what the operator asked for something was taken");
    for action in ITS_OWN {
        assert!(asked.iter().any(|asked| asked.action == action), "of {taken} commands no {action} reached a charger");
    }
}
