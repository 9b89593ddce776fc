use std::time::Duration;

use chrono::TimeDelta;

use super::Witness;
use std::sync::Arc;

/// What a charger is, and how it behaves. The defaults are those of a well-behaved AC charger with two outlets.
#[derive(Clone)]
pub struct ChargerConfig {
    /// The identity with which it connects.
    pub id: String,
    /// Of the edge, without the identity: `ws://host:port`.
    pub ocpp: String,
    /// For Basic authentication.
    pub password: Option<String>,
    /// Whether it asks for the subprotocol `ocpp1.6`, or for none as some chargers do.
    pub offers_subprotocol: bool,
    pub vendor: String,
    pub model: String,
    pub outlets: Vec<OutletConfig>,
    /// Between readings during a transaction. ChangeConfiguration of MeterValueSampleInterval changes it.
    pub sample_interval: Duration,
    /// Until the next heartbeat when the edge says nothing of it.
    pub heartbeat_interval: Duration,
    /// For how long a start from afar waits for a car (ConnectionTimeOut).
    pub plug_wait: Duration,
    /// For how long it waits for an answer before it says the same again.
    pub answer_wait: Duration,
    /// How long a reset takes.
    pub reboot: Duration,
    /// Whether it says BootNotification after every reconnection, or only after it was switched on.
    pub boots_on_reconnect: bool,
    /// Whether a repeated message carries the id of the first one. Both happen.
    pub reuses_message_ids: bool,
    /// Whether it asks before it follows a start from afar (AuthorizeRemoteTxRequests).
    pub authorizes_remote_starts: bool,
    /// How far its clock is off.
    pub clock_skew: TimeDelta,
    /// Free text that it reports of an outlet that is broken.
    pub fault_info: Option<String>,
    /// How it answers what it is asked; see [`Answers`].
    pub answers: Answers,
    /// Told of every message of the charger that was acknowledged.
    pub witness: Option<Arc<dyn Witness>>,
    /// What it does by chance follows from this and its id.
    pub seed: u64,
}

/// One outlet: a connector of OCPP 1.6, counted from 1 in the order of the list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutletConfig {
    pub power_max_w: f64,
    /// Direct current: the charger knows the battery's state of charge, and the car's curve bends early.
    pub dc: bool,
}

impl OutletConfig {
    pub const fn ac(power_max_w: f64) -> Self {
        Self { power_max_w, dc: false }
    }

    pub const fn dc(power_max_w: f64) -> Self {
        Self { power_max_w, dc: true }
    }
}

/// How a charger answers a start or a stop from afar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answers {
    #[default]
    AsItCan,
    /// It says Rejected to everything.
    Rejecting,
    /// It says nothing at all.
    Mute,
}

impl ChargerConfig {
    pub fn new(ocpp: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ocpp: ocpp.into(),
            password: None,
            offers_subprotocol: true,
            vendor: "Ladewerk".to_owned(),
            model: "AC-22 Duo".to_owned(),
            outlets: vec![OutletConfig::ac(22_000.0), OutletConfig::ac(22_000.0)],
            sample_interval: Duration::from_secs(10),
            heartbeat_interval: Duration::from_secs(300),
            plug_wait: Duration::from_secs(120),
            answer_wait: Duration::from_secs(30),
            reboot: Duration::from_secs(2),
            boots_on_reconnect: true,
            reuses_message_ids: false,
            authorizes_remote_starts: false,
            clock_skew: TimeDelta::zero(),
            fault_info: None,
            answers: Answers::AsItCan,
            witness: None,
            seed: 0,
        }
    }
}
