//! What an edge runs with. Every queue, buffer and wait has its limit here, or a named constant where it is used.

use std::time::Duration;

use domain::id::TenantId;
use uuid::Uuid;

#[derive(Clone, Debug)]
pub struct Config {
    /// Under which the edge holds its lease and is named in the log. Of one run of one process: what an earlier run held is
    /// then seen to be gone.
    pub name: String,
    pub tenant_id: TenantId,
    pub unknown_chargers: UnknownChargers,
    /// Which chargers are told to keep between heartbeats, in seconds.
    pub heartbeat_interval_s: u32,
    /// Other edges stand ready: at the end, chargers whose sockets are closed are not recorded as disconnected, since they come
    /// back at once, elsewhere. Who does not is recorded when the edge's lease lapses.
    pub hands_over: bool,
    /// Vendors whose DataTransfer is answered with Accepted; others get UnknownVendorId. Both are recorded.
    pub data_transfer_vendors: Vec<String>,
    pub limits: Limits,
}

/// What becomes of a charger that nobody has registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownChargers {
    /// Its connection is answered with 404.
    #[default]
    Refuse,
    /// It is registered as it connects, without a credential.
    Accept,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sockets at a time; further ones wait in the kernel's backlog.
    pub connections_max: usize,
    /// Opening requests that are looked up and appended at a time; the others wait their turn.
    pub openings_max: usize,
    /// From the accepted socket to the answered opening request.
    pub opening_wait_max: Duration,
    /// The largest message of an authenticated charger. A long session's StopTransaction has 300 KB and more.
    pub message_bytes_max: usize,
    /// Messages that a socket may send at once, above [`Self::messages_per_s`]. What was kept offline comes as fast as it is
    /// answered, which is no flood: eight hours of readings every ten seconds from four connectors are 11,520 messages.
    pub messages_burst: u32,
    /// Messages of one socket in the long run.
    pub messages_per_s: u32,
    /// A socket that was not heard of for so long is pinged.
    pub ping_after: Duration,
    /// A charger that has answered pings before must answer within this.
    pub pong_wait_max: Duration,
    /// How long a charger that never answers pings may be silent; at least twice the heartbeat interval.
    pub silence_max: Duration,
    /// For a frame that the charger doesn't take.
    pub write_wait_max: Duration,
    /// For how long a report is tried again while the log can't be reached.
    pub report_retry_for: Duration,
    /// The same, while a driver stands before the charger and waits.
    pub authorize_retry_for: Duration,
    /// From the first message of a connection until what it has not reported is asked for.
    pub stable_after: Duration,
    /// Commands wait so long for the first message of a connection, which may be a BootNotification.
    pub first_message_wait: Duration,
    /// Over which sockets are closed at the end: evenly, where the chargers are handed over; sooner by an edge that has few, or
    /// that ends alone.
    pub drain_spread_max: Duration,
    /// When the end has begun, a charger that was sent a command may still answer within this.
    pub drain_answer_wait: Duration,
    /// For the connections to end after that.
    pub drain_wait_max: Duration,
}

impl Config {
    pub fn new() -> Self {
        Self {
            name: format!("edge-{}", Uuid::now_v7().simple()),
            tenant_id: TenantId::DEFAULT,
            unknown_chargers: UnknownChargers::default(),
            heartbeat_interval_s: 300,
            hands_over: false,
            data_transfer_vendors: vec![],
            limits: Limits::default(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 131_072,
            openings_max: 256,
            opening_wait_max: Duration::from_secs(20),
            message_bytes_max: 1024 * 1024,
            messages_burst: 20_000,
            messages_per_s: 100,
            // Below the minute after which many gateways forget a connection.
            ping_after: Duration::from_secs(50),
            pong_wait_max: Duration::from_secs(20),
            silence_max: Duration::from_secs(660),
            write_wait_max: Duration::from_secs(20),
            report_retry_for: Duration::from_secs(20),
            authorize_retry_for: Duration::from_secs(8),
            stable_after: Duration::from_secs(10),
            first_message_wait: Duration::from_secs(3),
            drain_spread_max: Duration::from_secs(10),
            drain_answer_wait: Duration::from_secs(5),
            drain_wait_max: Duration::from_secs(10),
        }
    }
}
