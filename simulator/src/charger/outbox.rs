//! What a charger has to say and was not acknowledged yet.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde_json::Value;

/// When it is full, the oldest readings go first, as in real chargers: starts and stops are money.
const MESSAGES_MAX: usize = 2_000;

/// A message of the charger. Its content is fixed when it is made, except for the transaction's id, which may not be
/// known yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    pub action: &'static str,
    pub payload: Value,
    pub keep: Keep,
    /// Refusals (CALLERROR) so far.
    pub refusals: u32,
    /// Of the first attempt, for those chargers that use it again.
    pub message_id: Option<String>,
    /// When it was last said, by a right clock.
    pub said_at: Option<DateTime<Utc>>,
}

/// What becomes of a message when the connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is of the moment, and goes with it.
    No,
    /// It belongs to a transaction, counted by the charger itself, and is said until it is acknowledged.
    Transaction(u64),
}

impl Outgoing {
    pub fn of_the_moment(action: &'static str, payload: Value) -> Self {
        Self { action, payload, keep: Keep::No, refusals: 0, message_id: None, said_at: None }
    }

    pub fn of_transaction(action: &'static str, payload: Value, transaction: u64) -> Self {
        Self { keep: Keep::Transaction(transaction), ..Self::of_the_moment(action, payload) }
    }
}

#[derive(Debug, Default)]
pub struct Outbox {
    messages: VecDeque<Outgoing>,
    /// Readings that were given up because there were too many.
    pub dropped: u64,
}

impl Outbox {
    pub fn push(&mut self, message: Outgoing) {
        if self.messages.len() >= MESSAGES_MAX {
            let oldest = self.messages.iter().position(|message| message.action == "MeterValues");
            // Without any readings there is nothing that may be given up, but starts and stops don't come in thousands.
            if let Some(oldest) = oldest {
                self.messages.remove(oldest);
                self.dropped += 1;
            }
        }
        self.messages.push_back(message);
    }

    pub fn push_first(&mut self, message: Outgoing) {
        self.messages.push_front(message);
    }

    /// The message to be said next. It is out of the box; whoever does not get it acknowledged gives it back.
    pub fn take(&mut self) -> Option<Outgoing> {
        self.messages.pop_front()
    }

    /// The connection is lost, and with it what was of the moment.
    pub fn disconnected(&mut self) {
        self.messages.retain(|message| message.keep != Keep::No);
    }

    /// A transaction has got its id: what belongs to it can name it.
    pub fn name(&mut self, transaction: u64, id: i64) {
        for message in self.messages.iter_mut().filter(|message| message.keep == Keep::Transaction(transaction)) {
            message.payload["transactionId"] = id.into();
        }
    }

    /// Nobody will ever say which id the transaction has: what belongs to it can't be said.
    pub fn forget(&mut self, transaction: u64) {
        self.messages.retain(|message| message.keep != Keep::Transaction(transaction));
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn readings(number: usize) -> Outgoing {
        Outgoing::of_transaction("MeterValues", json!({"number": number}), 1)
    }

    #[test]
    fn what_belongs_to_a_transaction_outlives_the_connection_and_gets_its_id() {
        let mut outbox = Outbox::default();
        outbox.push(Outgoing::of_the_moment("Heartbeat", json!({})));
        outbox.push(Outgoing::of_transaction("StopTransaction", json!({"transactionId": 0}), 7));
        outbox.disconnected();
        outbox.name(8, 99);
        outbox.name(7, 41);
        assert_eq!(outbox.take().unwrap().payload, json!({"transactionId": 41}));
        assert_eq!(outbox.take(), None);
    }

    #[test]
    fn when_it_is_full_the_oldest_readings_go_and_never_a_start_or_stop() {
        let mut outbox = Outbox::default();
        outbox.push(Outgoing::of_transaction("StartTransaction", json!({}), 1));
        for number in 0..MESSAGES_MAX + 10 {
            outbox.push(readings(number));
        }
        outbox.push(Outgoing::of_transaction("StopTransaction", json!({}), 1));
        assert_eq!(outbox.len(), MESSAGES_MAX);
        assert_eq!(outbox.dropped, 12);
        assert_eq!(outbox.take().unwrap().action, "StartTransaction");
        assert_eq!(outbox.take().unwrap().payload, json!({"number": 12}));
    }
}
