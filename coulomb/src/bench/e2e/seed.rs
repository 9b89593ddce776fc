use anyhow::ensure;
use serde_json::{Value, json};

use crate::bench::platform::Reach;

pub fn charger_id(number: usize) -> String {
    format!("BENCH{number:05}")
}

/// The operator's access token.
pub async fn login(reach: &Reach) -> anyhow::Result<String> {
    let login: Value = reqwest::Client::new()
        .post(format!("{}/api/auth/login", reach.commands))
        .json(&json!({"email": reach.operator_email, "password": reach.operator_password}))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let token = login["access_token"].as_str().unwrap_or_default().to_owned();
    ensure!(!token.is_empty(), "the login gave no access token");
    Ok(token)
}

/// Registers the chargers as the operator.
pub async fn chargers(reach: &Reach, token: &str, count: u32) -> anyhow::Result<()> {
    let http = reqwest::Client::new();
    let mut position = 0;
    for number in 0..count as usize {
        let evses = json!([{"evse_id": 1, "connectors": [{"connector_id": 1}]}]);
        let answer: Value = http
            .post(format!("{}/api/chargers", reach.commands))
            .bearer_auth(token)
            .json(&json!({"charger_id": charger_id(number), "evses": evses}))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        position = answer["position"].as_i64().unwrap_or(position);
    }
    // Until the read models have them, nobody can subscribe to them.
    let last = charger_id(count as usize - 1);
    http.get(format!("{}/api/chargers/{last}?min_position={position}", reach.queries))
        .bearer_auth(token)
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}
