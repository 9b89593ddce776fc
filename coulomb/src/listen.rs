//! Binding a port, with an error that says what to do.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::net::TcpListener;

/// Who asks for a port: the flag and the variable that change it.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    pub flag: &'static str,
    pub variable: &'static str,
}

pub const HTTP: Port = Port { flag: "--http", variable: "COULOMB_HTTP_LISTEN" };
pub const OCPP: Port = Port { flag: "--ocpp", variable: "COULOMB_OCPP_LISTEN" };

pub async fn bind(address: SocketAddr, port: Port) -> anyhow::Result<TcpListener> {
    let Port { flag, variable } = port;
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let number = address.port();
            bail!(
                "port {number} is taken by another program: choose one with {flag} ({variable}); {flag} 0 takes a free one"
            )
        }
        Err(error) => Err(error).with_context(|| format!("can't listen on {address} ({flag}, {variable})")),
    }
}
