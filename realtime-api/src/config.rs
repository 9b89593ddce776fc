//! What can be set, from flags and variables, and the limits on everything a client could hold or use up.

use std::sync::Arc;
use std::time::Duration;

use application::Application;
use clap::Args;
use clap::builder::RangedU64ValueParser;
use pool::Pool;
use schema::view::{ViewFeeds, ViewStore};

use crate::socket::MessageRate;

/// What the service runs with.
pub struct Config {
    pub application: Application,
    /// Of the database with the accounts.
    pub pool: Pool,
    pub views: ViewStore,
    pub feeds: Arc<dyn ViewFeeds>,
    pub settings: Settings,
}

/// Everything has a default.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub limits: Limits,
    /// Shares of the sockets, each delivered to by a task of its own; none: one for each core.
    pub shards: Option<usize>,
}

/// Limits of sockets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sockets at a time; further ones are refused with 503.
    pub sockets_max: usize,
    /// For the first token, from the opening of the socket.
    pub auth_wait: Duration,
    /// A client that was silent for so long is pinged. At most a minute.
    pub ping_after: Duration,
    /// A client that was silent for so long, pings notwithstanding, is gone.
    pub idle_max: Duration,
    /// A client that takes nothing of what waits for it for so long is closed.
    pub slow_max: Duration,
    /// For a client to answer our close.
    pub close_wait: Duration,
    /// The largest message of a client, in bytes.
    pub message_bytes_max: usize,
    pub message_rate: MessageRate,
    /// Messages that can't be understood, in the life of a socket.
    pub misuse_max: u16,
    pub subscriptions_max: usize,
    /// Subscriptions above the limit that are refused before the socket is closed.
    pub subscriptions_refused_max: u16,
    /// Over which time sockets are closed when the process ends, and clients come back that were sent away together.
    pub drain_over: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sockets_max: 120_000,
            auth_wait: Duration::from_secs(10),
            ping_after: Duration::from_secs(30),
            idle_max: Duration::from_secs(75),
            slow_max: Duration::from_secs(30),
            close_wait: Duration::from_secs(3),
            message_bytes_max: 16 * 1024,
            message_rate: MessageRate { burst: 100, per_second: 20 },
            misuse_max: 20,
            subscriptions_max: 100,
            subscriptions_refused_max: 20,
            drain_over: Duration::from_secs(5),
        }
    }
}

/// Flags and variables of realtime-api.
#[derive(Args, Clone, Debug)]
pub struct RealtimeArgs {
    /// WebSockets at a time
    #[arg(long, env = "COULOMB_SOCKETS_MAX", value_name = "NUMBER", default_value_t = Limits::default().sockets_max,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000_000))]
    pub sockets_max: usize,

    /// Subscriptions of one WebSocket
    #[arg(long, env = "COULOMB_SUBSCRIPTIONS_MAX", value_name = "NUMBER",
        default_value_t = Limits::default().subscriptions_max,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    pub subscriptions_max: usize,
}

impl From<RealtimeArgs> for Settings {
    fn from(args: RealtimeArgs) -> Self {
        let limits =
            Limits { sockets_max: args.sockets_max, subscriptions_max: args.subscriptions_max, ..Limits::default() };
        Self { limits, shards: None }
    }
}
