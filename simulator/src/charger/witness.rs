use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::Value;

/// A message of a charger, with what it was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Acknowledged {
    pub charger_id: String,
    pub action: &'static str,
    pub payload: Value,
    pub answer: Value,
    /// By a right clock, whatever the charger's own says.
    pub said_at: DateTime<Utc>,
    pub answered_at: DateTime<Utc>,
}

/// Something physical that a charger was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub charger_id: String,
    pub action: String,
    pub payload: Value,
    /// By a right clock, whatever the charger's own says.
    pub at: DateTime<Utc>,
}

impl Asked {
    /// Whether something happens at the charger that must not happen twice.
    pub fn is_physical(action: &str) -> bool {
        ["RemoteStartTransaction", "RemoteStopTransaction", "UnlockConnector", "ChangeAvailability", "Reset"]
            .contains(&action)
    }
}

/// Told of every message of a charger that was acknowledged (CALLRESULT): what must not be lost from then on.
pub trait Witness: Send + Sync + 'static {
    fn acknowledged(&self, message: Acknowledged);

    /// The charger was asked for something physical, whatever it answers.
    fn asked(&self, asked: Asked) {
        let _ = asked;
    }

    /// The message was answered with a CALLERROR.
    fn refused(&self, charger_id: &str, action: &str, payload: &Value, code: &str) {
        let _ = (charger_id, action, payload, code);
    }
}

/// A witness that remembers everything but heartbeats. It grows without bound: for tests.
#[derive(Debug, Default)]
pub struct Journal(Mutex<Remembered>);

#[derive(Debug, Default, Clone)]
struct Remembered {
    acknowledged: Vec<Acknowledged>,
    asked: Vec<Asked>,
    refused: Vec<String>,
}

impl Journal {
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.with(|remembered| remembered.acknowledged.clone())
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.with(|remembered| remembered.asked.clone())
    }

    /// One line for each CALLERROR.
    pub fn refused(&self) -> Vec<String> {
        self.with(|remembered| remembered.refused.clone())
    }

    pub fn len(&self) -> usize {
        self.with(|remembered| remembered.acknowledged.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn with<T>(&self, look: impl FnOnce(&mut Remembered) -> T) -> T {
        // A panic elsewhere does not make what was remembered wrong.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Witness for Journal {
    fn acknowledged(&self, message: Acknowledged) {
        if message.action != "Heartbeat" {
            self.with(|remembered| remembered.acknowledged.push(message));
        }
    }

    fn asked(&self, asked: Asked) {
        self.with(|remembered| remembered.asked.push(asked));
    }

    fn refused(&self, charger_id: &str, action: &str, payload: &Value, code: &str) {
        let line = format!("{charger_id} {action} {payload}: {code}");
        self.with(|remembered| remembered.refused.push(line));
    }
}
