//! Under what circumstances a command is given.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::envelope::Envelope;
use domain::id::CommandId;
use domain::refusal::Refusal;
use event_store::CommandKey;
use serde_json::Value;
use uuid::Uuid;

use crate::auth::Caller;

/// How long a key is kept.
const IDEMPOTENCY_DAYS: i64 = 7;

/// A client's own name for a request: the same again gets the first answer.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// At most 255 characters.
    pub key: String,
    /// SHA-256 of what is asked.
    pub body_hash: [u8; 32],
}

/// Who asks, when, under what name.
#[derive(Debug, Clone)]
pub struct CommandContext {
    pub caller: Caller,
    pub idempotency: Option<Idempotency>,
    /// W3C trace id.
    pub trace_id: Option<String>,
    pub now: DateTime<Utc>,
}

impl CommandContext {
    pub(crate) fn envelope(&self, command_id: CommandId) -> Arc<Envelope> {
        let mut envelope = Envelope::new(self.caller.tenant_id, self.caller.actor())
            .caused_by(command_id.0)
            .correlated_with(command_id.0);
        envelope.trace_id.clone_from(&self.trace_id);
        Arc::new(envelope)
    }

    /// A user's keys are one namespace, whichever way a command comes.
    pub(crate) fn scope(&self) -> String {
        format!("user:{}", self.caller.user_id)
    }

    pub(crate) fn key(&self, answer: Value) -> Option<CommandKey> {
        let idempotency = self.idempotency.as_ref()?;
        Some(CommandKey {
            scope: self.scope(),
            key: idempotency.key.clone(),
            body_hash: idempotency.body_hash,
            answer,
            expires_at: Some(self.now + TimeDelta::days(IDEMPOTENCY_DAYS)),
        })
    }

    /// The id of the command: a client's own, where its key is a UUID, so that it can follow the command from the start.
    pub(crate) fn command_id(&self) -> CommandId {
        let own = self.idempotency.as_ref().and_then(|idempotency| Uuid::parse_str(&idempotency.key).ok());
        match own {
            // Keys are of one user only; ids are of the whole network.
            Some(own) => CommandId(Uuid::new_v5(&self.caller.user_id, own.as_bytes())),
            None => CommandId::generate(),
        }
    }

    pub(crate) fn only_operators(&self) -> Result<(), Refusal> {
        if self.caller.is_operator() {
            return Ok(());
        }
        Err(Refusal::Forbidden("Only operators of the network may do this."))
    }
}
