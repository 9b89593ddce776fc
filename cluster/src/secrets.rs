//! What must be the same at the next start: the operator's password, and the key that wraps the keys of persons.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::error::Error;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Secrets {
    pub(crate) operator_email: String,
    pub(crate) operator_password: String,
    pub(crate) master_key: String,
}

impl Secrets {
    pub(crate) fn load_or_create(directory: &Path) -> Result<Self, Error> {
        let path = directory.join("secrets.json");
        match std::fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|error| Error::file("can't understand", &path)(error.into()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let secrets = Self {
                    operator_email: "operator@coulomb.example".to_owned(),
                    operator_password: hex::<12>(),
                    master_key: hex::<32>(),
                };
                let unfinished = directory.join("secrets.unfinished");
                let write = || -> std::io::Result<()> {
                    let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
                    options.open(&unfinished)?.write_all(&serde_json::to_vec_pretty(&secrets)?)?;
                    std::fs::rename(&unfinished, &path)
                };
                write().map_err(Error::file("can't write", &path))?;
                Ok(secrets)
            }
            Err(error) => Err(Error::file("can't read", &path)(error)),
        }
    }
}

fn hex<const BYTES: usize>() -> String {
    let mut random = rand::rng();
    (0..BYTES).map(|_| format!("{:02x}", random.random::<u8>())).collect()
}
