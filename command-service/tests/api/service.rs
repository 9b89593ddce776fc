//! A running service on a database and a port of its own, with a clock that stands until it is moved.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use application::Application;
use application::vault::MasterKey;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use command_service::accounts::{self, AttemptLimits, HashCost, HashQueue};
use command_service::{Clock, Config, OperatorLogin, Rate, RequestRates, Settings};
use embedded_postgres::testing::{self, TestDatabase};
use event_store::{EventStore, StoreOptions};
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use service_host::Shutdown;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const PASSWORD: &str = "correct horse battery";
pub const OPERATOR: &str = "operator@example.org";
const READY_WITHIN: Duration = Duration::from_secs(60);

pub struct Service {
    pub application: Application,
    pub clock: TestClock,
    pub database: TestDatabase,
    base: String,
    client: Client,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), command_service::Error>>,
}

#[derive(Clone)]
pub struct TestClock(Arc<Mutex<DateTime<Utc>>>);

impl TestClock {
    pub fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    pub fn advance(&self, seconds: i64) {
        *self.0.lock().unwrap() += TimeDelta::seconds(seconds);
    }
}

/// Nothing is limited, and passwords cost next to nothing.
pub fn settings() -> Settings {
    let unlimited = Rate { burst: 1_000_000, refill: Duration::from_micros(1) };
    Settings {
        accounts: accounts::Settings {
            hash_cost: HashCost { memory_kib: 8, passes: 1 },
            hash_queue: HashQueue { parallel_max: 4, waiting_max: 1000 },
            attempts: AttemptLimits { by_account: unlimited, by_address: unlimited, registrations: unlimited },
        },
        rates: RequestRates { by_address: unlimited, by_driver: unlimited, by_operator: unlimited },
        operator: Some(OperatorLogin { email: OPERATOR.to_owned(), password: PASSWORD.to_owned() }),
        ..Settings::default()
    }
}

impl Service {
    pub async fn start() -> Self {
        Self::with(settings()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let database = testing::database(&schema::MIGRATOR).await;
        let store = EventStore::connect(database.pool().clone(), StoreOptions::default()).await.unwrap();
        let key = MasterKey::new(rand::random());
        let application = Application::new(store, database.pool().clone(), key, application::Settings::default());
        // To the precision that the database keeps.
        let clock = TestClock(Arc::new(Mutex::new(Utc::now().trunc_subsecs(3))));
        let config = Config {
            application: application.clone(),
            pool: database.pool().into(),
            settings,
            clock: Clock::from_fn({
                let clock = clock.clone();
                move || clock.now()
            }),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let task = tokio::spawn(command_service::run(config, listener, shutdown.clone()));
        Self { application, clock, database, base, client: Client::new(), shutdown, task }
    }

    pub fn request(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(format!("{}{path}", self.base))).await
    }

    /// Waits until all that it does has begun.
    pub async fn becomes_ready(&self) {
        let ready = async {
            while self.get("/ready").await.status != StatusCode::OK {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(READY_WITHIN, ready).await.expect("it is ready");
    }

    /// Posts without a token.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(path).json(&body)).await
    }

    pub async fn register(&self, name: &str) -> User<'_> {
        let email = format!("{name}@example.org");
        let body = json!({"email": email, "password": PASSWORD, "name": name});
        let answer = self.post("/api/auth/register", body).await.expect(StatusCode::OK);
        User { service: self, tokens: answer.body }
    }

    pub async fn login(&self, email: &str) -> User<'_> {
        let body = json!({"email": email, "password": PASSWORD});
        let answer = self.post("/api/auth/login", body).await.expect(StatusCode::OK);
        User { service: self, tokens: answer.body }
    }

    pub async fn operator(&self) -> User<'_> {
        self.login(OPERATOR).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.post("/api/auth/refresh", json!({"refresh_token": token})).await
    }

    /// Drains it, as a signal does.
    pub async fn stop(self) {
        self.shutdown.begin();
        self.task.await.unwrap().unwrap();
    }
}

/// Somebody who is logged in.
pub struct User<'a> {
    pub service: &'a Service,
    pub tokens: Value,
}

impl User<'_> {
    pub fn refresh_token(&self) -> String {
        self.tokens["refresh_token"].as_str().unwrap().to_owned()
    }

    pub fn request(&self, path: &str) -> RequestBuilder {
        self.service.request(path).bearer_auth(self.tokens["access_token"].as_str().unwrap())
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(path).json(&body)).await
    }

    pub async fn post_with_key(&self, key: &str, path: &str, body: Value) -> Answer {
        Answer::of(self.request(path).header("Idempotency-Key", key).json(&body)).await
    }

    /// As the token says it.
    pub fn user_id(&self) -> String {
        use base64::Engine as _;
        let token = self.tokens["access_token"].as_str().unwrap();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice::<Value>(&claims).unwrap()["sub"].as_str().unwrap().to_owned()
    }
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Null when there is none.
    pub body: Value,
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(text.into()) };
        Self { status, headers, body }
    }

    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// That it is this problem, in the form of RFC 9457.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["type"], format!("/problems/{code}"), "{}", self.body);
        assert_eq!(self.body["status"], status);
        assert!(self.body["title"].is_string() && self.body["detail"].is_string(), "{}", self.body);
        self
    }

    /// That it names the field.
    #[track_caller]
    pub fn invalid(self, field: &str) -> Self {
        let answer = self.refused(422, "invalid-request");
        assert_eq!(answer.body["field"], field, "{}", answer.body);
        answer
    }

    /// That the command was taken, and where.
    #[track_caller]
    pub fn taken(self) -> Self {
        let answer = self.expect(StatusCode::ACCEPTED);
        assert_eq!(answer.headers["coulomb-position"], answer.body["position"].to_string());
        assert_eq!(answer.headers["coulomb-generation"], "1");
        assert!(answer.body["command_id"].is_string(), "{}", answer.body);
        answer
    }

    #[track_caller]
    pub fn text(&self, member: &str) -> String {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {}", self.body)).to_owned()
    }
}
