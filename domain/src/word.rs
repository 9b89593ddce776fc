//! Open lists of words: protocols and later versions add to them, and readers pass on what they don't know.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$kdoc:meta])* $konst:ident = $word:literal),* $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Cow<'static, str>);

        impl $name {
            $($(#[$kdoc])* pub const $konst: Self = Self(Cow::Borrowed($word));)*

            pub fn new(word: impl Into<Cow<'static, str>>) -> Self {
                Self(word.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

words! {
    /// `chargingState` of OCPP 2.0.1 (ChargingStateEnumType).
    ChargingState {
        CHARGING = "Charging",
        EV_CONNECTED = "EVConnected",
        SUSPENDED_EV = "SuspendedEV",
        SUSPENDED_EVSE = "SuspendedEVSE",
        IDLE = "Idle",
    }
    /// `triggerReason` of OCPP 2.0.1 (TriggerReasonEnumType).
    TriggerReason {
        AUTHORIZED = "Authorized",
        REMOTE_START = "RemoteStart",
        REMOTE_STOP = "RemoteStop",
        METER_VALUE_PERIODIC = "MeterValuePeriodic",
    }
    /// `stoppedReason` of OCPP 2.0.1 (ReasonEnumType); 1.6's words are mapped, see [`StopReason::from_v16`].
    StopReason {
        LOCAL = "Local",
        REMOTE = "Remote",
        EV_DISCONNECTED = "EVDisconnected",
        DE_AUTHORIZED = "DeAuthorized",
        EMERGENCY_STOP = "EmergencyStop",
        POWER_LOSS = "PowerLoss",
        REBOOT = "Reboot",
        IMMEDIATE_RESET = "ImmediateReset",
        OTHER = "Other",
    }
    /// What does not fit, for people to look at.
    Flag {
        /// The request had failed when its transaction came.
        LATE_START = "late_start",
        /// It had been cancelled before it came; it is to be stopped at once.
        CANCELLED = "cancelled",
        /// Began while the charger was offline, or was queued.
        OFFLINE = "offline",
        UNKNOWN_TOKEN = "unknown_token",
        NOT_AUTHORIZED = "not_authorized",
        NO_TRUSTED_TIME = "no_trusted_time",
        UNKNOWN_OUTLET = "unknown_outlet",
        METER_RESET = "meter_reset",
        IMPLAUSIBLE_METER = "implausible_meter",
        /// Closed because it was silent or overtaken, not because its charger said so.
        PRESUMED_ENDED = "presumed_ended",
        /// Its Stop came after all.
        REOPENED = "reopened",
        /// Only its Stop ever arrived.
        START_MISSING = "start_missing",
        STOPPED_TWICE = "stopped_twice",
        READINGS_AFTER_STOP = "readings_after_stop",
    }
}

impl Flag {
    /// Whether the price of a session so flagged is an estimate, which people settle: so with all flags but those that
    /// only tell how its reports came.
    pub fn casts_doubt(&self) -> bool {
        ![Self::OFFLINE, Self::READINGS_AFTER_STOP].contains(self)
    }
}

impl StopReason {
    /// From OCPP 1.6's `Reason`, 2.0.1's word for the same; an absent reason means `Local` (1.6 edition 2, 6.49).
    pub fn from_v16(word: Option<&str>) -> Self {
        match word {
            None | Some("") => Self::LOCAL,
            Some("SoftReset" | "HardReset") => Self::IMMEDIATE_RESET,
            Some("UnlockCommand") => Self::OTHER,
            Some(word) => Self::new(word.to_owned()),
        }
    }
}
