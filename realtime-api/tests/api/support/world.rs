use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use application::auth::Role;
use application::vault::MasterKey;
use application::{Application, CommandContext};
use async_trait::async_trait;
use chrono::{TimeDelta, Utc};
use domain::id::TenantId;
use embedded_postgres::testing::{TestDatabase, database};
use event_store::{EventStore, StoreOptions};
use realtime_api::{Config, Limits, Service, Settings};
use schema::log::{Generation, Position};
use schema::partition::Partition;
use schema::view::{self, FeedStart, Replica, Row, RowChange, ViewBatch, ViewFeed, ViewFeeds, ViewStore};
use serde_json::Value;
use service_host::{Host, ServeLimits, Shutdown, serve};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::client::Client;

/// Where the views are when a world begins: far above the log of the tests, which some commands append to.
pub const START: i64 = 1_000;

/// More than any test tells at once.
const BATCHES_MAX: usize = 1_024;

/// A service with its database. What the read models say is said by the test.
pub struct World {
    pub application: Application,
    pub driver: Uuid,
    pub operator: Uuid,
    address: SocketAddr,
    feed: mpsc::Sender<ViewBatch>,
    shutdown: Shutdown,
    serving: JoinHandle<()>,
    http: reqwest::Client,
    database: TestDatabase,
    /// What the service reads where it is far enough: it has what a test writes there.
    standby: Option<TestDatabase>,
}

pub fn limits() -> Limits {
    Limits { drain_over: Duration::from_millis(50), ..Limits::default() }
}

impl World {
    pub async fn new() -> Self {
        Self::with(limits()).await
    }

    pub async fn with(limits: Limits) -> Self {
        Self::begin(limits, START, &[], None).await
    }

    /// A world whose service reads from a replica that is at most so many positions behind.
    pub async fn with_replica(staleness_positions: i64) -> Self {
        Self::begin(limits(), START, &[], Some(staleness_positions)).await
    }

    /// A world whose views are at a position, with these rows in them.
    pub async fn beginning_at(position: i64, rows: &[RowChange]) -> Self {
        Self::begin(limits(), position, rows, None).await
    }

    async fn begin(limits: Limits, start: i64, rows: &[RowChange], staleness_positions: Option<i64>) -> Self {
        let database = database(&schema::MIGRATOR).await;
        let replica = match staleness_positions {
            Some(staleness_positions) => {
                let standby = self::database(&schema::MIGRATOR).await;
                set_progress(&standby, start).await;
                let replica = Replica::new(standby.pool().clone().into(), staleness_positions);
                Some((standby, replica))
            }
            None => None,
        };
        let (standby, replica) = replica.unzip();
        for change in rows {
            let name = change.row.model().name();
            let text = format!(
                "INSERT INTO views.{name} (key, partition, generation, position, removed, row) \
                 VALUES ($1, $2, 1, $3, $4, $5::jsonb)"
            );
            sqlx::query(&text)
                .bind(&change.key)
                .bind(i16::from(change.partition.number()))
                .bind(change.position.0)
                .bind(change.removed)
                .bind(change.row.to_json())
                .execute(database.pool())
                .await
                .expect("written");
        }
        let pool = database.pool().clone();
        let store = EventStore::connect(pool.clone(), StoreOptions::default()).await.expect("a log");
        let application =
            Application::new(store, pool.clone(), MasterKey::new([7; 32]), application::Settings::default());
        set_progress(&database, start).await;
        let (feed, batches) = mpsc::channel(BATCHES_MAX);
        feed.try_send(batch(start, vec![])).expect("empty");
        let host = Host::new();
        let shutdown = Shutdown::new();
        let config = Config {
            application: application.clone(),
            views: ViewStore::new(pool.clone()).with_replica(replica),
            pool: pool.into(),
            feeds: Arc::new(ByHand(Mutex::new(Some(batches)))),
            settings: Settings { limits, shards: Some(2) },
        };
        let service = Service::start(config, &host, shutdown.clone()).await.expect("started");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = host.finish(service.router().merge(realtime_api::docs()));
        let serving = tokio::spawn({
            let shutdown = shutdown.clone();
            async move {
                let drained = async {
                    shutdown.begun().await;
                    service.drain().await;
                };
                tokio::join!(serve(router, listener, shutdown.clone(), ServeLimits::default()), drained);
            }
        });
        let (driver, operator, http) = (Uuid::now_v7(), Uuid::now_v7(), reqwest::Client::new());
        Self { application, driver, operator, address, feed, shutdown, serving, http, database, standby }
    }

    /// Writes rows as a projection does, and tells of them.
    pub async fn change(&self, rows: Vec<(i64, Row)>) {
        self.write(&rows).await;
        self.tell(rows);
    }

    /// Writes rows of which the feed says nothing yet.
    pub async fn write(&self, rows: &[(i64, Row)]) {
        write(&self.database, rows).await;
    }

    /// Writes rows as they come to the replica.
    pub async fn replicate(&self, rows: &[(i64, Row)]) {
        write(self.standby.as_ref().expect("a world with a replica"), rows).await;
    }

    pub fn tell(&self, rows: Vec<(i64, Row)>) {
        let upto = rows.iter().map(|(position, _)| *position).max().expect("something to tell");
        let changes = rows.into_iter().map(|(position, row)| {
            Arc::new(RowChange {
                key: key_of(&row),
                partition: Partition::new(0).expect("the first"),
                generation: Generation::FIRST,
                position: Position(position),
                removed: false,
                row,
            })
        });
        self.feed.try_send(batch(upto, changes.collect())).expect("room");
    }

    pub fn tell_generation(&self, generation: i64, upto: i64) {
        let batch = ViewBatch { generation: Generation(generation), ..batch(upto, vec![]) };
        self.feed.try_send(batch).expect("room");
    }

    pub async fn token(&self, user: Uuid, role: Role) -> String {
        self.token_for(user, role, 0).await
    }

    /// A token that was issued so many seconds ago.
    pub async fn token_for(&self, user: Uuid, role: Role, age_s: i64) -> String {
        let then = Utc::now() - TimeDelta::seconds(age_s);
        let issued = self.application.signer().issue(user, role, TenantId::DEFAULT, then).await;
        issued.expect("signed").token
    }

    pub async fn driver_token(&self) -> String {
        self.token(self.driver, Role::Driver).await
    }

    pub async fn operator_token(&self) -> String {
        self.token(self.operator, Role::Operator).await
    }

    pub async fn context(&self, user: Uuid, role: Role) -> CommandContext {
        let token = self.token(user, role).await;
        let caller = self.application.verifier().verify(&token, Utc::now()).await.expect("good");
        CommandContext { caller, idempotency: None, trace_id: None, now: Utc::now() }
    }

    pub fn pool(&self) -> &sqlx::PgPool {
        self.database.pool()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A socket of the driver, authenticated.
    pub async fn driver_socket(&self) -> Client {
        self.socket(&self.driver_token().await).await
    }

    pub async fn operator_socket(&self) -> Client {
        self.socket(&self.operator_token().await).await
    }

    pub async fn socket(&self, token: &str) -> Client {
        let mut client = Client::connect(self.address, &[("Authorization", &format!("Bearer {token}"))]).await;
        assert_eq!(client.next().await["type"], "authenticated");
        client
    }

    /// The log goes further than the views.
    pub async fn log_is_at(&self, position: i64) {
        let update = sqlx::query("UPDATE log_head SET position = greatest(position, $1)");
        update.bind(position).execute(self.database.pool()).await.expect("set");
    }

    /// A socket with these headers, and nothing said.
    pub async fn raw_socket(&self, headers: &[(&str, &str)]) -> Client {
        Client::connect(self.address, headers).await
    }

    pub async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("http://{}{path}", self.address)).bearer_auth(token);
        let response = request.send().await.expect("answered");
        let status = response.status().as_u16();
        (status, response.json().await.expect("JSON"))
    }

    pub async fn metrics(&self) -> String {
        self.get_raw("/metrics", &[]).await.text().await.expect("text")
    }

    /// Returns when the hub is there.
    pub async fn reached(&self, position: i64) {
        // What is above the log is not waited for.
        self.log_is_at(position).await;
        let path = format!("/api/me?min_position={position}");
        assert_eq!(self.get(&self.driver_token().await, &path).await.0, 200);
    }

    pub async fn get_raw(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = self.http.get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("answered")
    }

    pub fn begin_shutdown(&self) {
        self.shutdown.begin();
    }

    pub async fn ended(self) {
        self.serving.await.expect("no panic");
    }
}

async fn write(database: &TestDatabase, rows: &[(i64, Row)]) {
    for (position, row) in rows {
        let name = row.model().name();
        let text = format!(
            "INSERT INTO views.{name} (key, partition, generation, position, removed, row) \
                 VALUES ($1, 0, 1, $2, false, $3::jsonb) \
                 ON CONFLICT (key) DO UPDATE SET position = excluded.position, row = excluded.row"
        );
        sqlx::query(&text)
            .bind(key_of(row))
            .bind(*position)
            .bind(row.to_json())
            .execute(database.pool())
            .await
            .expect("written");
    }
    if let Some(upto) = rows.iter().map(|(position, _)| *position).max() {
        set_progress(database, upto).await;
    }
}

async fn set_progress(database: &TestDatabase, position: i64) {
    let update = sqlx::query("UPDATE views.progress SET position = $1");
    update.bind(position).execute(database.pool()).await.expect("set");
}

fn batch(upto: i64, rows: Vec<Arc<RowChange>>) -> ViewBatch {
    ViewBatch { generation: Generation::FIRST, upto: Position(upto), rows }
}

fn key_of(row: &Row) -> String {
    match row {
        Row::ChargePoints(row) => row.charge_point_id.to_string(),
        Row::Sessions(row) => row.session_id.to_string(),
        Row::Commands(row) => row.command_id.to_string(),
        Row::Sites(row) => row.site_id.to_string(),
        Row::Tariffs(row) => row.tariff_id.to_string(),
        Row::Drivers(row) => row.driver_id.to_string(),
        Row::Tokens(row) => row.token_id.to_string(),
        Row::Plans(row) => row.plan_id.to_string(),
        Row::MeterValues(row) => format!("{}/0000000001", row.session_id),
    }
}

/// A feed that says what the test says.
struct ByHand(Mutex<Option<mpsc::Receiver<ViewBatch>>>);

struct Said(mpsc::Receiver<ViewBatch>);

impl ViewFeeds for ByHand {
    fn follow(&self, _: FeedStart) -> Box<dyn ViewFeed> {
        Box::new(Said(self.0.lock().expect("no panic").take().expect("followed once")))
    }
}

#[async_trait]
impl ViewFeed for Said {
    async fn next(&mut self) -> Result<ViewBatch, view::Error> {
        match self.0.recv().await {
            Some(batch) => Ok(batch),
            None => std::future::pending().await,
        }
    }
}
