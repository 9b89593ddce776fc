//! What a measurement runs on: a server of its own, or the whole platform in this process.

use std::str::FromStr;

use anyhow::Context;
use clap::Parser;
use embedded_postgres::{EmbeddedPostgres, Options};
use sqlx::postgres::PgConnectOptions;

use crate::cli::{Cli, Command};
use crate::master_key::MasterKey;
use crate::settings::Settings;
use crate::up::Running;

/// A Postgres to measure on: the one at DATABASE_URL, or a private one in a directory that is thrown away. Commits are
/// durable, as they would be in earnest.
pub struct Server {
    url: String,
    private: Option<(EmbeddedPostgres, tempfile::TempDir)>,
}

impl Server {
    pub async fn start(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(url) = &settings.database_url {
            return Ok(Self { url: url.clone(), private: None });
        }
        let directory = tempfile::tempdir().context("no directory for a private Postgres")?;
        let options = Options { connections_max: 200, ..Options::new(directory.path().join("postgres")) };
        let server = EmbeddedPostgres::start(options).await?;
        Ok(Self { url: server.url(), private: Some((server, directory)) })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn options(&self) -> anyhow::Result<PgConnectOptions> {
        PgConnectOptions::from_str(&self.url).context("the server's address")
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        if let Some((server, _directory)) = self.private {
            server.stop().await?;
        }
        Ok(())
    }
}

pub(super) const OPERATOR_EMAIL: &str = "bench@example.org";

/// Where a platform answers, and its operator.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Where commands are taken.
    pub commands: String,
    /// Where queries are answered.
    pub queries: String,
    /// Of the realtime socket, without its path.
    pub ws: String,
    pub ocpp: String,
    pub operator_email: &'static str,
    pub operator_password: String,
}

/// Every role, in this process.
pub struct Platform {
    server: Server,
    running: Running,
    operator_password: String,
}

impl Platform {
    pub async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let server = Server::start(settings).await?;
        let operator_password = MasterKey::generate().to_base64();
        let settings = Settings {
            database_url: Some(server.url().to_owned()),
            master_key: Some(settings.master_key.clone().unwrap_or_else(MasterKey::generate)),
            ..settings.clone()
        };
        let up = ["coulomb", "up", "--http", "0", "--ocpp", "0"];
        let operator = ["--operator-email", OPERATOR_EMAIL, "--operator-password", &operator_password];
        let Command::Up(args) = Cli::try_parse_from(up.into_iter().chain(operator))?.command else {
            anyhow::bail!("up is a command of its own");
        };
        match Running::start(&settings, &args).await {
            Ok(running) => Ok(Self { server, running, operator_password }),
            Err(error) => {
                server.stop().await?;
                Err(error)
            }
        }
    }

    pub fn reach(&self) -> Reach {
        let http = self.running.http_url();
        Reach {
            ws: http.replacen("http", "ws", 1),
            queries: http.clone(),
            commands: http,
            ocpp: self.running.ocpp_url(),
            operator_email: OPERATOR_EMAIL,
            operator_password: self.operator_password.clone(),
        }
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        let stopped = self.running.stop(Ok(()), false).await;
        self.server.stop().await?;
        stopped
    }
}
