//! The key that wraps the keys of persons.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::Rng;

use crate::settings::Settings;

/// 32 bytes that are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn generate() -> Self {
        Self(rand::rng().random())
    }

    /// As it is read.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The key in the file, which is made with a random one (mode 600) the first time.
    pub fn load_or_create(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => text.trim().parse().map_err(anyhow::Error::msg).with_context(|| format!("{}", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
        }
    }

    fn create(path: &Path) -> anyhow::Result<Self> {
        let key = Self::generate();
        key.replace(path)?;
        Ok(key)
    }

    /// Written whole beside the place and moved into it: a half-written key would lock everybody's data away.
    pub fn replace(&self, path: &Path) -> anyhow::Result<()> {
        let unfinished = path.with_extension("unfinished");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
            writeln!(file, "{}", self.to_base64())?;
            file.sync_all()?;
            std::fs::rename(&unfinished, path)
        };
        write().with_context(|| format!("can't write {}", path.display()))
    }
}

/// Of a command that works on a database: the key that is given, or that of the data directory. None is made.
pub fn of_command(settings: &Settings) -> anyhow::Result<MasterKey> {
    let file = settings.data_dir.join("master-key");
    match (&settings.master_key, &settings.database_url) {
        (Some(key), _) => Ok(key.clone()),
        (None, None) if file.exists() => MasterKey::load_or_create(&file),
        (None, None) => bail!("{} is not there: give COULOMB_MASTER_KEY", file.display()),
        (None, Some(_)) => bail!("COULOMB_MASTER_KEY is needed with DATABASE_URL to open personal data"),
    }
}

impl FromStr for MasterKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = if text.len() == 64 { unhex(text) } else { STANDARD.decode(text).ok() };
        let key = bytes.and_then(|bytes| bytes.try_into().ok());
        key.map(Self).ok_or_else(|| "a key is 32 bytes, as 64 hex digits or 44 characters of base64".to_owned())
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().map(|digit| char::from(digit).to_digit(16));
    let digits: Vec<u8> = digits.map(|digit| digit.map(|digit| digit as u8)).collect::<Option<_>>()?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_read_as_hex_or_base64_and_never_shown() {
        let hex: MasterKey = "07".repeat(32).parse().unwrap();
        assert_eq!(hex.bytes(), &[7; 32]);
        assert_eq!(STANDARD.encode([7; 32]).parse::<MasterKey>().unwrap(), hex);
        assert_eq!(format!("{hex:?}"), "MasterKey(..)");
        for wrong in ["", "short", &"0g".repeat(32), &STANDARD.encode([7; 31])] {
            assert!(wrong.parse::<MasterKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master-key");
        let key = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(MasterKey::load_or_create(&path).unwrap(), key);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "spoiled").unwrap();
        assert!(MasterKey::load_or_create(&path).is_err(), "a spoiled key is never replaced");
    }
}
