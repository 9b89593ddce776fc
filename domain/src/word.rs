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
        /// Energy flows.
        CHARGING = "Charging",
        /// The car is plugged in, and energy was not offered yet.
        EV_CONNECTED = "EVConnected",
        /// The car takes none of the energy that is offered.
        SUSPENDED_EV = "SuspendedEV",
        /// The charger offers none.
        SUSPENDED_EVSE = "SuspendedEVSE",
        /// The car is unplugged.
        IDLE = "Idle",
    }
    /// `triggerReason` of OCPP 2.0.1 (TriggerReasonEnumType).
    TriggerReason {
        /// A token was shown.
        AUTHORIZED = "Authorized",
        /// It was asked to start.
        REMOTE_START = "RemoteStart",
        /// It was asked to stop.
        REMOTE_STOP = "RemoteStop",
        /// It was time for meter values.
        METER_VALUE_PERIODIC = "MeterValuePeriodic",
    }
    /// `stoppedReason` of OCPP 2.0.1 (ReasonEnumType); 1.6's words are mapped, see [`StopReason::from_v16`].
    StopReason {
        /// At the charger, by its user.
        LOCAL = "Local",
        /// By a command.
        REMOTE = "Remote",
        /// The cable was unplugged.
        EV_DISCONNECTED = "EVDisconnected",
        /// The token was not accepted.
        DE_AUTHORIZED = "DeAuthorized",
        /// The emergency button was pressed.
        EMERGENCY_STOP = "EmergencyStop",
        /// The power failed.
        POWER_LOSS = "PowerLoss",
        /// The charger booted anew by itself.
        REBOOT = "Reboot",
        /// The charger was told to reset.
        IMMEDIATE_RESET = "ImmediateReset",
        /// Something else.
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
        /// Its token is not registered.
        UNKNOWN_TOKEN = "unknown_token",
        /// Its token may not charge.
        NOT_AUTHORIZED = "not_authorized",
        /// No clock could be trusted: it is priced on energy alone.
        NO_TRUSTED_TIME = "no_trusted_time",
        /// Nobody described the outlet it is at.
        UNKNOWN_OUTLET = "unknown_outlet",
        /// Its meter began anew.
        METER_RESET = "meter_reset",
        /// Its meter showed what can't be.
        IMPLAUSIBLE_METER = "implausible_meter",
        /// Closed because it was silent or overtaken, not because its charger said so.
        PRESUMED_ENDED = "presumed_ended",
        /// Its Stop came after all.
        REOPENED = "reopened",
        /// Only its Stop ever arrived.
        START_MISSING = "start_missing",
        /// Its charger ended it more than once.
        STOPPED_TWICE = "stopped_twice",
        /// Meter values came after its end.
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
