//! An event's envelope as cqrs-es keeps it: a flat map of strings.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use domain::envelope::{Actor, ActorKind, Envelope, ReportTimes, TimeSource};
use domain::id::TenantId;
use serde::Deserialize;
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

/// What [`to_json`] writes, read without a copy of what is only parsed.
#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    tenant_id: Option<Text<'a>>,
    #[serde(borrow)]
    actor_kind: Option<Text<'a>>,
    #[serde(borrow)]
    actor_id: Option<Text<'a>>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    causation_id: Option<Text<'a>>,
    #[serde(borrow)]
    correlation_id: Option<Text<'a>>,
    #[serde(borrow)]
    trace_id: Option<Text<'a>>,
    #[serde(borrow)]
    received_at: Option<Text<'a>>,
    #[serde(borrow)]
    device_at: Option<Text<'a>>,
    #[serde(borrow)]
    occurred_at: Option<Text<'a>>,
    #[serde(borrow)]
    occurred_source: Option<Text<'a>>,
}

/// Borrowed where nothing in it is escaped. A type of its own, since serde borrows no `Cow` within an `Option`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    fn owned(text: Option<Self>) -> Option<String> {
        text.map(|Text(text)| text.into_owned())
    }

    fn uuid(name: &'static str, text: Option<Self>) -> Result<Option<Uuid>, Error> {
        text.map(|Text(text)| Uuid::parse_str(&text)).transpose().map_err(|_| Error::Missing(name))
    }

    fn time(name: &'static str, text: Option<Self>) -> Result<Option<DateTime<Utc>>, Error> {
        text.map(|Text(text)| text.parse()).transpose().map_err(|_| Error::Missing(name))
    }
}

/// From what [`to_json`] wrote. Names that are not known are passed over.
pub fn from_json(text: &str) -> Result<Envelope, Error> {
    let stored: Stored<'_> = serde_json::from_str(text).map_err(Error::Malformed)?;
    let tenant = Text::uuid("tenant_id", stored.tenant_id)?.ok_or(Error::Missing("tenant_id"))?;
    let kind = stored.actor_kind.and_then(|Text(word)| ActorKind::parse(&word)).ok_or(Error::Missing("actor_kind"))?;
    let id = Text::owned(stored.actor_id).ok_or(Error::Missing("actor_id"))?;
    let times = match Text::time("received_at", stored.received_at)? {
        Some(received_at) => Some(ReportTimes {
            received_at,
            device_at: Text::owned(stored.device_at),
            occurred_at: Text::time("occurred_at", stored.occurred_at)?,
            source: stored
                .occurred_source
                .and_then(|Text(word)| TimeSource::parse(&word))
                .unwrap_or(TimeSource::Unknown),
        }),
        None => None,
    };
    Ok(Envelope {
        tenant_id: TenantId(tenant),
        actor: Actor { kind, id },
        reason: Text::owned(stored.reason),
        causation_id: Text::uuid("causation_id", stored.causation_id)?,
        correlation_id: Text::uuid("correlation_id", stored.correlation_id)?,
        trace_id: Text::owned(stored.trace_id),
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
        let escaped = Envelope { reason: Some("\"so\" \n it ended".into()), times: None, ..envelope };
        assert_eq!(from_json(&to_json(&escaped)).expect("readable"), escaped);
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_needed_is_missed() {
        let text = |rest: &str| format!(r#"{{"tenant_id":"{}",{rest}}}"#, TenantId::DEFAULT);
        let read = from_json(&text(r#""actor_kind":"system","actor_id":"it","later":"x""#)).expect("readable");
        assert_eq!(read.actor, Actor::system("it"));
        assert!(matches!(from_json(&text(r#""actor_kind":"system""#)), Err(Error::Missing("actor_id"))));
        assert!(matches!(from_json(&text(r#""actor_kind":1"#)), Err(Error::Malformed(_))));
    }
}
