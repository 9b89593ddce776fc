use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::lenient::{Fields, Message, Refused};

/// `Heartbeat.req` (1.6 section 6.29). Whatever is in its payload, it is a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat;

impl<'a> Message<'a> for Heartbeat {
    fn read(_: &mut Fields<'a, '_>) -> Result<Self, Refused> {
        Ok(Self)
    }
}

/// `Heartbeat.conf` (1.6 section 6.30): chargers set their clocks by it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatResponse {
    #[serde(serialize_with = "super::time::rfc3339_millis")]
    pub current_time: DateTime<Utc>,
}
