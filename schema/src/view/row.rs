use chrono::{DateTime, Utc};
use domain::charge_point::ChargePoint;
use domain::driver::Driver;
use domain::envelope::Actor;
use domain::id::{ChargePointId, CommandId, DriverId, PlanId, SessionId, SiteId, TariffId, TenantId, TokenId};
use domain::plan::Plan;
use domain::published_tariff::PublishedTariff;
use domain::session::{ChargingSession, RecordedReading};
use domain::site::Site;
use domain::station_command::CommandState;
use domain::tariff::PricedSession;
use domain::token::Token;
use serde::{Deserialize, Serialize};

use crate::log::{Generation, Position};
use crate::partition::Partition;

/// A read model. Each is a table `views.<name>` of the same columns (migration 0200).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Model {
    ChargePoints,
    Sessions,
    MeterValues,
    Commands,
    Drivers,
    Tokens,
    Sites,
    Tariffs,
    Plans,
}

impl Model {
    pub const ALL: [Self; 9] = [
        Self::ChargePoints,
        Self::Sessions,
        Self::MeterValues,
        Self::Commands,
        Self::Drivers,
        Self::Tokens,
        Self::Sites,
        Self::Tariffs,
        Self::Plans,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ChargePoints => "charge_points",
            Self::Sessions => "sessions",
            Self::MeterValues => "meter_values",
            Self::Commands => "commands",
            Self::Drivers => "drivers",
            Self::Tokens => "tokens",
            Self::Sites => "sites",
            Self::Tariffs => "tariffs",
            Self::Plans => "plans",
        }
    }
}

/// A charge point as it is, with its claims. Key: its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChargePointRow {
    pub tenant_id: TenantId,
    pub charge_point_id: ChargePointId,
    pub charge_point: ChargePoint,
    pub registered_at: DateTime<Utc>,
    pub booted_at: Option<DateTime<Utc>>,
}

/// What a session costs so far, or in the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionCost {
    pub priced: PricedSession,
    /// 0 while it runs; then that of the last `SessionPriced`.
    pub revision: u32,
}

/// A session. Key: its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRow {
    pub tenant_id: TenantId,
    pub session_id: SessionId,
    pub session: ChargingSession,
    pub cost: Option<SessionCost>,
    /// When it first appeared in the log.
    pub recorded_at: DateTime<Utc>,
}

/// The readings of one report. Key: session id and the event's sequence, ten digits: `<session>/0000000042`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeterValuesRow {
    pub tenant_id: TenantId,
    pub session_id: SessionId,
    pub received_at: DateTime<Utc>,
    pub readings: Vec<RecordedReading>,
}

/// A command: one to a station as its stream tells, or one that was done when it was taken. Key: its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandRow {
    pub tenant_id: TenantId,
    pub command_id: CommandId,
    pub kind: String,
    pub charge_point_id: Option<ChargePointId>,
    pub session_id: Option<SessionId>,
    pub state: CommandState,
    pub reason: Option<String>,
    /// The charger's answer, verbatim.
    pub answer: Option<serde_json::Value>,
    pub requested_by: Actor,
    pub requested_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
}

/// A driver. Key: its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriverRow {
    pub tenant_id: TenantId,
    pub driver_id: DriverId,
    pub driver: Driver,
    pub registered_at: DateTime<Utc>,
}

/// A token, its value sealed. Key: its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRow {
    pub tenant_id: TenantId,
    pub token_id: TokenId,
    pub token: Token,
    pub registered_at: DateTime<Utc>,
}

/// A site. Key: its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteRow {
    pub tenant_id: TenantId,
    pub site_id: SiteId,
    pub site: Site,
    pub registered_at: DateTime<Utc>,
}

/// A tariff in its newest version. Key: its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TariffRow {
    pub tenant_id: TenantId,
    pub tariff_id: TariffId,
    pub tariff: PublishedTariff,
    pub published_at: DateTime<Utc>,
}

/// A plan in its newest version. Key: its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRow {
    pub tenant_id: TenantId,
    pub plan_id: PlanId,
    pub plan: Plan,
    pub published_at: DateTime<Utc>,
}

macro_rules! rows {
    ($($model:ident($row:ty)),+ $(,)?) => {
        /// A row of any read model.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Row { $($model(Box<$row>)),+ }

        impl Row {
            pub const fn model(&self) -> Model {
                match self { $(Self::$model(_) => Model::$model),+ }
            }

            /// As it is stored: without the one character that `jsonb` can't hold.
            pub fn to_json(&self) -> String {
                let json = match self { $(Self::$model(row) => serde_json::to_string(row)),+ };
                super::json::without_nul(json.expect("rows have string keys and finite numbers only"))
            }

            pub fn from_json(model: Model, text: &str) -> Result<Self, serde_json::Error> {
                match model { $(Model::$model => serde_json::from_str(text).map(Self::$model)),+ }
            }
        }
    };
}

rows! {
    ChargePoints(ChargePointRow),
    Sessions(SessionRow),
    MeterValues(MeterValuesRow),
    Commands(CommandRow),
    Drivers(DriverRow),
    Tokens(TokenRow),
    Sites(SiteRow),
    Tariffs(TariffRow),
    Plans(PlanRow),
}

/// A row in its newest state, and the event that last changed it.
#[derive(Debug, Clone, PartialEq)]
pub struct RowChange {
    pub key: String,
    pub partition: Partition,
    pub generation: Generation,
    pub position: Position,
    pub removed: bool,
    pub row: Row,
}
