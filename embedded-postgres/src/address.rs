//! How a server is reached.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::cluster::ROLE;
use crate::error::Error;

#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// None: by TCP.
    pub(crate) socket: Option<PathBuf>,
    pub(crate) port: u16,
    pub(crate) password: String,
}

impl Address {
    pub(crate) fn url(&self, database: &str) -> String {
        let Self { socket, port, password } = self;
        let host = socket.as_deref().map_or_else(|| Ipv4Addr::LOCALHOST.to_string(), percent_encoded);
        format!("postgres://{ROLE}:{password}@{host}:{port}/{database}?sslmode=disable")
    }

    pub(crate) fn by_tcp(&self) -> Self {
        Self { socket: None, ..self.clone() }
    }
}

/// A path as the host of a URL.
fn percent_encoded(path: &Path) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|byte| if keep(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// One connection, without logging its statements.
pub(crate) async fn connect(url: &str) -> Result<PgConnection, Error> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options.disable_statement_logging().connect().await?)
}
