//! With what an event is kept, and for how long.

use domain::envelope::Retention;
use domain::event::{AggregateType, Event};
use serde::Serialize;
use serde_json::Value;

/// By what the order of events is kept, and their load shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionKey {
    /// The id of its own stream.
    Stream,
    /// The charge point that its stream belongs to.
    ChargePoint,
    /// The key that was parked in the read model.
    ParkedKey,
}

impl PartitionKey {
    pub const fn says(self) -> &'static str {
        match self {
            Self::Stream => "its own stream",
            Self::ChargePoint => "its charge point",
            Self::ParkedKey => "the parked key",
        }
    }
}

/// A class of retention, and when an event is of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub class: &'static str,
    /// The member on which it depends, and its value; none: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<(String, bool)>,
}

pub fn partition_key(aggregate: AggregateType, event_type: &str) -> PartitionKey {
    match aggregate {
        AggregateType::Site
        | AggregateType::ChargePoint
        | AggregateType::Token
        | AggregateType::Driver
        | AggregateType::Plan
        | AggregateType::Tariff
        | AggregateType::Disclosure
        | AggregateType::Log
        | AggregateType::Unknown => PartitionKey::Stream,
        AggregateType::StationCommand | AggregateType::ChargingSession => PartitionKey::ChargePoint,
        AggregateType::ReadModel => match event_type {
            "ParkedKeyReleased" | "ParkedEventSkipped" => PartitionKey::ParkedKey,
            _ => PartitionKey::Stream,
        },
    }
}

/// Found by trying both values of each member that is true or false.
pub fn retention(aggregate: AggregateType, event_type: &str, payload: &Value) -> Vec<Kept> {
    let class = |payload: &Value| {
        let event = Event::from_value(aggregate, payload.clone()).ok();
        event.map_or(Retention::Ledger, |event| event.retention())
    };
    for (name, value) in payload[event_type].as_object().into_iter().flatten() {
        let Some(is) = value.as_bool() else { continue };
        let mut other = payload.clone();
        other[event_type][name] = (!is).into();
        let mut classes = [(is, class(payload)), (!is, class(&other))];
        classes.sort_by_key(|(_, class)| *class);
        if classes[0].1 != classes[1].1 {
            let kept =
                |(is, class): (bool, Retention)| Kept { class: class.as_str(), depends_on: Some((name.clone(), is)) };
            return classes.map(kept).to_vec();
        }
    }
    vec![Kept { class: class(payload).as_str(), depends_on: None }]
}
