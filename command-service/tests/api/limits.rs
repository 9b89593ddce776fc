//! What is taken how often.

use std::time::Duration;

use command_service::{Rate, Settings};
use reqwest::StatusCode;
use serde_json::json;

use crate::service::{Answer, PASSWORD, Service, settings};

const THREE: Rate = Rate { burst: 3, refill: Duration::from_secs(10) };

fn with(set: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = settings();
    set(&mut settings);
    settings
}

fn limited(answer: Answer, seconds: &str) {
    let answer = answer.refused(429, "rate-limited");
    assert_eq!(answer.headers["retry-after"], seconds);
}

#[tokio::test]
async fn wrong_passwords_are_limited_for_each_account() {
    let service = Service::with(with(|settings| settings.accounts.attempts.by_account = THREE)).await;
    service.register("maria").await;
    let login = async |email: &str, password: &str| {
        service.post("/api/auth/login", json!({"email": email, "password": password})).await
    };
    for _ in 0..5 {
        login("maria@example.org", PASSWORD).await.expect(StatusCode::OK);
    }
    // The same for one that does not exist: the limit tells nothing.
    for email in ["maria@example.org", "nobody@example.org"] {
        for _ in 0..3 {
            login(email, "wrong password").await.refused(401, "unauthenticated");
        }
        limited(login(email, "wrong password").await, "10");
    }
    limited(login("maria@example.org", PASSWORD).await, "10");
    login("max@example.org", "wrong password").await.refused(401, "unauthenticated");
    service.clock.advance(10);
    login("maria@example.org", PASSWORD).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn wrong_secrets_are_limited_for_each_address() {
    let service = Service::with(with(|settings| settings.accounts.attempts.by_address = THREE)).await;
    let maria = service.register("maria").await;
    for n in 0..2 {
        let body = json!({"email": format!("{n}@example.org"), "password": PASSWORD});
        service.post("/api/auth/login", body).await.refused(401, "unauthenticated");
    }
    service.refresh("nonsense").await.refused(401, "unauthenticated");
    limited(service.refresh(&maria.refresh_token()).await, "10");
    service.clock.advance(10);
    service.refresh(&maria.refresh_token()).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn registrations_are_limited_for_each_address() {
    let service = Service::with(with(|settings| settings.accounts.attempts.registrations = THREE)).await;
    for n in 0..3 {
        service.register(&n.to_string()).await;
    }
    let body = json!({"email": "maria@example.org", "password": PASSWORD, "name": "Maria"});
    limited(service.post("/api/auth/register", body).await, "10");
}

#[tokio::test]
async fn commands_are_limited_for_each_driver() {
    let service = Service::with(with(|settings| settings.rates.by_driver = THREE)).await;
    let (maria, max) = (service.register("maria").await, service.register("max").await);
    for _ in 0..3 {
        maria.post("/api/sessions/stop", json!({})).await.invalid("session_id");
    }
    limited(maria.post("/api/sessions/stop", json!({})).await, "10");
    max.post("/api/sessions/stop", json!({})).await.invalid("session_id");
    service.clock.advance(4);
    limited(maria.post("/api/sessions/stop", json!({})).await, "6");
    service.clock.advance(6);
    maria.post("/api/sessions/stop", json!({})).await.invalid("session_id");
}

#[tokio::test]
async fn requests_are_limited_for_each_address_whoever_they_are_from() {
    let service = Service::with(with(|settings| settings.rates.by_address = THREE)).await;
    for _ in 0..3 {
        service.post("/api/sessions/stop", json!({})).await.refused(401, "unauthenticated");
    }
    limited(service.post("/api/sessions/stop", json!({})).await, "10");
    limited(service.post("/api/auth/login", json!({})).await, "10");
    // Nobody believes the header of somebody who is not a trusted proxy.
    let request = service.request("/api/auth/login").header("x-forwarded-for", "198.51.100.1").json(&json!({}));
    limited(Answer::of(request).await, "10");
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_counts() {
    let settings = with(|settings| {
        settings.rates.by_address = THREE;
        settings.trusted_proxies = command_service::TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
    });
    let service = Service::with(settings).await;
    let ask = async |client: &str| {
        let request = service.request("/api/auth/login").header("x-forwarded-for", client).json(&json!({}));
        Answer::of(request).await
    };
    for client in ["198.51.100.1", "198.51.100.2"] {
        for n in 0..3 {
            ask(&format!("192.0.2.{n}, {client}")).await.invalid("email");
        }
        limited(ask(client).await, "10");
    }
}
