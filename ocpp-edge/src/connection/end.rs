use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::mailbox::Ending;

/// Why a connection ends: what the charger is told, and what the log says. docs/ocpp.md has the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The charger closed it.
    ByCharger,
    /// It broke.
    Lost,
    /// Nothing was heard for too long: half open.
    Silent,
    /// The charger doesn't take what is sent.
    NotTaking,
    /// A newer connection of the charger has taken over, here or on another edge.
    Superseded,
    /// Others have recorded it as ended.
    PresumedGone,
    /// The edge is shutting down.
    Draining,
    /// What the charger reported can't be recorded now. It was not acknowledged, so the charger keeps it.
    Unavailable,
    Binary,
    TooLarge,
    Flood,
    /// The WebSocket protocol was broken.
    Protocol,
}

/// Private use (RFC 6455 section 7.4.2). A charger that sees it and has not opened another socket shares its identity with
/// another.
const SUPERSEDED: u16 = 4001;

impl End {
    /// None: nobody is there to be told.
    pub fn frame(self) -> Option<CloseFrame> {
        let code = match self {
            Self::ByCharger | Self::Lost => return None,
            Self::Silent | Self::NotTaking | Self::Draining => CloseCode::Away,
            Self::Superseded => CloseCode::Library(SUPERSEDED),
            Self::PresumedGone => CloseCode::Restart,
            Self::Unavailable => CloseCode::Again,
            Self::Binary => CloseCode::Unsupported,
            Self::TooLarge => CloseCode::Size,
            Self::Flood => CloseCode::Policy,
            Self::Protocol => CloseCode::Protocol,
        };
        Some(CloseFrame { code, reason: self.reason().into() })
    }

    pub const fn reason(self) -> &'static str {
        match self {
            Self::ByCharger => "closed by the charger",
            Self::Lost => "the connection was lost",
            Self::Silent => "nothing was heard for too long",
            Self::NotTaking => "the charger did not take what was sent",
            Self::Superseded => "a newer connection has taken over",
            Self::PresumedGone => "recorded as disconnected meanwhile",
            Self::Draining => "the service is shutting down",
            Self::Unavailable => "the service can't record reports now",
            Self::Binary => "binary messages are not OCPP",
            Self::TooLarge => "the message is too large",
            Self::Flood => "too many messages",
            Self::Protocol => "the WebSocket protocol was broken",
        }
    }

    /// As metrics name it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ByCharger => "by_charger",
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::NotTaking => "not_taking",
            Self::Superseded => "superseded",
            Self::PresumedGone => "presumed_gone",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
            Self::Binary => "binary",
            Self::TooLarge => "too_large",
            Self::Flood => "flood",
            Self::Protocol => "protocol",
        }
    }
}

impl From<Ending> for End {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Superseded => Self::Superseded,
            Ending::PresumedGone => Self::PresumedGone,
            Ending::Draining => Self::Draining,
        }
    }
}
