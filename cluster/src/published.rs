//! `cluster.json`: how scripts find a running cluster.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    pub email: String,
    pub password: String,
}

/// All addresses of a cluster. It holds passwords: the file is its owner's alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Published {
    /// Of nginx, without a trailing slash.
    pub http: String,
    pub ws: String,
    /// To which `/{id}` is added.
    pub ocpp: String,
    pub operator: Login,
    /// As roles are given it: through PgBouncer, if there is one.
    pub database_url: String,
    pub postgres: Vec<PostgresAddress>,
    pub kafka_brokers: Option<String>,
    /// By part: where its `/ready` and `/metrics` are.
    pub admin: Vec<Admin>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PostgresAddress {
    pub part: String,
    pub primary: bool,
    pub url: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Admin {
    pub part: String,
    pub url: String,
    pub log: PathBuf,
}

impl Published {
    /// Whole or not at all.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), Error> {
        let path = directory.join("cluster.json");
        let unfinished = directory.join("cluster.json.unfinished");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.write_all(b"\n")?;
            std::fs::rename(&unfinished, &path)
        };
        write().map_err(Error::file("can't write", &path))
    }

    /// Whoever waits for the file must not find an old one.
    pub(crate) fn remove(directory: &Path) -> Result<(), Error> {
        let path = directory.join("cluster.json");
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("can't remove", &path)(error))
            }
            _ => Ok(()),
        }
    }
}
