//! Why a socket is closed by us, and what the client is to do (docs/websocket.md has the table).

use std::time::Duration;

/// A reason to close, with its code. 4000 and above are ours (RFC 6455, section 7.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The process is ending; come back after the time given, anywhere.
    GoingAway(Duration),
    ProtocolError,
    Binary,
    InvalidText,
    Flood,
    TooLarge,
    /// The log has another history now; come back after the time given, there will be snapshots.
    HistoryReplaced(Duration),
    /// Who presents the token can't be checked right now.
    TryAgain,
    TokenExpired,
    BadToken,
    AuthTimeout,
    Misuse,
    TooSlow,
    TooManySubscriptions,
    OtherUser,
    Idle,
}

impl Close {
    /// Each once, for the documents.
    pub const ALL: [Self; 16] = [
        Self::GoingAway(Duration::ZERO),
        Self::ProtocolError,
        Self::Binary,
        Self::InvalidText,
        Self::Flood,
        Self::TooLarge,
        Self::HistoryReplaced(Duration::ZERO),
        Self::TryAgain,
        Self::TokenExpired,
        Self::BadToken,
        Self::AuthTimeout,
        Self::Misuse,
        Self::TooSlow,
        Self::TooManySubscriptions,
        Self::OtherUser,
        Self::Idle,
    ];

    pub const fn code(self) -> u16 {
        match self {
            Self::GoingAway(_) => 1001,
            Self::ProtocolError => 1002,
            Self::Binary => 1003,
            Self::InvalidText => 1007,
            Self::Flood => 1008,
            Self::TooLarge => 1009,
            Self::HistoryReplaced(_) => 1012,
            Self::TryAgain => 1013,
            Self::TokenExpired => 4001,
            Self::BadToken => 4002,
            Self::AuthTimeout => 4003,
            Self::Misuse => 4004,
            Self::TooSlow => 4005,
            Self::TooManySubscriptions => 4006,
            Self::OtherUser => 4007,
            Self::Idle => 4008,
        }
    }

    /// For the close frame: at most 123 bytes.
    pub fn reason(self) -> String {
        let text = match self {
            Self::GoingAway(wait) | Self::HistoryReplaced(wait) => {
                return format!("reconnect_after_ms={}", wait.as_millis());
            }
            Self::ProtocolError => "not the WebSocket protocol",
            Self::Binary => "text frames only",
            Self::InvalidText => "text must be UTF-8",
            Self::Flood => "too many messages",
            Self::TooLarge => "the message is too large",
            Self::TryAgain => "reconnect later: tokens can't be checked",
            Self::TokenExpired => "the token has expired: reconnect with a new one",
            Self::BadToken => "the token is not good: log in",
            Self::AuthTimeout => "no token came in time",
            Self::Misuse => "too many messages that can't be understood",
            Self::TooSlow => "too slow: reconnect with since",
            Self::TooManySubscriptions => "too many subscriptions",
            Self::OtherUser => "the token is another user's: open another socket",
            Self::Idle => "nothing was heard: reconnect with since",
        };
        text.to_owned()
    }

    /// For metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::GoingAway(_) => "going_away",
            Self::ProtocolError => "protocol_error",
            Self::Binary => "binary",
            Self::InvalidText => "invalid_text",
            Self::Flood => "flood",
            Self::TooLarge => "too_large",
            Self::HistoryReplaced(_) => "history_replaced",
            Self::TryAgain => "try_again",
            Self::TokenExpired => "token_expired",
            Self::BadToken => "bad_token",
            Self::AuthTimeout => "auth_timeout",
            Self::Misuse => "misuse",
            Self::TooSlow => "too_slow",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::OtherUser => "other_user",
            Self::Idle => "idle",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table says of each code whether and when to come back.
    #[test]
    fn the_table_has_every_code() {
        let table = include_str!("../../../docs/websocket.md");
        let first_cell = |line: &str| line.strip_prefix("| ")?.split(' ').next()?.parse::<u16>().ok();
        let told: Vec<_> = table.lines().filter_map(first_cell).filter(|code| *code < 4100).collect();
        assert_eq!(told, Close::ALL.map(Close::code));
    }
}
