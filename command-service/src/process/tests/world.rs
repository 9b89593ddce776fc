//! What the tests share: a real database with one charger on it, deadlines of a moment or of an eternity.

use std::sync::Arc;
use std::time::Duration;

use application::auth::{Caller, Role};
use application::command::{
    Accepted, RegisterCharger, RemoteStart, RemoteStop, register_charger, remote_start, remote_stop,
};
use application::report::{Circumstances, Link, StartTransaction, Started, Status, connect};
use application::vault::MasterKey;
use application::{Application, CommandContext, Settings};
use chrono::{DateTime, TimeDelta, Utc};
use domain::charge_point::{ChargePoint, StatusReport};
use domain::envelope::{Actor, Envelope, ReportTimes, TimeSource};
use domain::event::Event;
use domain::id::{
    ChargePointId, ChargePointIdentity, CommandId, ConnectorId, ConnectorNumber, EvseId, Outlet, SessionId, TenantId,
    TransactionId,
};
use domain::outlet::{Connector, Evse};
use domain::session::{ChargingSession, SessionCommand, SessionEvent, TransactionStarted};
use embedded_postgres::testing::{self, TestDatabase};
use event_store::feed::{From, Log};
use event_store::{EventStore, PartitionSet, StoreOptions};
use schema::log::{Position, RecordedEvent};
use service_host::{Readiness, Shutdown};
use sqlx::Row;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::process::charging::Charging;
use crate::process::manager::Manager;
use crate::process::options::Options;
use crate::process::runner::Runner;

/// Far longer than anything takes: a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(60);
pub const EDGE: &str = "edge-of-the-test";

pub struct World {
    pub database: TestDatabase,
    pub app: Application,
    pub link: Link,
}

/// Deadlines that no test lives to see.
pub fn patient() -> Settings {
    let long = TimeDelta::hours(1);
    Settings {
        start_deadline: long,
        command_expiry: long,
        answer_timeout: long,
        stop_deadline: long,
        silence_limit: TimeDelta::days(1),
        vacant_after: long,
        replay: false,
    }
}

pub fn options() -> Options {
    Options {
        lease_ttl: Duration::from_secs(1),
        housekeeping_every: Duration::from_millis(50),
        expiry_grace: TimeDelta::zero(),
        answer_grace: TimeDelta::zero(),
        stop_again_after: TimeDelta::milliseconds(100),
        look_again_after: TimeDelta::milliseconds(100),
        edges_every: Duration::from_millis(20),
        edge_ttl: Duration::from_secs(15),
    }
}

impl World {
    pub async fn new(settings: Settings) -> Self {
        let database = testing::database(&schema::MIGRATOR).await;
        let store = EventStore::connect(database.pool().clone(), StoreOptions::default()).await.expect("a store");
        let app = Application::new(store, database.pool().clone(), MasterKey::new([7; 32]), settings);
        let link = new_charger(&app, "CP001").await;
        Self { database, app, link }
    }

    pub fn charging(&self) -> Charging {
        Charging::new(self.app.clone(), &options())
    }

    /// A worker among others, on a store of its own.
    pub async fn start_runner<M: Manager>(&self, manager: M) -> JoinHandle<()> {
        let store = EventStore::connect(self.database.pool().clone(), StoreOptions::default()).await.expect("a store");
        let gate = Readiness::default().gate("manager");
        let runner = Runner::new(manager, store, self.database.pool().clone(), options(), gate);
        tokio::spawn(runner.run(Shutdown::new()))
    }

    pub async fn request_start(&self) -> (SessionId, CommandId) {
        self.request_start_at("CP001").await
    }

    pub async fn request_start_at(&self, identity: &str) -> (SessionId, CommandId) {
        let start = RemoteStart { charger_id: identity.into(), connector_id: ConnectorId(1), id_tag: None };
        let Accepted { session_id, command_id, .. } = remote_start(&self.app, &operator(), start).await.expect("taken");
        (session_id.expect("a session"), command_id)
    }

    /// The charger begins what was asked for.
    pub async fn begin(&self, session_id: SessionId) -> Started {
        let state = self.app.store().load::<ChargingSession>(session_id).await.expect("loaded").state;
        let start = StartTransaction {
            outlet: Some(Outlet::of_v16_connector(ConnectorNumber::MIN)),
            connector: Some(1),
            id_tag: state.remote_tag.clone(),
            meter_start_wh: None,
            reservation_id: None,
            offline: false,
        };
        let started = self.link.start_transaction(&now_reported(), start).await.expect("reported");
        assert_eq!(started.session_id, session_id);
        started
    }

    /// The charger says how its first outlet is.
    pub async fn report_status(&self, ocpp_status: &str) {
        let report = StatusReport {
            outlet: Some(Outlet::of_v16_connector(ConnectorNumber::MIN)),
            ocpp_status: ocpp_status.into(),
            error_code: None,
            info: None,
            vendor_id: None,
            vendor_error_code: None,
            at: Some(Utc::now()),
        };
        self.link.status(&now_reported(), Status { report }).await.expect("reported");
    }

    /// The transaction of a session whose request has failed before.
    pub async fn begin_late(&self, session_id: SessionId) {
        let started = transaction_started(session_id, self.link.charge_point_id, Utc::now());
        let envelope = Arc::new(Envelope::new(TenantId::DEFAULT, Actor::charger(self.link.charge_point_id)));
        let id = self.link.charge_point_id;
        let run = self.app.store().run::<_, application::Error, _>(&envelope, move |session| {
            let command = SessionCommand::StartTransaction(Box::new(started.clone()));
            Box::pin(async move {
                session.decide::<ChargingSession>(session_id, id, command).await??;
                Ok(())
            })
        });
        run.await.expect("appended");
    }

    pub async fn request_stop(&self, session_id: SessionId) -> CommandId {
        let stop = remote_stop(&self.app, &operator(), RemoteStop::Session(session_id)).await;
        stop.expect("taken").command_id
    }

    pub async fn session(&self, session_id: SessionId) -> Arc<ChargingSession> {
        self.app.store().load::<ChargingSession>(session_id).await.expect("loaded").state
    }

    pub async fn charge_point(&self) -> Arc<ChargePoint> {
        self.app.store().load::<ChargePoint>(self.link.charge_point_id).await.expect("loaded").state
    }

    /// Waits for an event of a stream.
    pub async fn event(&self, id: impl Into<Uuid>, event_type: &str) -> Arc<RecordedEvent> {
        let id = id.into();
        let mut feed = self.app.store().follow(PartitionSet::ALL, From::Position(Position::START));
        let found = async {
            loop {
                let batch = feed.next().await.expect("the log");
                let mut events = batch.events.into_iter();
                if let Some(event) = events.find(|event| event.stream.id == id && event.event_type == event_type) {
                    return event;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {event_type} of {id}"))
    }

    /// Waits until a query answers true.
    pub async fn until(&self, condition: &str) {
        let holds = async {
            while !self.ask::<bool>(condition).await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, holds).await.unwrap_or_else(|_| panic!("never: {condition}"));
    }

    pub async fn ask<T>(&self, query: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query(query).fetch_one(self.database.pool()).await.expect(query).get(0)
    }

    /// How often an event of this type is in the log.
    pub async fn count(&self, event_type: &str) -> i64 {
        self.ask(&format!("SELECT count(*) FROM events WHERE event_type = '{event_type}'")).await
    }
}

pub async fn new_charger(app: &Application, identity: &str) -> Link {
    let connector = Connector { connector_id: ConnectorId(1), kind: None, max_power_w: None };
    let request = RegisterCharger {
        identity: ChargePointIdentity::parse(identity).expect("an identity"),
        credential: None,
        site_id: None,
        evses: vec![Evse { evse_id: EvseId(1), connectors: vec![connector] }],
    };
    let identity = request.identity.clone();
    register_charger(app, &operator(), request).await.expect("registered");
    let entry = app.chargers().find(TenantId::DEFAULT, &identity).await.expect("asked").expect("known");
    connect(app, TenantId::DEFAULT, entry.charge_point_id, "ocpp1.6", EDGE, None, Utc::now()).await.expect("connected")
}

fn operator() -> CommandContext {
    let now = Utc::now();
    let expires_at = now + TimeDelta::hours(1);
    let (tenant_id, user_id) = (TenantId::DEFAULT, Uuid::from_u128(7));
    let caller = Caller { tenant_id, user_id, role: Role::Operator, expires_at };
    CommandContext { caller, idempotency: None, trace_id: None, now }
}

fn now_reported() -> Circumstances {
    let now = Utc::now();
    let times = ReportTimes {
        received_at: now,
        device_at: Some(now.to_rfc3339()),
        occurred_at: Some(now),
        source: TimeSource::Device,
    };
    Circumstances { times, trace_id: None }
}

pub fn transaction_started(
    session_id: SessionId,
    charge_point_id: ChargePointId,
    at: DateTime<Utc>,
) -> TransactionStarted {
    TransactionStarted {
        session_id,
        charge_point_id,
        evse_id: Some(EvseId(1)),
        connector_id: Some(ConnectorId(1)),
        transaction_id: TransactionId("4711".into()),
        started_at: Some(at),
        received_at: at,
        meter_start_wh: None,
        content_hash: None,
        max_power_w: None,
        token_id: None,
        driver_id: None,
        authorization: None,
        pricing: None,
        remote_start_id: None,
        seq_no: None,
        trigger_reason: None,
        charging_state: None,
        offline: false,
        reservation_id: None,
        limits: Default::default(),
        continues_session_id: None,
        flags: vec![],
    }
}

/// The failure that an event tells.
pub fn failure(event: Arc<RecordedEvent>) -> (String, String) {
    match event.event.as_deref() {
        Ok(Event::ChargingSession(SessionEvent::SessionFailed { code, detail, .. })) => (code.clone(), detail.clone()),
        other => panic!("no failure: {other:?}"),
    }
}
