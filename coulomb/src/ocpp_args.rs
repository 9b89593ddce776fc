//! Flags and variables of the chargers' sockets.

use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use ocpp_edge::{Config, Limits};
use service_host::config::listen_address;

/// A charger that answers no pings is given up after two heartbeats that did not come, and this.
const HEARTBEAT_GRACE: Duration = Duration::from_secs(60);

/// Where chargers connect, which, and how much of each is taken.
#[derive(Args, Clone, Debug)]
pub struct OcppArgs {
    /// Where to listen for chargers: a port, or address:port; port 0 takes a free one
    #[arg(long, env = "COULOMB_OCPP_LISTEN", value_parser = listen_address, default_value = "127.0.0.1:9000",
        value_name = "[ADDRESS:]PORT")]
    pub ocpp: SocketAddr,

    /// What to do with chargers that nobody has registered
    #[arg(long, env = "COULOMB_UNKNOWN_CHARGERS", value_enum, default_value = "refuse")]
    pub unknown_chargers: UnknownChargers,

    /// Seconds between the heartbeats of a charger, as it is told when it boots
    #[arg(long, env = "COULOMB_HEARTBEAT_INTERVAL", value_name = "SECONDS", default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(10..=86_400))]
    pub heartbeat_interval: u32,

    /// Vendors whose DataTransfer is answered with Accepted; that of others with UnknownVendorId
    #[arg(long, env = "COULOMB_DATA_TRANSFER_VENDORS", value_name = "VENDOR", value_delimiter = ',')]
    pub data_transfer_vendors: Vec<String>,

    /// Chargers' sockets at a time; further ones wait
    #[arg(long, env = "COULOMB_OCPP_SOCKETS_MAX", value_name = "NUMBER",
        default_value_t = Limits::default().connections_max,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000_000))]
    pub ocpp_sockets_max: usize,

    /// The largest message of a charger; a long session's StopTransaction has 300 KB and more
    #[arg(long, env = "COULOMB_OCPP_MESSAGE_BYTES_MAX", value_name = "BYTES",
        default_value_t = Limits::default().message_bytes_max,
        value_parser = RangedU64ValueParser::<usize>::new().range(65_536..=16_777_216))]
    pub ocpp_message_bytes_max: usize,

    /// Messages that a charger may send at once before it counts as a flood, such as what it has kept while it was offline
    #[arg(long, env = "COULOMB_OCPP_FLOOD_BURST", value_name = "NUMBER",
        default_value_t = Limits::default().messages_burst,
        value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub ocpp_flood_burst: u32,

    /// Messages a second that a charger may send for ever
    #[arg(long, env = "COULOMB_OCPP_FLOOD_RATE", value_name = "A_SECOND",
        default_value_t = Limits::default().messages_per_s,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub ocpp_flood_rate: u32,

    /// Seconds of silence after which a charger is pinged
    #[arg(long, env = "COULOMB_OCPP_PING_AFTER", value_name = "SECONDS",
        default_value_t = Limits::default().ping_after.as_secs(),
        value_parser = clap::value_parser!(u64).range(5..=3600))]
    pub ocpp_ping_after: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UnknownChargers {
    /// Their connection is answered with 404
    Refuse,
    /// They are registered as they connect
    Accept,
}

impl From<UnknownChargers> for ocpp_edge::UnknownChargers {
    fn from(policy: UnknownChargers) -> Self {
        match policy {
            UnknownChargers::Refuse => Self::Refuse,
            UnknownChargers::Accept => Self::Accept,
        }
    }
}

impl From<OcppArgs> for Config {
    fn from(args: OcppArgs) -> Self {
        let defaults = Limits::default();
        let heartbeat = Duration::from_secs(args.heartbeat_interval.into());
        let limits = Limits {
            connections_max: args.ocpp_sockets_max,
            message_bytes_max: args.ocpp_message_bytes_max,
            messages_burst: args.ocpp_flood_burst,
            messages_per_s: args.ocpp_flood_rate,
            ping_after: Duration::from_secs(args.ocpp_ping_after),
            silence_max: defaults.silence_max.max(2 * heartbeat + HEARTBEAT_GRACE),
            ..defaults
        };
        Self {
            unknown_chargers: args.unknown_chargers.into(),
            heartbeat_interval_s: args.heartbeat_interval,
            data_transfer_vendors: args.data_transfer_vendors,
            limits,
            ..Self::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: OcppArgs,
    }

    fn parse(args: &[&str]) -> Result<Config, clap::Error> {
        Cli::try_parse_from([&["test"], args].concat()).map(|cli| cli.args.into())
    }

    #[test]
    fn flags_default_to_the_defaults() {
        let (parsed, defaults) = (parse(&[]).unwrap(), Config::new());
        let same = |config: Config| format!("{:?}", Config { name: String::new(), ..config });
        assert_eq!(same(parsed), same(defaults));
    }

    #[test]
    fn a_slow_heartbeat_is_not_taken_for_silence() {
        let config = parse(&["--heartbeat-interval", "3600"]).unwrap();
        assert_eq!(config.heartbeat_interval_s, 3600);
        assert!(config.limits.silence_max >= Duration::from_secs(2 * 3600));
    }

    #[test]
    fn senseless_numbers_are_refused() {
        for wrong in [
            ["--heartbeat-interval", "0"],
            ["--ocpp-sockets-max", "0"],
            ["--ocpp-message-bytes-max", "1000"],
            ["--ocpp-flood-burst", "0"],
            ["--ocpp-flood-rate", "0"],
            ["--ocpp-ping-after", "0"],
        ] {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse(&["--data-transfer-vendors", "acme,volt"]).unwrap().data_transfer_vendors, ["acme", "volt"]);
    }
}
