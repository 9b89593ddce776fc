use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::ReadError;

/// An opening request that is answered with an error of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the request is not HTTP/1.1 that can be read")]
    NotHttp,
    #[error("the request is too large")]
    TooLarge,
    #[error("this is an address for the WebSockets of chargers")]
    NotAnUpgrade,
    /// OCPP-J 1.6 section 3.2: 404 tells a charger that its identity is wrong.
    #[error("the address is not that of a charger: /{{id}} or /ocpp/{{id}}")]
    NoCharger,
    #[error("the charger is not registered")]
    Unknown,
    #[error("the password is missing or wrong")]
    Unauthenticated,
    #[error("the service can't take this connection now")]
    Unavailable,
    /// What is recorded of the charger can't be read: to come again at once is of no use.
    #[error("the service can't take this connection until it is mended")]
    Internal,
}

/// When to come again, in seconds.
const RETRY_AFTER_S: u32 = 5;

impl Refusal {
    const fn status(self) -> &'static str {
        match self {
            Self::NotHttp => "400 Bad Request",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::NotAnUpgrade => "426 Upgrade Required",
            Self::NoCharger | Self::Unknown => "404 Not Found",
            Self::Unauthenticated => "401 Unauthorized",
            Self::Unavailable => "503 Service Unavailable",
            Self::Internal => "500 Internal Server Error",
        }
    }

    /// As metrics and logs name it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotHttp => "not_http",
            Self::TooLarge => "too_large",
            Self::NotAnUpgrade => "not_an_upgrade",
            Self::NoCharger => "no_charger",
            Self::Unknown => "unknown",
            Self::Unauthenticated => "unauthenticated",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Answers, and closes.
    ///
    /// # Errors
    /// The peer is gone.
    pub async fn answer(self, stream: &mut TcpStream) -> io::Result<()> {
        let more = match self {
            Self::Unauthenticated => "WWW-Authenticate: Basic realm=\"ocpp\", charset=\"UTF-8\"\r\n".to_owned(),
            Self::NotAnUpgrade => "Upgrade: websocket\r\n".to_owned(),
            Self::Unavailable => format!("Retry-After: {RETRY_AFTER_S}\r\n"),
            Self::NotHttp | Self::TooLarge | Self::NoCharger | Self::Unknown | Self::Internal => String::new(),
        };
        let (status, body) = (self.status(), format!("{self}\n"));
        let answer = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: \
             {}\r\n{more}\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    }
}

/// None: nobody is there to be answered.
impl From<&ReadError> for Option<Refusal> {
    fn from(error: &ReadError) -> Self {
        match error {
            ReadError::Gone(_) => None,
            ReadError::TooLarge => Some(Refusal::TooLarge),
            ReadError::NotHttp(_) => Some(Refusal::NotHttp),
        }
    }
}
