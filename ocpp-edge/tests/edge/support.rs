//! A real edge on a real Postgres, and chargers that speak to it over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use application::auth::{Caller, Role};
use application::command::{self, RegisterCharger, SendStationCommand};
use application::vault::MasterKey;
use application::{Application, CommandContext, Settings};
use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use chrono::Utc;
use domain::charge_point::ChargePoint;
use domain::id::{ChargePointId, ChargePointIdentity, CommandId, ConnectorNumber, SiteId, TenantId};
use domain::outlet::Evse;
use domain::station_command::{StationAction, StationCommand};
use embedded_postgres::testing::{self, TestDatabase};
use event_store::{EventStore, StoreOptions};
use futures_util::{SinkExt, StreamExt};
use ocpp_edge::{Config, Limits};
use serde_json::{Value, json};
use service_host::{Readiness, Shutdown};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use uuid::Uuid;

/// Far longer than anything takes: a test that hangs fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long an append is waited for where one is delayed: longer than any other takes.
pub const UNHEARD_AFTER: Duration = Duration::from_secs(2);
const DELAY_S: u32 = 6;

pub async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

/// Waits until it holds.
pub async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    patiently(async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub struct Network {
    pub app: Application,
    pub database: TestDatabase,
}

impl Network {
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let database = testing::database(&schema::MIGRATOR).await;
        let app = application_with(&database, MasterKey::new([7; 32]), settings, StoreOptions::default()).await;
        Self { app, database }
    }

    /// One whose log does not try for long.
    pub async fn impatient() -> Self {
        let database = testing::database(&schema::MIGRATOR).await;
        let options = StoreOptions { retry_for: Duration::from_millis(10), ..StoreOptions::default() };
        let app = application_with(&database, MasterKey::new([7; 32]), Settings::default(), options).await;
        Self { app, database }
    }

    /// One whose log gives an append up long before [`Self::delay_first`] lets it through.
    pub async fn unheard(settings: Settings) -> Self {
        let database = testing::database(&schema::MIGRATOR).await;
        let options = StoreOptions {
            flush_timeout: UNHEARD_AFTER,
            retry_for: Duration::from_millis(10),
            ..StoreOptions::default()
        };
        let app = application_with(&database, MasterKey::new([7; 32]), settings, options).await;
        Self { app, database }
    }

    /// The first event of this type is committed, and that takes [`DELAY_S`].
    pub async fn delay_first(&self, event_type: &str) {
        for statement in [
            "CREATE SEQUENCE appends_of_the_test",
            &format!(
                "CREATE FUNCTION delay_of_the_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF nextval('appends_of_the_test') = 1 THEN PERFORM pg_sleep({DELAY_S}); END IF; RETURN NEW; END $$"
            ),
            &format!(
                "CREATE TRIGGER delay_of_the_test BEFORE INSERT ON events FOR EACH ROW \
                 WHEN (NEW.event_type = '{event_type}') EXECUTE FUNCTION delay_of_the_test()"
            ),
        ] {
            sqlx::query(statement).execute(self.database.pool()).await.unwrap();
        }
    }

    /// From now on nothing can be appended.
    pub async fn break_log(&self) {
        sqlx::query("ALTER TABLE streams RENAME TO streams_away").execute(self.database.pool()).await.unwrap();
    }

    pub async fn mend_log(&self) {
        sqlx::query("ALTER TABLE streams_away RENAME TO streams").execute(self.database.pool()).await.unwrap();
    }

    /// The same on the same database, which remembers nothing.
    pub async fn again(&self) -> Application {
        let (key, settings) = (MasterKey::new([7; 32]), self.app.settings().clone());
        application_with(&self.database, key, settings, StoreOptions::default()).await
    }

    /// As if a newer version had written the events of this type.
    pub async fn spoil(&self, event_type: &str) {
        self.rewrite(event_type, "event_version || '000'").await;
    }

    pub async fn mend(&self, event_type: &str) {
        self.rewrite(event_type, "left(event_version, -3)").await;
    }

    async fn rewrite(&self, event_type: &str, version: &str) {
        let update = format!("UPDATE events SET event_version = {version} WHERE event_type = $1");
        let updated = sqlx::query(&update).bind(event_type).execute(self.database.pool()).await.unwrap();
        assert_ne!(updated.rows_affected(), 0, "there is a {event_type}");
    }

    pub async fn register(&self, charger: &str, password: Option<&[u8]>) -> ChargePointId {
        self.register_with(charger, password, vec![]).await
    }

    pub async fn register_with(&self, charger: &str, password: Option<&[u8]>, evses: Vec<Evse>) -> ChargePointId {
        let request = RegisterCharger {
            identity: ChargePointIdentity::parse(charger).unwrap(),
            credential: password.map(credential),
            site_id: None::<SiteId>,
            evses,
        };
        command::register_charger(&self.app, &operator(), request).await.unwrap();
        self.id(charger).await
    }

    pub async fn id(&self, charger: &str) -> ChargePointId {
        let identity = ChargePointIdentity::parse(charger).unwrap();
        self.app.chargers().find(TenantId::DEFAULT, &identity).await.unwrap().unwrap().charge_point_id
    }

    pub async fn ask(&self, charger: &str, action: StationAction<ConnectorNumber>) -> CommandId {
        let request = SendStationCommand { charger_id: charger.to_owned(), action };
        let accepted = command::send_station_command(&self.app, &operator(), request).await.unwrap();
        accepted.command_id
    }

    pub async fn command(&self, id: CommandId) -> StationCommand {
        StationCommand::clone(&self.app.store().load(id).await.unwrap().state)
    }

    pub async fn charge_point(&self, charger: &str) -> ChargePoint {
        ChargePoint::clone(&self.app.store().load(self.id(charger).await).await.unwrap().state)
    }

    /// The types of the charger's events, in their order.
    pub async fn events_of(&self, charger: &str) -> Vec<String> {
        let id = self.id(charger).await;
        sqlx::query_scalar("SELECT event_type FROM events WHERE partition_key = $1 ORDER BY position")
            .bind(id.0)
            .fetch_all(self.database.pool())
            .await
            .unwrap()
    }

    pub async fn count_of(&self, charger: &str, event_type: &str) -> usize {
        self.events_of(charger).await.iter().filter(|present| *present == event_type).count()
    }
}

pub async fn application(database: &TestDatabase, key: MasterKey) -> Application {
    application_with(database, key, Settings::default(), StoreOptions::default()).await
}

async fn application_with(
    database: &TestDatabase,
    key: MasterKey,
    settings: Settings,
    options: StoreOptions,
) -> Application {
    let store = EventStore::connect(database.pool().clone(), options).await.unwrap();
    Application::new(store, database.pool().clone(), key, settings)
}

/// Cheap to verify.
fn credential(password: &[u8]) -> String {
    let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
    let salt = SaltString::from_b64("c2FsdHNhbHRzYWx0").unwrap();
    let password = application::credential::CanonicalPassword::of(password);
    cheap.hash_password(password.as_bytes(), &salt).unwrap().to_string()
}

fn operator() -> CommandContext {
    let now = Utc::now();
    let caller = Caller {
        tenant_id: TenantId::DEFAULT,
        user_id: Uuid::now_v7(),
        role: Role::Operator,
        expires_at: now + chrono::TimeDelta::hours(1),
    };
    CommandContext { caller, idempotency: None, trace_id: None, now }
}

/// A running edge.
pub struct Edge {
    pub address: SocketAddr,
    shutdown: Shutdown,
    running: JoinHandle<Result<(), ocpp_edge::Error>>,
}

impl Edge {
    pub async fn start(app: &Application) -> Self {
        Self::start_with(app, Config::default()).await
    }

    pub async fn start_limited(app: &Application, limits: Limits) -> Self {
        Self::start_with(app, Config { limits, ..Config::default() }).await
    }

    pub async fn start_with(app: &Application, config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let running = tokio::spawn({
            let (app, shutdown) = (app.clone(), shutdown.clone());
            async move { ocpp_edge::run(config, app, listener, &Readiness::default(), shutdown).await }
        });
        Self { address, shutdown, running }
    }

    pub async fn stop(self) {
        self.shutdown.begin();
        patiently(self.running).await.unwrap().unwrap();
    }

    pub fn begin_stop(&self) {
        self.shutdown.begin();
    }

    pub async fn charger(&self, path: &str) -> Charger {
        self.try_charger(path, Some("ocpp1.6"), None).await.unwrap()
    }

    pub async fn try_charger(
        &self,
        path: &str,
        protocol: Option<&'static str>,
        password: Option<(&str, &[u8])>,
    ) -> Result<Charger, tungstenite::Error> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request()?;
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(protocol));
        }
        if let Some((user, password)) = password {
            let pair = [user.as_bytes(), b":", password].concat();
            let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            request.headers_mut().insert("authorization", HeaderValue::from_str(&value).unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (socket, response) = patiently(client_async(request, stream)).await?;
        let selected = response.headers().get("sec-websocket-protocol").map(HeaderValue::as_bytes);
        assert_eq!(selected, protocol.map(|_| b"ocpp1.6".as_slice()));
        Ok(Charger { socket, sent: 0 })
    }

    /// Whatever is answered to these bytes, to the end.
    pub async fn raw(&self, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![];
        patiently(stream.read_to_end(&mut answer)).await.unwrap();
        answer
    }
}

/// A charger's side of a socket.
pub struct Charger {
    socket: WebSocketStream<TcpStream>,
    sent: u32,
}

/// How a charger's socket ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Closed {
    With(u16),
    Broken,
}

impl Charger {
    pub async fn send(&mut self, message: Message) {
        self.socket.send(message).await.expect("the socket takes it");
    }

    pub async fn text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends, if anybody is there.
    pub async fn try_text(&mut self, text: &str) {
        let _ = self.socket.send(Message::text(text)).await;
    }

    /// Waits for so many pings, and answers them.
    pub async fn until_pinged(&mut self, mut times: u32) {
        while times > 0 {
            if let Some(Ok(Message::Ping(_))) = patiently(self.socket.next()).await {
                times -= 1;
                self.socket.flush().await.unwrap();
            }
        }
    }

    /// The next frame of OCPP.
    pub async fn next(&mut self) -> Value {
        loop {
            match patiently(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(text.as_str()).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no frame but {other:?}"),
            }
        }
    }

    /// Calls, and returns the payload of the answer.
    pub async fn call(&mut self, action: &str, payload: Value) -> Value {
        self.sent += 1;
        let id = format!("m{}", self.sent);
        self.text(&json!([2, id, action, payload]).to_string()).await;
        let answer = self.next().await;
        assert_eq!((&answer[0], &answer[1]), (&json!(3), &json!(id)), "{answer}");
        answer[2].clone()
    }

    /// Sends a text, and returns the code of the CALLERROR.
    pub async fn error(&mut self, text: &str) -> String {
        self.text(text).await;
        let answer = self.next().await;
        assert_eq!(answer[0], json!(4), "{answer}");
        answer[2].as_str().unwrap().to_owned()
    }

    /// Waits for the end, whatever comes before it.
    pub async fn closed(&mut self) -> Closed {
        loop {
            match patiently(self.socket.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => return Closed::With(frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Closed::Broken,
            }
        }
    }

    /// Vanishes without a word.
    pub fn vanish(self) {
        drop(self);
    }

    pub async fn close(mut self) {
        self.socket.close(None).await.unwrap();
        while patiently(self.socket.next()).await.is_some() {}
    }

    pub async fn boot(&mut self) {
        let boot = json!({"chargePointVendor": "Elmo", "chargePointModel": "One", "firmwareVersion": "1.0"});
        let answer = self.call("BootNotification", boot).await;
        assert_eq!(answer["status"], "Accepted");
    }

    pub async fn status(&mut self, connector_id: u32, status: &str) {
        let payload = json!({"connectorId": connector_id, "errorCode": "NoError", "status": status});
        assert_eq!(self.call("StatusNotification", payload).await, json!({}));
    }
}
