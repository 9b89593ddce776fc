use anyhow::ensure;
use serde_json::{Value, json};

use crate::bench::platform::Platform;

pub fn charger_id(number: usize) -> String {
    format!("BENCH{number:05}")
}

/// Registers the chargers as the operator; answers the operator's access token.
pub async fn chargers(platform: &Platform, count: u32) -> anyhow::Result<String> {
    let http = reqwest::Client::new();
    let base = platform.http_url();
    let login: Value = http
        .post(format!("{base}/api/auth/login"))
        .json(&json!({"email": platform.operator_email(), "password": platform.operator_password()}))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let token = login["access_token"].as_str().unwrap_or_default().to_owned();
    ensure!(!token.is_empty(), "the login gave no access token");
    let mut position = 0;
    for number in 0..count as usize {
        let evses = json!([{"evse_id": 1, "connectors": [{"connector_id": 1}]}]);
        let answer: Value = http
            .post(format!("{base}/api/chargers"))
            .bearer_auth(&token)
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
    http.get(format!("{base}/api/chargers/{last}?min_position={position}"))
        .bearer_auth(&token)
        .send()
        .await?
        .error_for_status()?;
    Ok(token)
}
