//! A network to act on: two sites' worth of things, made by the commands themselves.

use std::sync::OnceLock;

use application::auth::{Caller, Role};
use application::command::{
    Accepted, ActivatePlan, PublishPlan, PublishTariff, RegisterCharger, RegisterSite, StartCharging, activate_plan,
    publish_plan, publish_tariff, register_charger, register_driver, register_site, start_charging,
};
use application::problem::Problem;
use application::report::{Circumstances, Link, StartTransaction, Started, StopTransaction, connect};
use application::vault::MasterKey;
use application::{Application, CommandContext, Error, Idempotency, Settings};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use domain::charge_point::ChargePoint;
use domain::envelope::{ReportTimes, TimeSource};
use domain::event::AggregateType;
use domain::id::{
    ChargePointId, ChargePointIdentity, ConnectorId, DriverId, EvseId, Outlet, PlanId, SessionId, TenantId,
};
use domain::meter::{MeterReading, SampledValue};
use domain::outlet::{Connector, Evse};
use domain::plan::PlanDetails;
use domain::session::{ChargingSession, RecordedReading};
use domain::site::{Address, SiteDetails};
use domain::station_command::StationCommand;
use domain::tariff::Tariff;
use embedded_postgres::testing::{self, TestDatabase};
use event_store::{EventStore, StoreOptions};
use rust_decimal::Decimal;
use schema::api::target::Target;
use schema::log::StreamId;
use serde_json::json;
use uuid::Uuid;

pub struct World {
    pub database: TestDatabase,
    pub app: Application,
    pub master: MasterKey,
    pub plan_id: PlanId,
}

/// Minutes from the beginning of the tests.
pub fn at(minute: i64) -> DateTime<Utc> {
    static BEGAN: OnceLock<DateTime<Utc>> = OnceLock::new();
    *BEGAN.get_or_init(|| Utc::now().trunc_subsecs(0)) + TimeDelta::minutes(minute)
}

/// A charger `CP001` of two connectors at a site with a tariff of 0.50 EUR a kWh, and a plan.
pub async fn world() -> World {
    let database = testing::database(&schema::MIGRATOR).await;
    let master = MasterKey::new(rand::random());
    let app = process(&database, &master).await;
    let mut world = World { database, app, master, plan_id: PlanId::default() };
    let element = json!({"price_components": [{"type": "ENERGY", "price": "0.50"}]});
    let tariff = Tariff::parse(&json!({"currency": "EUR", "tax_included": true, "elements": [element]})).unwrap();
    let tariff = PublishTariff { tariff_id: None, name: "Standard".into(), tariff };
    let tariff_id = publish_tariff(&world.app, &operator(), tariff).await.unwrap().tariff_id;
    let details = SiteDetails {
        name: "Market square".into(),
        address: Address { street: "Markt 1".into(), postal_code: None, city: "Berlin".into(), country: "DE".into() },
        coordinates: None,
        time_zone: "Europe/Berlin".parse().unwrap(),
        currency: domain::money::Currency::EUR,
        tariff_id,
    };
    let site = register_site(&world.app, &operator(), RegisterSite { site_id: None, details }).await.unwrap();
    let evses = (1..=2).map(evse).collect();
    let charger = RegisterCharger { identity: identity("CP001"), credential: None, site_id: site.site_id, evses };
    register_charger(&world.app, &operator(), charger).await.unwrap();
    let details = PlanDetails { name: "Commuter".into(), tariff_id: None };
    let plan = publish_plan(&world.app, &operator(), PublishPlan { plan_id: None, details }).await.unwrap();
    world.plan_id = plan.plan_id.unwrap();
    world
}

/// One process more on the same database.
pub async fn process(database: &TestDatabase, master: &MasterKey) -> Application {
    let store = EventStore::connect(database.pool().clone(), StoreOptions::default()).await.expect("a store");
    Application::new(store, database.pool().clone(), master.clone(), Settings::default())
}

pub fn identity(text: &str) -> ChargePointIdentity {
    ChargePointIdentity::parse(text).unwrap()
}

pub fn evse(number: u32) -> Evse {
    let connector = Connector { connector_id: ConnectorId(1), kind: None, max_power_w: Some(22_000) };
    Evse { evse_id: EvseId(number), connectors: vec![connector] }
}

pub fn outlet(evse: u32) -> Outlet {
    Outlet { evse_id: EvseId(evse), connector_id: ConnectorId(1) }
}

fn context(user_id: Uuid, role: Role) -> CommandContext {
    let caller = Caller { tenant_id: TenantId::DEFAULT, user_id, role, expires_at: at(60) };
    CommandContext { caller, idempotency: None, trace_id: None, now: at(0) }
}

pub fn operator() -> CommandContext {
    context(Uuid::from_u128(99), Role::Operator)
}

pub fn keyed(context: &CommandContext, key: &str, body: u8) -> CommandContext {
    let idempotency = Some(Idempotency { key: key.to_owned(), body_hash: [body; 32] });
    CommandContext { idempotency, ..context.clone() }
}

pub fn on_connector(number: u32) -> StartCharging {
    StartCharging { target: Target::Connector { charger_id: "CP001".into(), connector_id: ConnectorId(number) } }
}

/// The code of a problem.
pub fn code(answer: Result<Accepted, Error>) -> String {
    match answer {
        Ok(accepted) => panic!("expected a refusal: {accepted:?}"),
        Err(error) => Problem::from(&error).code.into_owned(),
    }
}

/// No lock of Coulomb's own.
const HELD_LOCK: i64 = 7_777_777;

/// Keeps an event from being committed.
pub struct Held(sqlx::Transaction<'static, sqlx::Postgres>);

impl Held {
    pub async fn let_go(self) {
        self.0.rollback().await.expect("let go");
    }
}

impl World {
    /// The first event of this type is committed when it is let go, and not before.
    pub async fn hold_first(&self, event_type: &str) -> Held {
        for statement in [
            "CREATE SEQUENCE appends_of_the_test",
            &format!(
                "CREATE FUNCTION hold_of_the_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF nextval('appends_of_the_test') = 1 THEN PERFORM pg_advisory_xact_lock({HELD_LOCK}); END IF; \
                 RETURN NEW; END $$"
            ),
            &format!(
                "CREATE TRIGGER hold_of_the_test BEFORE INSERT ON events FOR EACH ROW \
                 WHEN (NEW.event_type = '{event_type}') EXECUTE FUNCTION hold_of_the_test()"
            ),
        ] {
            sqlx::query(statement).execute(self.database.pool()).await.expect("prepared");
        }
        let mut holder = self.database.pool().begin().await.expect("a connection");
        let hold = format!("SELECT pg_advisory_xact_lock({HELD_LOCK})");
        sqlx::query(&hold).execute(&mut *holder).await.expect("nobody else has it");
        Held(holder)
    }

    /// Whether that event is on its way.
    pub async fn holds(&self) -> bool {
        let query = "SELECT is_called FROM appends_of_the_test";
        sqlx::query_scalar(query).fetch_one(self.database.pool()).await.expect("asked")
    }

    pub async fn charge_point_id(&self) -> ChargePointId {
        let entry = self.app.chargers().find(TenantId::DEFAULT, &identity("CP001")).await.unwrap();
        entry.expect("registered").charge_point_id
    }

    pub async fn connect(&self) -> Link {
        let id = self.charge_point_id().await;
        connect(&self.app, TenantId::DEFAULT, id, "ocpp1.6", "edge", None, at(0)).await.expect("connected")
    }

    pub async fn driver_without_plan(&self) -> CommandContext {
        let driver = context(Uuid::now_v7(), Role::Driver);
        register_driver(&self.app, TenantId::DEFAULT, DriverId(driver.caller.user_id), None).await.unwrap();
        driver
    }

    pub async fn driver(&self) -> CommandContext {
        let driver = self.driver_without_plan().await;
        let driver_id = DriverId(driver.caller.user_id);
        activate_plan(&self.app, &operator(), ActivatePlan { driver_id, plan_id: self.plan_id }).await.unwrap();
        driver
    }

    pub async fn start(&self, driver: &CommandContext, connector: u32) -> Accepted {
        start_charging(&self.app, driver, on_connector(connector)).await.expect("accepted")
    }

    pub async fn charge_point(&self) -> ChargePoint {
        let id = self.charge_point_id().await;
        (*self.app.store().load::<ChargePoint>(id).await.unwrap().state).clone()
    }

    pub async fn session(&self, id: SessionId) -> ChargingSession {
        (*self.app.store().load::<ChargingSession>(id).await.unwrap().state).clone()
    }

    pub async fn command(&self, id: domain::id::CommandId) -> StationCommand {
        (*self.app.store().load::<StationCommand>(id).await.unwrap().state).clone()
    }

    /// The one-off tag of a requested session.
    pub async fn tag(&self, session: SessionId) -> String {
        self.session(session).await.remote_tag.expect("requested")
    }

    /// What has happened to one thing, by the types of its events.
    pub async fn history(&self, aggregate: AggregateType, id: impl Into<Uuid>) -> Vec<String> {
        let events = self.app.store().read_stream(StreamId::new(aggregate, id), 1).await.unwrap();
        events.into_iter().map(|event| event.event_type).collect()
    }

    pub async fn head(&self) -> i64 {
        self.app.store().head().await.unwrap().0.0
    }
}

/// A report of this minute by the charger's own clock.
pub fn told(minute: i64) -> Circumstances {
    told_with(minute, Some(at(minute)), TimeSource::Device)
}

pub fn told_with(minute: i64, occurred_at: Option<DateTime<Utc>>, source: TimeSource) -> Circumstances {
    let device_at = Some(at(minute).to_rfc3339());
    Circumstances { times: ReportTimes { received_at: at(minute), device_at, occurred_at, source }, trace_id: None }
}

pub fn start_of(connector: u32, tag: &str, meter: i64) -> StartTransaction {
    StartTransaction {
        outlet: Some(outlet(connector)),
        connector: Some(connector.into()),
        id_tag: Some(tag.to_owned()),
        meter_start_wh: Some(Decimal::from(meter)),
        reservation_id: None,
        offline: false,
    }
}

pub fn stop_of(started: &Started, meter: i64) -> StopTransaction {
    StopTransaction {
        transaction_id: started.transaction_id.into(),
        id_tag: None,
        meter_stop_wh: Some(Decimal::from(meter)),
        reason: None,
        readings: vec![],
    }
}

pub fn reading(minute: i64, wh: i64) -> RecordedReading {
    let reading = MeterReading::new(at(minute).to_rfc3339(), vec![SampledValue::of(wh.to_string())]);
    RecordedReading { occurred_at: Some(at(minute)), reading }
}
