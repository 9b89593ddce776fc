//! Commands, and every reason for which one is refused.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::network::{self, Network};
use crate::service::{Answer, PASSWORD, Service};

const UNKNOWN: &str = "018f4b4c-0000-7000-8000-000000000001";

#[tokio::test]
async fn refusals_come_in_the_order_of_the_wire() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let network = Network::publish(&operator).await;
    let driver = service.register("maria").await;
    let start = "/api/sessions/start";
    let at = |charger_id: &str, connector_id: u32| json!({"charger_id": charger_id, "connector_id": connector_id});

    // Token, then body, then charger, then plan, then online, then connector: each with everything after it wrong too.
    service.post(start, json!({"nonsense": 1})).await.refused(401, "unauthenticated");
    driver.post(start, json!({"nonsense": 1})).await.invalid("nonsense");
    driver.post(start, at("CP404", 9)).await.refused(404, "charger-unknown");
    network.charger(&operator, "CP001").await;
    driver.post(start, at("CP001", 9)).await.refused(403, "no-active-plan");
    let path = format!("/api/drivers/{}/plan", driver.user_id());
    operator.post(&path, json!({"plan_id": network.plan_id})).await.taken();
    driver.post(start, at("CP001", 9)).await.refused(409, "charger-offline");
    let link = network::connect(&service, "CP001").await;
    driver.post(start, at("CP001", 9)).await.invalid("connector_id");
    network::report_status(&service, &link, 1, "Faulted").await;
    driver.post(start, at("CP001", 1)).await.refused(409, "connector-faulted");
    network::report_status(&service, &link, 2, "Charging").await;
    driver.post(start, at("CP001", 2)).await.refused(409, "connector-occupied");
    network::report_status(&service, &link, 1, "Available").await;
    let taken = driver.post(start, at("CP001", 1)).await.taken();
    assert!(taken.body["session_id"].is_string());

    // A second driver finds it taken; the same one is answered with the same session.
    let other = network.driver(&operator, "max").await;
    other.post(start, at("CP001", 1)).await.refused(409, "connector-occupied");
    let again = driver.post(start, json!({"charger_id": "CP001", "evse_id": 1})).await.taken();
    assert_eq!(again.body["session_id"], taken.body["session_id"]);
    assert_eq!(again.body["command_id"], taken.body["command_id"]);
}

#[tokio::test]
async fn a_session_is_stopped_by_its_driver_and_nobody_else() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let network = Network::publish(&operator).await;
    network.charger(&operator, "CP001").await;
    network::connect(&service, "CP001").await;
    let (driver, other) = (network.driver(&operator, "maria").await, network.driver(&operator, "max").await);
    let place = json!({"charger_id": "CP001", "connector_id": 1});
    let session_id = driver.post("/api/sessions/start", place.clone()).await.taken().text("session_id");

    let stop = json!({"session_id": session_id});
    other.post("/api/sessions/stop", stop.clone()).await.refused(404, "session-unknown");
    driver.post("/api/sessions/stop", json!({"session_id": UNKNOWN})).await.refused(404, "session-unknown");
    driver.post("/api/sessions/stop", json!({"session_id": "mine"})).await.invalid("session_id");
    let taken = driver.post("/api/sessions/stop", stop.clone()).await.taken();
    assert_eq!(taken.body["session_id"], session_id);
    driver.post("/api/sessions/stop", stop).await.refused(409, "session-over");
    // The EVSE is free again.
    other.post("/api/sessions/start", place).await.taken();
}

#[tokio::test]
async fn an_operator_starts_and_stops_for_others() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let network = Network::publish(&operator).await;
    network.charger(&operator, "CP001").await;
    let link = network::connect(&service, "CP001").await;
    let place = json!({"charger_id": "CP001", "connector_id": 1});
    operator.post("/api/sessions/start", place.clone()).await.refused(403, "forbidden");
    let session_id = operator.post("/api/charging/remote_start", place).await.taken().text("session_id");
    operator.post("/api/charging/remote_stop", json!({"session_id": session_id})).await.taken();

    let started = network::begin(&service, &link, 2, "CARD7").await;
    let stop = |transaction_id: i32| json!({"charger_id": "CP001", "transaction_id": transaction_id});
    operator.post("/api/charging/remote_stop", stop(4711)).await.refused(404, "session-unknown");
    let taken = operator.post("/api/charging/remote_stop", stop(started.transaction_id)).await.taken();
    assert_eq!(taken.body["session_id"], started.session_id.to_string());
    let unknown = json!({"charger_id": "CP404", "transaction_id": "1"});
    operator.post("/api/charging/remote_stop", unknown).await.refused(404, "charger-unknown");
    operator.post("/api/charging/remote_stop", json!({})).await.invalid("session_id");
}

#[tokio::test]
async fn what_operators_do_is_forbidden_to_drivers_whatever_they_send() {
    let service = Service::start().await;
    let driver = service.register("maria").await;
    for path in [
        "/api/chargers",
        "/api/chargers/CP001/commands",
        "/api/charging/remote_start",
        "/api/charging/remote_stop",
        "/api/sites",
        "/api/tariffs",
        "/api/plans",
        &format!("/api/drivers/{}/plan", driver.user_id()),
        &format!("/api/drivers/{}/tokens", driver.user_id()),
        &format!("/api/tokens/{UNKNOWN}/block"),
    ] {
        driver.post(path, json!({"nonsense": 1})).await.refused(403, "forbidden");
        service.post(path, json!({})).await.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn tokens_that_are_not_ours_are_refused() {
    let service = Service::start().await;
    let driver = service.register("maria").await;
    let good = driver.tokens["access_token"].as_str().unwrap().to_owned();
    let tampered = format!("{}AAAA", &good[..good.len() - 4]);
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.";
    let other = Service::start().await;
    let of_other = other.register("maria").await.tokens["access_token"].as_str().unwrap().to_owned();
    for header in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {good}"),
        format!("Bearer {tampered}"),
        format!("Bearer {unsigned}"),
        format!("Bearer {of_other}"),
        format!("Bearer {}", driver.refresh_token()),
    ] {
        let request = service.request("/api/sessions/stop").header("authorization", &header).json(&json!({}));
        Answer::of(request).await.refused(401, "unauthenticated");
    }
    let lower_case = service.request("/api/sessions/stop").header("authorization", format!("bearer {good}"));
    Answer::of(lower_case.json(&json!({}))).await.invalid("session_id");
    service.clock.advance(901);
    driver.post("/api/sessions/stop", json!({})).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_charger_is_registered_once() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let network = Network::publish(&operator).await;
    let body = json!({"charger_id": "CP 001", "password": "open sesame", "site_id": network.site_id});
    let taken = operator.post("/api/chargers", body.clone()).await.taken();
    assert_eq!(taken.body["charger_id"], "CP 001");
    operator.post("/api/chargers", body).await.refused(409, "already-exists");
    let credential: String = sqlx::query_scalar("SELECT credential FROM charger_registry WHERE identity = 'CP 001'")
        .fetch_one(service.database.pool())
        .await
        .unwrap();
    assert!(credential.starts_with("$argon2id$"), "{credential}");
    for (body, field) in [
        (json!({}), "charger_id"),
        (json!({"charger_id": ""}), "charger_id"),
        (json!({"charger_id": "a/b"}), "charger_id"),
        (json!({"charger_id": "a".repeat(49)}), "charger_id"),
        (json!({"charger_id": "CP002", "password": "short"}), "password"),
        (json!({"charger_id": "CP002", "site_id": UNKNOWN}), "site_id"),
        (json!({"charger_id": "CP002", "evses": [{"evse_id": 0, "connectors": []}]}), "evses[0].evse_id"),
        (json!({"charger_id": "CP002", "evses": [{"evse_id": 1}]}), "evses[0].connectors"),
        (json!({"charger_id": "CP002", "evses": [{"evse_id": 1, "connectors": []}]}), "evses"),
    ] {
        operator.post("/api/chargers", body).await.invalid(field);
    }
}

#[tokio::test]
async fn sites_tariffs_and_plans_are_published_in_versions() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let network = Network::publish(&operator).await;
    let with = |mut body: Value, path: &str, value: Value| {
        *body.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
        body
    };
    let mut again = network::tariff();
    again["tariff_id"] = json!(network.tariff_id);
    again["elements"][0]["price_components"][0]["price"] = json!("0.59");
    assert_eq!(operator.post("/api/tariffs", again.clone()).await.taken().text("tariff_id"), network.tariff_id);
    for (body, field) in [
        (with(again.clone(), "/tariff_id", json!(UNKNOWN)), "tariff_id"),
        (with(again.clone(), "/currency", json!("EURO")), "currency"),
        (with(again.clone(), "/elements", json!([])), "elements"),
        (
            with(again.clone(), "/elements/0/price_components/0/price", json!("cheap")),
            "elements[0].price_components[0].price",
        ),
        (
            with(again.clone(), "/elements/0/price_components/0/price", json!("-1")),
            "elements[0].price_components[0].price",
        ),
        (
            with(again.clone(), "/elements/0", json!({"price_components": [], "restrictions": {"from": 1}})),
            "elements[0].restrictions.from",
        ),
    ] {
        operator.post("/api/tariffs", body).await.invalid(field);
    }

    let mut site = network::site(&network.tariff_id);
    site["site_id"] = json!(network.site_id);
    site["name"] = json!("Harbour North");
    assert_eq!(operator.post("/api/sites", site.clone()).await.taken().text("site_id"), network.site_id);
    for (body, field) in [
        (with(site.clone(), "/time_zone", json!("Europe/Hamburg")), "time_zone"),
        (with(site.clone(), "/address/country", json!("Germany")), "address.country"),
        (with(site.clone(), "/address", json!({"street": "Am Kai 1", "country": "DE"})), "address.city"),
        (with(site.clone(), "/coordinates/latitude", json!(91)), "coordinates.latitude"),
        (with(site.clone(), "/tariff_id", json!(UNKNOWN)), "tariff_id"),
        (with(site.clone(), "/currency", json!("CHF")), "tariff_id"),
    ] {
        operator.post("/api/sites", body).await.invalid(field);
    }

    operator.post("/api/plans", json!({"name": " "})).await.invalid("name");
    let plan = json!({"name": "Regular", "plan_id": network.plan_id, "tariff_id": network.tariff_id});
    operator.post("/api/plans", plan.clone()).await.taken();
    operator.post("/api/plans", with(plan, "/plan_id", json!(UNKNOWN))).await.invalid("plan_id");
}

#[tokio::test]
async fn drivers_get_plans_and_tokens() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let driver = service.register("maria").await;
    let plan = format!("/api/drivers/{}/plan", driver.user_id());
    operator.post(&plan, json!({"plan_id": UNKNOWN})).await.invalid("plan_id");

    let tokens = format!("/api/drivers/{}/tokens", driver.user_id());
    let card = json!({"type": "ISO14443", "value": "04A2B3C4"});
    let token_id = operator.post(&tokens, card).await.taken().text("token_id");
    let same = json!({"type": "ISO14443", "value": "04a2b3c4"});
    assert_eq!(operator.post(&tokens, same.clone()).await.taken().text("token_id"), token_id);
    let other = format!("/api/drivers/{}/tokens", service.register("max").await.user_id());
    operator.post(&other, same).await.refused(409, "already-exists");
    operator.post(&tokens, json!({"type": "ISO14443", "value": "a".repeat(37)})).await.invalid("value");
    operator.post(&tokens, json!({"value": "04A2B3C4"})).await.invalid("type");

    let block = format!("/api/tokens/{token_id}/block");
    Answer::of(operator.request(&block)).await.taken();
    operator.post(&block, json!({})).await.taken();
    operator.post(&block, json!({"reason": "lost"})).await.invalid("reason");
}

/// What the path names is there or not: 404. What the body names is right or wrong: 422, with the field.
#[tokio::test]
async fn unknown_ids_are_not_found_in_paths_and_invalid_in_bodies() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let network = Network::publish(&operator).await;
    let driver = service.register("maria").await;
    let plan = json!({"plan_id": network.plan_id});
    let card = json!({"type": "ISO14443", "value": "04A2B3C4"});
    let reset = json!({"action": "Reset", "payload": {"type": "Soft"}});
    for id in [UNKNOWN, "maria", "%20"] {
        for (path, body, code) in [
            (format!("/api/drivers/{id}/plan"), &plan, "driver-unknown"),
            // The driver comes before the plan.
            (format!("/api/drivers/{id}/plan"), &json!({"plan_id": UNKNOWN}), "driver-unknown"),
            (format!("/api/drivers/{id}/tokens"), &card, "driver-unknown"),
            (format!("/api/tokens/{id}/block"), &json!({}), "token-unknown"),
            (format!("/api/chargers/{id}/commands"), &reset, "charger-unknown"),
        ] {
            operator.post(&path, body.clone()).await.refused(404, code);
        }
    }
    let unknown_plan = json!({"plan_id": UNKNOWN});
    operator.post(&format!("/api/drivers/{}/plan", driver.user_id()), unknown_plan).await.invalid("plan_id");
    for (path, body, field) in [
        ("/api/chargers", json!({"charger_id": "CP001", "site_id": UNKNOWN}), "site_id"),
        ("/api/plans", json!({"name": "Regular", "plan_id": UNKNOWN}), "plan_id"),
        ("/api/plans", json!({"name": "Regular", "tariff_id": UNKNOWN}), "tariff_id"),
        ("/api/sites", network::site(UNKNOWN), "tariff_id"),
    ] {
        operator.post(path, body).await.invalid(field);
    }
    // A refusal is kept under its key like any other.
    let path = format!("/api/drivers/{UNKNOWN}/plan");
    for _ in 0..2 {
        operator.post_with_key("k", &path, plan.clone()).await.refused(404, "driver-unknown");
    }
}

#[tokio::test]
async fn a_charger_is_asked_for_something() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let network = Network::publish(&operator).await;
    network.charger(&operator, "CP001").await;
    let path = "/api/chargers/CP001/commands";
    let reset = json!({"action": "Reset", "payload": {"type": "Soft"}});
    operator.post("/api/chargers/CP404/commands", reset.clone()).await.refused(404, "charger-unknown");
    operator.post(path, reset.clone()).await.refused(409, "charger-offline");
    network::connect(&service, "CP001").await;
    operator.post(path, reset).await.taken();
    operator.post(path, json!({"action": "ClearCache"})).await.taken();
    operator.post(path, json!({"action": "Explode"})).await.invalid("action");
    operator.post(path, json!({"action": "Reset", "payload": {"type": "Gentle"}})).await.invalid("payload.type");
    operator.post(path, json!({"action": "Reset", "payload": 7})).await.invalid("payload");
}

#[tokio::test]
async fn what_is_too_large_or_unreadable_is_said_to_be() {
    let service = Service::start().await;
    let driver = service.register("maria").await;
    let long = json!({"charger_id": "a".repeat(70_000)});
    driver.post("/api/sessions/start", long).await.refused(413, "too-large");
    let send = async |content_type: &str, body: &'static str| {
        Answer::of(driver.request("/api/sessions/start").header("content-type", content_type).body(body)).await
    };
    send("application/json", "{\"charger_id\":").await.refused(400, "invalid-request");
    let answer = send("text/plain", "{}").await.refused(400, "invalid-request");
    assert_eq!(answer.body["field"], "Content-Type");
    let zero = json!({"charger_id": "CP001", "connector_id": 0});
    driver.post("/api/sessions/start", zero).await.invalid("connector_id");
    let key = driver.post_with_key(&"k".repeat(256), "/api/sessions/start", json!({})).await;
    assert_eq!(key.refused(400, "invalid-request").body["field"], "Idempotency-Key");
}

#[tokio::test]
async fn a_command_carries_its_callers_trace() {
    let service = Service::start().await;
    let operator = service.operator().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let request = operator
        .request("/api/plans")
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .json(&json!({"name": "Regular"}));
    let answer = Answer::of(request).await.taken();
    assert!(answer.headers["traceparent"].to_str().unwrap().contains(trace));
    let metadata: String = sqlx::query_scalar("SELECT metadata::text FROM events WHERE position = $1")
        .bind(answer.body["position"].as_i64())
        .fetch_one(service.database.pool())
        .await
        .unwrap();
    assert!(metadata.contains(trace), "{metadata}");
}

/// The log is out of reach while accounts are not: the token still verifies, the command does not go through.
#[tokio::test]
async fn without_its_database_it_is_unavailable_and_says_when_to_come_back() {
    let service = Service::start().await;
    let operator = service.operator().await;
    operator.post("/api/plans", json!({"name": "Regular"})).await.taken();
    sqlx::query("ALTER TABLE streams RENAME TO elsewhere").execute(service.database.pool()).await.unwrap();
    let answer = operator.post_with_key("a", "/api/plans", json!({"name": "Night"})).await.refused(503, "unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    let answer =
        service.post("/api/auth/register", json!({"email": "a@b.org", "password": PASSWORD, "name": "A"})).await;
    answer.refused(503, "unavailable");
    sqlx::query("ALTER TABLE elsewhere RENAME TO streams").execute(service.database.pool()).await.unwrap();
    // Nothing of it was kept: the same again is carried out.
    operator.post_with_key("a", "/api/plans", json!({"name": "Night"})).await.taken();
    let body = json!({"email": "a@b.org", "password": PASSWORD, "name": "A"});
    service.post("/api/auth/register", body).await.expect(StatusCode::OK);
}
