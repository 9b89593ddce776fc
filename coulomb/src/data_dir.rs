//! The directory that holds what this installation must not lose.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Others may pass through, since Postgres runs as another user when we are root, and list nothing.
const MODE: u32 = 0o711;

#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let said = || format!("can't use the data directory {} (--data-dir, COULOMB_DATA_DIR)", path.display());
        if !path.exists() {
            DirBuilder::new().recursive(true).mode(MODE).create(path).with_context(said)?;
            // Again, since the umask may have taken some of it away.
            std::fs::set_permissions(path, Permissions::from_mode(MODE)).with_context(said)?;
        }
        Ok(Self(path.canonicalize().with_context(said)?))
    }

    pub fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    pub fn master_key(&self) -> PathBuf {
        self.0.join("master-key")
    }

    pub fn demo_file(&self) -> PathBuf {
        self.0.join("demo.json")
    }

    /// What the demo needs to know at its next start.
    pub fn demo_state(&self) -> PathBuf {
        self.0.join("demo-state.json")
    }
}
