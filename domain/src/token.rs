//! A token: the card, fob or app credential that a charger is shown. Its value is sealed; its stream is found by a keyed
//! hash of the value.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aggregate::{Decide, aggregate, event_names};
use crate::event::AggregateType;
use crate::id::{DriverId, Sealed, TokenId};
use crate::refusal::Refusal;

/// `IdTokenEnumType` of OCPP 2.0.1, an open list.
pub type TokenType = String;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenStatus {
    #[default]
    Accepted,
    Blocked,
    Expired,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenDetails {
    /// The token: the id of its stream.
    pub token_id: TokenId,
    /// What kind it is: `IdTokenEnumType` of OCPP 2.0.1, an open list.
    #[serde(rename = "type")]
    pub kind: TokenType,
    /// What the charger is shown: the number of the card, for example.
    pub value: Sealed,
    /// Whose it is; null: nobody's.
    pub driver_id: Option<DriverId>,
    /// `parentIdTag` or `groupIdToken`: tokens of one group may stop each other's sessions; null: of none.
    pub group: Option<String>,
    /// From when it is not accepted any more; null: never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What is known of a token: the card, fob or app credential that a charger is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenEvent {
    /// A token was registered, or described anew.
    TokenRegistered(TokenDetails),
    /// The token is not accepted any more.
    TokenBlocked {},
    /// The token is accepted again.
    TokenUnblocked {},
}

event_names!(TokenEvent { TokenRegistered => "1", TokenBlocked => "1", TokenUnblocked => "1" });

#[derive(Debug, Clone)]
pub enum TokenCommand {
    Register(TokenDetails),
    Block,
    Unblock,
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    pub details: Option<TokenDetails>,
    pub blocked: bool,
}

impl Token {
    /// How it stands at `now`; none while nobody registered it.
    pub fn status(&self, now: DateTime<Utc>) -> Option<TokenStatus> {
        let details = self.details.as_ref()?;
        Some(match details.expires_at {
            _ if self.blocked => TokenStatus::Blocked,
            Some(end) if end <= now => TokenStatus::Expired,
            _ => TokenStatus::Accepted,
        })
    }

    fn apply_event(&mut self, event: TokenEvent) {
        match event {
            TokenEvent::TokenRegistered(details) => self.details = Some(details),
            TokenEvent::TokenBlocked {} => self.blocked = true,
            TokenEvent::TokenUnblocked {} => self.blocked = false,
        }
    }
}

impl Decide for Token {
    const AGGREGATE: AggregateType = AggregateType::Token;
    const FOLD_VERSION: i32 = 1;

    fn decide(&self, command: TokenCommand) -> Result<Vec<TokenEvent>, Refusal> {
        match (command, &self.details) {
            (TokenCommand::Register(details), None) => Ok(vec![TokenEvent::TokenRegistered(details)]),
            (TokenCommand::Register(details), Some(present)) if details.driver_id == present.driver_id => {
                // The value is sealed anew each time, and known to be the same by its hash.
                let same = details.kind == present.kind
                    && details.group == present.group
                    && details.expires_at == present.expires_at;
                Ok(if same { vec![] } else { vec![TokenEvent::TokenRegistered(details)] })
            }
            (TokenCommand::Register(_), Some(_)) => {
                Err(Refusal::AlreadyExists("The token is registered already, to somebody else."))
            }
            (_, None) => Err(Refusal::TokenUnknown),
            (TokenCommand::Block, Some(_)) if self.blocked => Ok(vec![]),
            (TokenCommand::Block, Some(_)) => Ok(vec![TokenEvent::TokenBlocked {}]),
            (TokenCommand::Unblock, Some(_)) if !self.blocked => Ok(vec![]),
            (TokenCommand::Unblock, Some(_)) => Ok(vec![TokenEvent::TokenUnblocked {}]),
        }
    }
}

aggregate!(Token, TokenCommand, TokenEvent, Token);
