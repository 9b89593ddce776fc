//! What the demo must find again at its next start: logins and passwords, in a file for its owner alone.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rand::Rng;
use rand::distr::Alphanumeric;
use serde::{Deserialize, Serialize};

use crate::demo_file::{Credentials, DemoCharger};

const PASSWORD_CHARS: usize = 20;
/// Hex digits of the driver's card, as of a seven-byte UID.
const CARD_DIGITS: usize = 14;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    #[serde(skip)]
    path: PathBuf,
    pub operator: Credentials,
    pub driver: Credentials,
    pub charger: DemoCharger,
    /// Of all simulated chargers.
    pub charger_password: String,
    /// Of all simulated drivers.
    pub resident_password: String,
    /// The operator's account in the database for which the network was made: another database has another.
    pub seeded_for: Option<String>,
}

impl State {
    pub fn load_or_create(path: PathBuf) -> anyhow::Result<Self> {
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let state: Self = serde_json::from_str(&text)
                    .with_context(|| format!("{} is not of this version", path.display()))?;
                Ok(Self { path, ..state })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let state = Self::new(path);
                state.save()?;
                Ok(state)
            }
            Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
        }
    }

    fn new(path: PathBuf) -> Self {
        let credentials = |email: &str| Credentials { email: email.to_owned(), password: password() };
        Self {
            path,
            operator: credentials("operator@coulomb.example"),
            driver: credentials("driver@coulomb.example"),
            charger: DemoCharger { id: "MYCHARGER".to_owned(), password: password(), id_tag: card() },
            charger_password: password(),
            resident_password: password(),
            seeded_for: None,
        }
    }

    /// Written whole beside its place and moved there, mode 600.
    pub fn save(&self) -> anyhow::Result<()> {
        let unfinished = self.path.with_extension("unfinished");
        write(&unfinished, &serde_json::to_vec_pretty(self)?)
            .and_then(|()| std::fs::rename(&unfinished, &self.path))
            .with_context(|| format!("can't write {}", self.path.display()))
    }
}

fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn password() -> String {
    rand::rng().sample_iter(Alphanumeric).take(PASSWORD_CHARS).map(char::from).collect()
}

fn card() -> String {
    let mut rng = rand::rng();
    std::iter::repeat_with(|| format!("{:X}", rng.random_range(0..16))).take(CARD_DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_next_start_finds_the_same_logins() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("demo-state.json");
        let mut first = State::load_or_create(path.clone()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(first.charger.id_tag.len(), CARD_DIGITS);
        first.seeded_for = Some("somebody".to_owned());
        first.save().unwrap();
        let second = State::load_or_create(path.clone()).unwrap();
        assert_eq!((second.driver, second.seeded_for), (first.driver, first.seeded_for));
        std::fs::write(&path, "spoiled").unwrap();
        assert!(State::load_or_create(path).is_err());
    }
}
