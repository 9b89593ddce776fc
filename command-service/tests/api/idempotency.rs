//! The same key and the same request: the first answer.

use std::time::Duration;

use command_service::Rate;
use serde_json::json;

use crate::network::{self, Network};
use crate::service::{Answer, Service, settings};

#[tokio::test]
async fn the_same_again_gets_the_first_answer_and_another_body_a_conflict() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let first = operator.post_with_key("k1", "/api/plans", json!({"name": "Regular"})).await.taken();
    let again = operator.post_with_key("k1", "/api/plans", json!({"name": "Regular"})).await.taken();
    assert_eq!(again.body, first.body);
    // Written in another way, it is still the same request.
    let request =
        operator.request("/api/plans").header("Idempotency-Key", "k1").header("content-type", "application/json");
    let same = Answer::of(request.body("{ \"tariff_id\": null,\n \"name\": \"Regular\" }")).await.taken();
    assert_eq!(same.body, first.body);

    let other = operator.post_with_key("k1", "/api/plans", json!({"name": "Night"})).await;
    other.refused(409, "idempotency-conflict");
    let elsewhere = operator.post_with_key("k1", "/api/chargers", json!({"charger_id": "CP001"})).await;
    elsewhere.refused(409, "idempotency-conflict");
    let new = operator.post_with_key("k2", "/api/plans", json!({"name": "Regular"})).await.taken();
    assert_ne!(new.body["plan_id"], first.body["plan_id"]);
    let plans: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE event_type = 'PlanPublished'")
        .fetch_one(service.database.pool())
        .await
        .unwrap();
    assert_eq!(plans, 2);
}

#[tokio::test]
async fn keys_are_each_users_own_and_tell_targets_apart() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let network = Network::publish(&operator).await;
    network.charger(&operator, "CP001").await;
    network::connect(&service, "CP001").await;
    let (maria, max) = (network.driver(&operator, "maria").await, network.driver(&operator, "max").await);
    let place = |n: u32| json!({"charger_id": "CP001", "connector_id": n});
    let one = maria.post_with_key("k", "/api/sessions/start", place(1)).await.taken();
    let two = max.post_with_key("k", "/api/sessions/start", place(2)).await.taken();
    assert_ne!(one.body["session_id"], two.body["session_id"]);

    let plan = json!({"plan_id": network.plan_id});
    let path = |user: &str| format!("/api/drivers/{user}/plan");
    operator.post_with_key("p", &path(&maria.user_id()), plan.clone()).await.taken();
    operator.post_with_key("p", &path(&max.user_id()), plan).await.refused(409, "idempotency-conflict");
}

#[tokio::test]
async fn a_refusal_is_kept() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let network = Network::publish(&operator).await;
    network.charger(&operator, "CP001").await;
    let driver = network.driver(&operator, "maria").await;
    let place = json!({"charger_id": "CP001", "connector_id": 1});
    let start = "/api/sessions/start";
    let first = driver.post_with_key("k", start, place.clone()).await.refused(409, "charger-offline");
    network::connect(&service, "CP001").await;
    let again = driver.post_with_key("k", start, place.clone()).await.refused(409, "charger-offline");
    assert_eq!(again.body, first.body);
    driver
        .post_with_key("k", start, json!({"charger_id": "CP001", "connector_id": 2}))
        .await
        .refused(409, "idempotency-conflict");
    driver.post_with_key("k2", start, place).await.taken();
    let unknown = json!({"charger_id": "CP002", "connector_id": 1});
    driver.post_with_key("k3", start, unknown.clone()).await.refused(404, "charger-unknown");
    network.charger(&operator, "CP002").await;
    driver.post_with_key("k3", start, unknown).await.refused(404, "charger-unknown");
}

#[tokio::test]
async fn what_was_not_looked_at_is_not_kept() {
    let mut settings = settings();
    settings.rates.by_driver = Rate { burst: 3, refill: Duration::from_secs(10) };
    let service = Service::with(settings).await;
    let operator = service.operator().await;
    let network = Network::publish(&operator).await;
    network.charger(&operator, "CP001").await;
    network::connect(&service, "CP001").await;
    let driver = network.driver(&operator, "maria").await;
    let place = json!({"charger_id": "CP001", "connector_id": 1});
    let start = "/api/sessions/start";
    let request = service.request(start).header("Idempotency-Key", "k").json(&place);
    Answer::of(request).await.refused(401, "unauthenticated");
    let request = driver.request(start).header("Idempotency-Key", "k").header("content-type", "application/json");
    Answer::of(request.body("{")).await.refused(400, "invalid-request");
    driver.post_with_key("k", start, json!({"charger_id": "CP001"})).await.invalid("connector_id");
    driver.post_with_key("other", start, json!({})).await.invalid("charger_id");
    driver.post_with_key("k", start, place.clone()).await.refused(429, "rate-limited");
    service.clock.advance(10);
    driver.post_with_key("k", start, place).await.taken();
}

#[tokio::test]
async fn of_many_at_once_one_is_done_and_all_are_answered_alike() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let attempts = (0..16).map(|_| operator.post_with_key("k", "/api/plans", json!({"name": "Regular"})));
    let answers = futures_util::future::join_all(attempts).await;
    let bodies: std::collections::BTreeSet<_> =
        answers.into_iter().map(|answer| answer.taken().body.to_string()).collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}
