//! Registering, logging in and out.

use domain::driver::Driver;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::service::{Answer, OPERATOR, PASSWORD, Service, settings};

async fn driver_in_log(service: &Service, id: &str) -> Option<String> {
    let id = Uuid::parse_str(id).unwrap();
    let driver = service.application.store().load::<Driver>(id).await.unwrap().state;
    driver.driver_id.map(|id| id.to_string())
}

#[tokio::test]
async fn a_registered_driver_is_in_the_log_and_logs_in_again() {
    let service = Service::start().await;
    let body = json!({"email": " Maria@Example.org", "password": PASSWORD, "name": "Maria", "phone": "+49 30 901820"});
    let answer = service.post("/api/auth/register", body).await.expect(StatusCode::OK);
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["expires_in"], 900);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let maria = service.login("maria@example.ORG").await;
    assert_eq!(driver_in_log(&service, &maria.user_id()).await, Some(maria.user_id()));
    let taken = json!({"email": "MARIA@example.org", "password": "another password", "name": "Eve"});
    service.post("/api/auth/register", taken).await.refused(409, "email-taken");
    let same = json!({"email": "maria@example.org", "password": PASSWORD, "name": "Maria"});
    service.post("/api/auth/register", same).await.refused(409, "email-taken");
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_named() {
    let service = Service::start().await;
    let good = json!({"email": "maria@example.org", "password": PASSWORD, "name": "Maria"});
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let without = |field: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        body
    };
    for (body, field) in [
        (with("email", json!("maria")), "email"),
        (with("email", json!(7)), "email"),
        (without("email"), "email"),
        (with("password", json!("1234567")), "password"),
        (with("password", json!("a".repeat(257))), "password"),
        (without("password"), "password"),
        (with("name", json!(" ")), "name"),
        (without("name"), "name"),
        (with("phone", json!("call me")), "phone"),
        (with("role", json!("operator")), "role"),
    ] {
        let answer = service.post("/api/auth/register", body).await.invalid(field);
        assert!(!answer.body["detail"].as_str().unwrap().contains("1234567"), "{}", answer.body);
    }
    let send = async |path: &str, content_type: &str, body: String| {
        Answer::of(service.request(path).header("content-type", content_type).body(body)).await
    };
    let json = "application/json";
    send("/api/auth/login", json, "{".to_owned()).await.refused(400, "invalid-request");
    send("/api/auth/login", "text/plain", "{}".to_owned()).await.refused(400, "invalid-request");
    send("/api/auth/login", json, format!("\"{}\"", "a".repeat(70_000))).await.refused(413, "too-large");
    let device = json!({"email": "maria@example.org", "password": PASSWORD, "device_id": ""});
    service.post("/api/auth/login", device).await.invalid("device_id");
    // Passwords of any length that can be chosen.
    for password in ["a".repeat(8), "ü".repeat(256)] {
        let body = json!({"email": format!("{}@example.org", password.len()), "password": password, "name": "Max"});
        service.post("/api/auth/register", body).await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn wrong_and_unknown_look_the_same() {
    let service = Service::start().await;
    service.register("maria").await;
    let login = async |email: &str, password: &str| {
        service.post("/api/auth/login", json!({"email": email, "password": password})).await
    };
    let wrong = login("maria@example.org", "wrong password").await.refused(401, "unauthenticated");
    let unknown = login("nobody@example.org", PASSWORD).await.refused(401, "unauthenticated");
    assert_eq!(wrong.body, unknown.body);
    assert_eq!(wrong.headers["www-authenticate"], "Bearer");
    login("maria@example.org", "short").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn one_of_many_registrations_of_one_address_wins() {
    let service = Service::start().await;
    let body = json!({"email": "maria@example.org", "password": PASSWORD, "name": "Maria"});
    let attempts = (0..8).map(|_| service.post("/api/auth/register", body.clone()));
    let answers = futures_util::future::join_all(attempts).await;
    // Another one that sees the first unfinished carries it on, and is the same driver.
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == StatusCode::OK);
    assert!(!taken.is_empty());
    for answer in refused {
        answer.refused(409, "email-taken");
    }
    let accounts: i64 = sqlx::query_scalar("SELECT count(*) FROM accounts WHERE role = 'driver'")
        .fetch_one(service.database.pool())
        .await
        .unwrap();
    let drivers: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE event_type = 'DriverRegistered'")
        .fetch_one(service.database.pool())
        .await
        .unwrap();
    assert_eq!((accounts, drivers), (1, 1));
}

/// The process was killed after the account's row and before the driver's event.
#[tokio::test]
async fn a_registration_that_was_cut_off_is_finished_by_the_next_login() {
    let service = Service::start().await;
    for (name, by_registering) in [("maria", false), ("max", true)] {
        service.register(name).await;
        let (id, email) = (Uuid::now_v7(), format!("{name}@example.org"));
        sqlx::query("WITH families AS (DELETE FROM refresh_families) UPDATE accounts SET user_id = $1, in_log = false WHERE email = $2")
            .bind(id)
            .bind(&email)
            .execute(service.database.pool())
            .await
            .unwrap();
        assert_eq!(driver_in_log(&service, &id.to_string()).await, None);
        if by_registering {
            let other = json!({"email": email, "password": "another password", "name": "Eve"});
            service.post("/api/auth/register", other).await.refused(409, "email-taken");
            assert_eq!(driver_in_log(&service, &id.to_string()).await, None);
            service.register(name).await;
        } else {
            service.login(&email).await;
        }
        assert_eq!(driver_in_log(&service, &id.to_string()).await, Some(id.to_string()));
        let in_log: bool = sqlx::query_scalar("SELECT in_log FROM accounts WHERE user_id = $1")
            .bind(id)
            .fetch_one(service.database.pool())
            .await
            .unwrap();
        assert!(in_log);
    }
}

#[tokio::test]
async fn logging_out_revokes_the_device_and_no_other() {
    let service = Service::start().await;
    let phone = service.register("maria").await;
    let tablet = service.login("maria@example.org").await;
    let logout = async |token: &str| service.post("/api/auth/logout", json!({"refresh_token": token})).await;
    for token in [&phone.refresh_token(), &phone.refresh_token(), "nonsense", ""] {
        logout(token).await.expect(StatusCode::NO_CONTENT);
    }
    service.refresh(&phone.refresh_token()).await.refused(401, "unauthenticated");
    service.refresh(&tablet.refresh_token()).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_operator_is_there_from_the_start_with_the_configured_password() {
    let service = Service::start().await;
    service.operator().await.post("/api/plans", json!({"name": "Regular"})).await.taken();
    // Nobody becomes an operator by registering.
    let body = json!({"email": OPERATOR, "password": PASSWORD, "name": "Eve"});
    service.post("/api/auth/register", body).await.refused(409, "email-taken");

    let accounts = command_service::accounts::Accounts::new(
        service.application.clone(),
        service.database.pool().into(),
        settings().accounts,
    )
    .unwrap();
    let account = |email: &str, password: &str| command_service::accounts::NewAccount {
        email: command_service::accounts::Email::parse(email).unwrap(),
        password: command_service::accounts::Password::choose(password).unwrap(),
        name: command_service::accounts::Name::parse("Somebody").unwrap(),
        phone: None,
    };
    let before = service.operator().await;
    let now = service.clock.now();
    let same = accounts.ensure_operator(&account(OPERATOR, "a new password"), now).await.unwrap();
    assert_eq!(same.to_string(), before.user_id());
    service
        .post("/api/auth/login", json!({"email": OPERATOR, "password": PASSWORD}))
        .await
        .refused(401, "unauthenticated");
    service
        .post("/api/auth/login", json!({"email": OPERATOR, "password": "a new password"}))
        .await
        .expect(StatusCode::OK);
    // Whoever knew the old password is out.
    service.refresh(&before.refresh_token()).await.refused(401, "unauthenticated");

    let driver = accounts.ensure_driver(&account("demo@example.org", PASSWORD), now).await.unwrap();
    assert_eq!(accounts.ensure_driver(&account("demo@example.org", PASSWORD), now).await.unwrap(), driver);
    assert_eq!(driver_in_log(&service, &driver.to_string()).await, Some(driver.to_string()));
    let taken = accounts.ensure_operator(&account("demo@example.org", PASSWORD), now).await;
    assert!(matches!(taken, Err(command_service::accounts::Error::EmailTaken)));
}

#[tokio::test]
async fn a_full_queue_of_passwords_is_unavailable() {
    let mut settings = settings();
    settings.operator = None;
    settings.accounts.hash_queue.parallel_max = 0;
    settings.accounts.hash_queue.waiting_max = 0;
    let service = Service::with(settings).await;
    let body = json!({"email": "maria@example.org", "password": PASSWORD});
    let answer = service.post("/api/auth/login", body).await.refused(503, "unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn it_is_healthy_documented_and_measured() {
    let service = Service::start().await;
    service.register("maria").await;
    service.becomes_ready().await;
    let document = service.get("/openapi.json").await.expect(StatusCode::OK);
    assert!(document.body["paths"]["/api/sessions/start"]["post"].is_object());
    service.get("/api/sessions").await.refused(404, "not-found");
    service.get("/api/sessions/start").await.refused(405, "method-not-allowed");
    let metrics = service.get("/metrics").await.body.as_str().unwrap().to_owned();
    for metric in [
        r#"coulomb_command_service_requests_total{kind="register",code="ok"}"#,
        "coulomb_command_service_password_hashes_waiting",
        "coulomb_command_service_password_hash_duration_seconds_count",
    ] {
        assert!(metrics.contains(metric), "{metric} is missing");
    }
    service.stop().await;
}
