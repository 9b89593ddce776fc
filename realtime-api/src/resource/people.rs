//! Drivers and their tokens, for operators.

use application::vault::{self, Vault};
use chrono::{DateTime, Utc};
use domain::token::TokenStatus;
use schema::api::query;
use schema::view::{DriverRow, TokenRow};

use super::At;

pub fn driver(row: At<'_, DriverRow>) -> query::Driver {
    query::Driver {
        driver_id: row.row.driver_id.to_string(),
        plan_id: row.row.driver.plan_id.map(|id| id.to_string()),
        erased: row.row.driver.erased,
        registered_at: row.row.registered_at.into(),
        position: row.position.0,
    }
}

/// The sealed value is opened here, where the answer is written; of an erased person it stays closed.
pub async fn token(row: At<'_, TokenRow>, vault: &Vault, now: DateTime<Utc>) -> Result<query::Token, vault::Error> {
    let token = &row.row.token;
    let details = token.details.as_ref();
    let value = match details {
        Some(details) => vault.open(&details.value).await?,
        None => None,
    };
    Ok(query::Token {
        token_id: row.row.token_id.to_string(),
        kind: details.map(|details| details.kind.clone()),
        value,
        driver_id: details.and_then(|details| details.driver_id).map(|id| id.to_string()),
        group: details.and_then(|details| details.group.clone()),
        status: token.status(now).map(|status| {
            let word = match status {
                TokenStatus::Accepted => "accepted",
                TokenStatus::Blocked => "blocked",
                TokenStatus::Expired => "expired",
            };
            word.to_owned()
        }),
        expires_at: details.and_then(|details| details.expires_at).map(Into::into),
        registered_at: row.row.registered_at.into(),
        position: row.position.0,
    })
}
