//! An event's envelope as cqrs-es keeps it: a flat map of strings.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use domain::envelope::{Actor, ActorKind, Envelope, ReportTimes, TimeSource};
use domain::id::TenantId;
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the metadata is not a flat map of strings")]
    Malformed(#[source] serde_json::Error),
    #[error("the metadata has no usable {0}")]
    Missing(&'static str),
}

/// The envelope as JSON text. Absent values are left out.
pub fn to_json(envelope: &Envelope) -> String {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let mut map = BTreeMap::new();
    map.insert("tenant_id", envelope.tenant_id.to_string());
    map.insert("actor_kind", envelope.actor.kind.to_string());
    map.insert("actor_id", envelope.actor.id.clone());
    let mut optional = |name, value: Option<String>| {
        if let Some(value) = value {
            map.insert(name, value);
        }
    };
    optional("reason", envelope.reason.clone());
    optional("causation_id", envelope.causation_id.map(|id| id.to_string()));
    optional("correlation_id", envelope.correlation_id.map(|id| id.to_string()));
    optional("trace_id", envelope.trace_id.clone());
    if let Some(times) = &envelope.times {
        optional("received_at", Some(time(times.received_at)));
        optional("device_at", times.device_at.clone());
        optional("occurred_at", times.occurred_at.map(time));
        optional("occurred_source", Some(times.source.as_str().to_owned()));
    }
    serde_json::to_string(&map).expect("a map of strings")
}

/// From what [`to_json`] wrote. Names that are not known are passed over.
pub fn from_json(text: &str) -> Result<Envelope, Error> {
    let mut map: BTreeMap<String, String> = serde_json::from_str(text).map_err(Error::Malformed)?;
    let mut take = |name: &'static str| map.remove(name);
    let uuid = |name, value: Option<String>| match value {
        Some(text) => Uuid::parse_str(&text).map(Some).map_err(|_| Error::Missing(name)),
        None => Ok(None),
    };
    let time = |name, value: Option<String>| match value {
        Some(text) => text.parse::<DateTime<Utc>>().map(Some).map_err(|_| Error::Missing(name)),
        None => Ok(None),
    };
    let tenant = uuid("tenant_id", take("tenant_id"))?.ok_or(Error::Missing("tenant_id"))?;
    let kind = take("actor_kind").and_then(|word| ActorKind::parse(&word)).ok_or(Error::Missing("actor_kind"))?;
    let id = take("actor_id").ok_or(Error::Missing("actor_id"))?;
    let times = match time("received_at", take("received_at"))? {
        Some(received_at) => Some(ReportTimes {
            received_at,
            device_at: take("device_at"),
            occurred_at: time("occurred_at", take("occurred_at"))?,
            source: take("occurred_source").and_then(|word| TimeSource::parse(&word)).unwrap_or(TimeSource::Unknown),
        }),
        None => None,
    };
    Ok(Envelope {
        tenant_id: TenantId(tenant),
        actor: Actor { kind, id },
        reason: take("reason"),
        causation_id: uuid("causation_id", take("causation_id"))?,
        correlation_id: uuid("correlation_id", take("correlation_id"))?,
        trace_id: take("trace_id"),
        times,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_comes_back_whole() {
        let at = DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("in range");
        let envelope = Envelope {
            tenant_id: TenantId::DEFAULT,
            actor: Actor::system("start process"),
            reason: Some("because".into()),
            causation_id: Some(Uuid::from_u128(7)),
            correlation_id: Some(Uuid::from_u128(8)),
            trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
            times: Some(ReportTimes {
                received_at: at,
                device_at: Some("2020-01-01 00:00:00".into()),
                occurred_at: None,
                source: TimeSource::Unknown,
            }),
        };
        assert_eq!(from_json(&to_json(&envelope)).expect("readable"), envelope);
    }
}
