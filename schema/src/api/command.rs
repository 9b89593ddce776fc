//! Bodies of the commands, as clients send them over HTTP, and the answer to one that was taken.
//!
//! Unknown members are refused: what a client wanted and misspelt must not be passed over in silence.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::id::{CommandId, DriverId, PlanId, SessionId, SiteId, TariffId, TokenId};
use domain::money::Currency;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::account::Secret;
pub use super::tariff::PublishTariff;
use crate::log::Position;

/// What the keyed hash of a command's canonical form is derived for (`Vault::index_hash`). One for HTTP and the socket,
/// whose keys are one namespace. Keyed, because bodies hold passwords and the values of tokens, which a plain hash would
/// give away to whoever guesses.
pub const BODY_HASH_PURPOSE: &str = "command body";

/// The body of a command.
pub trait CommandBody: Serialize + DeserializeOwned + Send + 'static {
    /// The command's name, whichever way it comes.
    const KIND: &'static str;
    const ONLY_OPERATORS: bool;

    /// What is asked, in one form for each meaning: white space, the order of members and the way it came don't matter.
    ///
    /// A keyed hash of this ([`BODY_HASH_PURPOSE`]) tells a repeated request from another one under the same idempotency key. `target` is what the
    /// path says where the body does not.
    fn canonical(&self, target: Option<&str>) -> String {
        // Through a value: its maps are sorted, however deep they are.
        let value = serde_json::to_value((Self::KIND, target, self));
        value.expect("bodies have string keys and came from JSON").to_string()
    }
}

macro_rules! bodies {
    ($($body:ty: $kind:literal, only operators: $only:literal;)+) => {$(
        impl CommandBody for $body {
            const KIND: &'static str = $kind;
            const ONLY_OPERATORS: bool = $only;
        }
    )+};
}

bodies! {
    StartCharging: "start_charging", only operators: false;
    StopCharging: "stop_charging", only operators: false;
    RegisterCharger: "register_charger", only operators: true;
    RegisterSite: "register_site", only operators: true;
    PublishTariff: "publish_tariff", only operators: true;
    PublishPlan: "publish_plan", only operators: true;
    ActivatePlan: "activate_plan", only operators: true;
    RegisterToken: "register_token", only operators: true;
    BlockToken: "block_token", only operators: true;
    EraseDriver: "erase_driver", only operators: true;
    EraseMe: "erase_me", only operators: false;
    RemoteStart: "remote_start", only operators: true;
    RemoteStop: "remote_stop", only operators: true;
    StationCommand: "station_command", only operators: true;
}

/// `POST /api/sessions/start`. One of: `charger_id` with `connector_id`, `charger_id` with `evse_id`, or `evse_uid`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StartCharging {
    #[schema(example = "CP001")]
    pub charger_id: Option<String>,
    /// The number that the charger itself uses. Beside an `evse_id` it says which connector of that EVSE is meant.
    #[schema(value_type = Option<u32>, minimum = 1, example = 1)]
    pub connector_id: Option<NonZeroU32>,
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub evse_id: Option<NonZeroU32>,
    /// As a charger's connectors give it.
    pub evse_uid: Option<String>,
}

/// `POST /api/sessions/stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopCharging {
    #[schema(value_type = uuid::Uuid)]
    pub session_id: SessionId,
}

/// `POST /api/chargers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterCharger {
    /// What the charger calls itself: 1 to 48 printable characters without `/`.
    #[schema(example = "CP001", max_length = 48)]
    pub charger_id: String,
    /// For Basic authentication (OCPP security profiles 1 and 2). Without one the charger needs none.
    #[serde(default)]
    #[schema(min_length = 8, max_length = 40)]
    pub password: Option<Secret>,
    #[serde(default)]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub site_id: Option<SiteId>,
    /// Left out: they become known as the charger reports them.
    #[serde(default)]
    pub evses: Option<Vec<Evse>>,
}

/// One vehicle at a time, through one of its connectors. OCPP 1.6's connector n is EVSE n, connector 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Evse {
    #[schema(value_type = u32, minimum = 1)]
    pub evse_id: NonZeroU32,
    pub connectors: Vec<Connector>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    #[schema(value_type = u32, minimum = 1)]
    pub connector_id: NonZeroU32,
    /// The plug, in OCPI's words.
    #[serde(rename = "type", default)]
    #[schema(example = "IEC_62196_T2_COMBO", max_length = 64)]
    pub kind: Option<String>,
    #[serde(default)]
    #[schema(example = 150_000)]
    pub max_power_w: Option<u32>,
}

/// `POST /api/sites`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterSite {
    /// The site that is changed; left out: a new site.
    #[serde(default)]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub site_id: Option<SiteId>,
    #[schema(example = "Harbour", max_length = 200)]
    pub name: String,
    pub address: Address,
    #[serde(default)]
    pub coordinates: Option<Coordinates>,
    /// IANA name: tariffs' times of day are in it.
    #[schema(value_type = String, example = "Europe/Berlin")]
    pub time_zone: Tz,
    /// ISO 4217.
    #[schema(value_type = String, example = "EUR")]
    pub currency: Currency,
    /// What charging costs here to those whose plan says nothing else.
    #[serde(default)]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub tariff_id: Option<TariffId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAddress)]
pub struct Address {
    #[schema(example = "Am Kai 1", max_length = 200)]
    pub street: String,
    #[serde(default)]
    #[schema(example = "20457")]
    pub postal_code: Option<String>,
    #[schema(example = "Hamburg", max_length = 200)]
    pub city: String,
    /// ISO 3166-1 alpha-2.
    #[schema(example = "DE")]
    pub country: String,
}

/// WGS 84, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCoordinates)]
pub struct Coordinates {
    #[schema(minimum = -90, maximum = 90)]
    pub latitude: f64,
    #[schema(minimum = -180, maximum = 180)]
    pub longitude: f64,
}

/// `POST /api/plans`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishPlan {
    /// The plan of which this is a new version; left out: a new plan.
    #[serde(default)]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub plan_id: Option<PlanId>,
    #[schema(example = "Regular", max_length = 200)]
    pub name: String,
    /// What charging costs on this plan; left out: the site's tariff.
    #[serde(default)]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub tariff_id: Option<TariffId>,
}

/// `POST /api/drivers/{id}/plan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivatePlan {
    #[schema(value_type = uuid::Uuid)]
    pub plan_id: PlanId,
}

/// `POST /api/drivers/{id}/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterToken {
    /// `IdTokenEnumType` of OCPP 2.0.1; for cards `ISO14443`.
    #[serde(rename = "type")]
    #[schema(example = "ISO14443", max_length = 36)]
    pub kind: String,
    /// As a charger reads it; compared without case.
    #[schema(min_length = 1, max_length = 36)]
    pub value: Secret,
    /// Left out: it does not expire.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// `POST /api/tokens/{id}/block` has no members.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockToken {}

/// `POST /api/drivers/{id}/erase` has no members.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseDriver {}

/// `POST /api/me/erase` has no members.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseMe {}

/// `POST /api/charging/remote_start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteStart {
    #[schema(example = "CP001")]
    pub charger_id: String,
    #[schema(value_type = u32, minimum = 1, example = 1)]
    pub connector_id: NonZeroU32,
    /// Whose token it is for. The charger is sent a fresh one-off tag all the same, of the token's group.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 36)]
    pub id_tag: Option<Secret>,
}

/// `POST /api/charging/remote_stop`. Either `session_id`, or `charger_id` with `transaction_id`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteStop {
    #[schema(value_type = Option<uuid::Uuid>)]
    pub session_id: Option<SessionId>,
    #[schema(example = "CP001")]
    pub charger_id: Option<String>,
    /// A string; the integers of OCPP 1.6 may also come as numbers.
    #[serde(deserialize_with = "text_or_integer")]
    #[schema(example = "17", max_length = 36)]
    pub transaction_id: Option<String>,
}

/// `POST /api/chargers/{id}/commands`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StationCommand {
    /// The OCPP action.
    #[schema(example = "Reset")]
    pub action: String,
    /// The request's payload, as OCPP has it.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"type": "Soft"}))]
    pub payload: Map<String, Value>,
}

/// The answer to a command that was taken: what comes of it will be seen from its position on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    #[schema(value_type = uuid::Uuid)]
    pub command_id: CommandId,
    /// For `min_position`: a view that contains it contains what the command did.
    #[schema(value_type = i64)]
    pub position: Position,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub session_id: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charger_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub site_id: Option<SiteId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub tariff_id: Option<TariffId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub plan_id: Option<PlanId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub driver_id: Option<DriverId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub token_id: Option<TokenId>,
}

/// A refusal: RFC 9457 `application/problem+json`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    #[schema(example = "/problems/charger-offline")]
    pub kind: String,
    #[schema(example = "The charger is offline")]
    pub title: String,
    #[schema(example = 409)]
    pub status: u16,
    /// A sentence for people.
    pub detail: String,
    /// The path of the member that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// When to try again, as in the header `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

fn text_or_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a string or an integer")]
    enum Either {
        Text(String),
        Integer(i64),
    }
    Ok(Option::<Either>::deserialize(deserializer)?.map(|either| match either {
        Either::Text(text) => text,
        Either::Integer(number) => number.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_meaning_has_one_canonical_form() {
        let parse = |text: &str| serde_json::from_str::<StationCommand>(text).unwrap();
        let one = parse(r#"{"action":"Reset","payload":{"b":{"y":1,"x":2},"a":1}}"#);
        let same = parse(r#"{ "payload": {"a":1, "b":{"x":2,"y":1}}, "action":"Reset" }"#);
        let other = parse(r#"{"action":"Reset","payload":{"a":1,"b":{"x":2,"y":2}}}"#);
        let form = |body: &StationCommand| body.canonical(Some("CP001"));
        assert_eq!(form(&one), form(&same));
        assert_ne!(form(&one), form(&other));
        assert_ne!(form(&one), one.canonical(Some("CP002")));
    }

    #[test]
    fn a_transaction_id_is_a_text_or_a_number() {
        for id in [json!("17"), json!(17)] {
            let stop: RemoteStop =
                serde_json::from_value(json!({"charger_id": "CP001", "transaction_id": id})).unwrap();
            assert_eq!(stop.transaction_id.as_deref(), Some("17"));
        }
        assert!(serde_json::from_value::<RemoteStop>(json!({"transaction_id": 1.5})).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let body = json!({"charger_id": "CP001", "password": "open sesame"});
        let body: RegisterCharger = serde_json::from_value(body).unwrap();
        assert!(!format!("{body:?}").contains("sesame"));
    }
}
