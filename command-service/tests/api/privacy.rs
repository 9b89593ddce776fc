//! No personal data stands in the clear outside of accounts, and no secret anywhere.

use serde_json::json;

use crate::network::{self, Network};
use crate::service::Service;

/// The tables in which a text stands: as it is, or as the bytes of a binary column.
async fn tables_with(service: &Service, text: &str) -> Vec<String> {
    let pool = service.database.pool();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(tables.len() > 8, "{tables:?}");
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = Vec::new();
    for table in tables {
        let sql = format!("SELECT count(*) FROM {table} AS t WHERE t::text ILIKE $1 OR t::text ILIKE $2");
        let hits: i64 =
            sqlx::query_scalar(&sql).bind(format!("%{text}%")).bind(format!("%{hex}%")).fetch_one(pool).await.unwrap();
        if hits > 0 {
            found.push(table);
        }
    }
    found
}

#[tokio::test]
async fn personal_data_stands_in_accounts_alone_and_secrets_nowhere() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let network = Network::publish(&operator).await;
    let register = json!({
        "email": "maria.musterfrau@example.org", "password": "Geheimnis-4711", "name": "Maria Musterfrau",
        "phone": "+49 30 9018201234",
    });
    let tokens = service.post("/api/auth/register", register).await;
    let login = json!({
        "email": "maria.musterfrau@example.org", "password": "Geheimnis-4711", "device_id": "Marias Telefon",
    });
    let login = service.post("/api/auth/login", login).await;
    let refreshed = service.refresh(&login.text("refresh_token")).await;
    let maria = crate::service::User { service: &service, tokens: refreshed.body.clone() };
    let driver = format!("/api/drivers/{}", maria.user_id());
    operator.post_with_key("plan", &format!("{driver}/plan"), json!({"plan_id": network.plan_id})).await.taken();
    let card = json!({"type": "ISO14443", "value": "04DEADBEEF4711"});
    operator.post_with_key("card", &format!("{driver}/tokens"), card.clone()).await.taken();
    operator.post_with_key("card-2", &format!("{driver}/tokens"), card).await.taken();
    let charger = json!({
        "charger_id": "CP001", "password": "Sesam-oeffne-dich", "site_id": network.site_id,
        "evses": [{"evse_id": 1, "connectors": [{"connector_id": 1}]}],
    });
    operator.post_with_key("charger", "/api/chargers", charger).await.taken();
    network::connect(&service, "CP001").await;
    let start = json!({"charger_id": "CP001", "connector_id": 1, "id_tag": "04DEADBEEF4711"});
    operator.post_with_key("start", "/api/charging/remote_start", start).await.taken();

    for personal in ["maria.musterfrau", "Maria Musterfrau", "9018201234"] {
        assert_eq!(tables_with(&service, personal).await, ["accounts"], "{personal}");
    }
    assert_eq!(tables_with(&service, "Marias Telefon").await, ["refresh_families"]);
    let mut secrets = vec!["Geheimnis-4711".to_owned(), "Sesam-oeffne-dich".to_owned(), "04DEADBEEF4711".to_owned()];
    for answer in [&tokens, &login, &refreshed] {
        secrets.extend([answer.text("refresh_token"), answer.text("access_token")]);
    }
    for secret in secrets {
        assert_eq!(tables_with(&service, &secret).await, [""; 0], "{secret}");
    }
}
