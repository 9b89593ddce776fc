//! `.coulomb/demo.json`: how scripts and `coulomb watch` find a running demo. The fields are fixed.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoFile {
    /// Without a trailing slash.
    pub http: String,
    /// The full address of the WebSocket.
    pub ws: String,
    /// To which `/{id}` is added.
    pub ocpp: String,
    pub driver: Credentials,
    pub operator: Credentials,
    /// Registered and not simulated: for a charger of one's own.
    pub charger: DemoCharger,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub email: String,
    pub password: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoCharger {
    pub id: String,
    pub password: String,
    /// The driver's tag.
    pub id_tag: String,
}

impl DemoFile {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("can't read {}; is `coulomb demo` running?", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not of this version", path.display()))
    }

    /// Writes the file (mode 600, it holds passwords), whole or not at all. It goes when the guard does.
    pub fn publish(&self, path: &Path) -> anyhow::Result<Published> {
        let unfinished = path.with_extension("json.unfinished");
        let write = || -> anyhow::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.write_all(b"\n")?;
            Ok(std::fs::rename(&unfinished, path)?)
        };
        write().with_context(|| format!("can't write {}", path.display()))?;
        Ok(Published { path: path.to_owned() })
    }
}

/// Removes what a killed demo has left: whoever waits for the file must not find an old one.
pub fn remove_stale(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A published file, removed on drop.
#[derive(Debug)]
pub struct Published {
    path: PathBuf,
}

impl Drop for Published {
    fn drop(&mut self) {
        if let Err(error) = remove_stale(&self.path) {
            tracing::warn!(error = format!("{error:#}"), "the demo's file was left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_there_for_its_owner_while_the_guard_lives() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("demo.json");
        let credentials = |email: &str| Credentials { email: email.to_owned(), password: "secret".to_owned() };
        let demo = DemoFile {
            http: "http://127.0.0.1:8080".to_owned(),
            ws: "ws://127.0.0.1:8080/ws".to_owned(),
            ocpp: "ws://127.0.0.1:9000".to_owned(),
            driver: credentials("driver@example.com"),
            operator: credentials("operator@example.com"),
            charger: DemoCharger { id: "MINE".to_owned(), password: "p".to_owned(), id_tag: "TAG".to_owned() },
        };
        let published = demo.publish(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(DemoFile::read(&path).unwrap(), demo);
        drop(published);
        assert!(!path.exists());
        assert!(DemoFile::read(&path).unwrap_err().to_string().contains("is `coulomb demo` running?"));
        remove_stale(&path).unwrap();
    }
}
