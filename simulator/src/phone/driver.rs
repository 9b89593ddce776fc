use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::account::Account;
use super::error::Error;
use super::held::Held;
use super::line::Line;

/// How often the same command is sent until it is answered.
const ATTEMPTS_MAX: u32 = 20;
const ATTEMPT_WAIT: Duration = Duration::from_millis(500);
/// The states of a session from which nothing more comes by itself.
const OVER: [&str; 2] = ["completed", "failed"];

/// The answer to a command that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Accepted {
    pub command_id: String,
    pub position: i64,
    #[serde(default)]
    pub session_id: Option<String>,
}

/// What a driver holds in the hand.
#[derive(Clone)]
pub struct Phone {
    pub account: Account,
    pub line: Line,
}

impl Phone {
    /// Starts a charge. A lost connection does not matter: the same command is said again.
    pub async fn start(&self, charger_id: &str, connector_id: usize) -> Result<Accepted, Error> {
        self.command(json!({"action": "start_charging", "charger_id": charger_id, "connector_id": connector_id})).await
    }

    pub async fn stop(&self, session_id: &str) -> Result<Accepted, Error> {
        self.command(json!({"action": "stop_charging", "session_id": session_id})).await
    }

    /// The same over HTTP.
    pub async fn start_over_http(&self, charger_id: &str, connector_id: usize) -> Result<Accepted, Error> {
        let body = json!({"charger_id": charger_id, "connector_id": connector_id});
        self.post("/api/sessions/start", &body).await
    }

    pub async fn stop_over_http(&self, session_id: &str) -> Result<Accepted, Error> {
        self.post("/api/sessions/stop", &json!({"session_id": session_id})).await
    }

    /// Follows a session until it is in one of the states or is over, and gives it as it was then.
    pub async fn wait_for_session(&self, accepted: &Accepted, states: &[&str]) -> Result<Value, Error> {
        let session_id = accepted.session_id.as_deref().unwrap_or_default();
        let key = format!("session:{session_id}");
        let wanted = |data: &Value| {
            let state = data["state"].as_str().unwrap_or_default();
            states.contains(&state) || OVER.contains(&state)
        };
        let seen = |held: &Held| held.newest(&key).filter(|held| wanted(&held.data)).map(|held| held.data.clone());
        // A snapshot says nothing of what has left the topic.
        let gone = |held: &Held| {
            let mine = held.topic("me").filter(|mine| mine.upto >= Some(accepted.position));
            mine.is_some_and(|mine| !mine.resources.contains_key(&key))
        };
        loop {
            let held = self.line.wait_for(|held| seen(held).is_some() || gone(held)).await?;
            if let Some(session) = seen(&held) {
                return Ok(session);
            }
            let path = format!("/api/sessions/{session_id}?min_position={}", accepted.position);
            match self.account.get(&path).await {
                Ok(session) if wanted(&session) => return Ok(session),
                Err(error) if error.retry_after().is_none() => return Err(error),
                _ => sleep(ATTEMPT_WAIT).await,
            }
        }
    }

    async fn command(&self, mut message: Value) -> Result<Accepted, Error> {
        message["command_id"] = Uuid::now_v7().to_string().into();
        repeat(|| self.line.ask(message.clone())).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Accepted, Error> {
        let key = Uuid::now_v7().to_string();
        repeat(|| self.account.post(path, body, Some(&key))).await
    }
}

async fn repeat<F: Future<Output = Result<Value, Error>>>(mut attempt: impl FnMut() -> F) -> Result<Accepted, Error> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match attempt().await {
            Ok(answer) => return serde_json::from_value(answer).map_err(|error| Error::Unexpected(error.to_string())),
            Err(error) => match error.retry_after() {
                Some(wait) if attempts < ATTEMPTS_MAX => sleep(wait.max(ATTEMPT_WAIT)).await,
                _ => return Err(error),
            },
        }
    }
}
