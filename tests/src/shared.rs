use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use embedded_postgres::testing::TestDatabase;
use tokio::sync::OnceCell;

use crate::Network;
use crate::program::Program;

struct Shared {
    network: Network,
    /// They end with the process: the guardian sees to it.
    _program: Program,
    _database: TestDatabase,
}

static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// One running program for all tests that need nothing of their own. Each has its own chargers and drivers in it.
pub async fn shared() -> &'static Network {
    let start = async || {
        let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
        let (network, program) = Network::start_on(database.url(), logs("shared"), &[]).await;
        Shared { network, _program: program, _database: database }
    };
    &SHARED.get_or_init(start).await.network
}

/// A file for what a program says, below the target directory. It is kept until a later run.
///
/// # Panics
/// When the target directory can't be written.
pub fn logs(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        let all = crate::binary::target_directory().join("e2e-logs");
        let directory = all.join(std::process::id().to_string());
        std::fs::create_dir_all(&directory).expect("the target directory can be written");
        for other in std::fs::read_dir(&all).into_iter().flatten().flatten() {
            let runs = PathBuf::from("/proc").join(other.file_name()).exists();
            if !runs {
                // Another run may be removing it as well.
                let _ = std::fs::remove_dir_all(other.path());
            }
        }
        directory
    });
    directory.join(format!("{name}.log"))
}

/// A directory for a program's data. Postgres runs as another user when we are root, who must be able to pass.
///
/// # Panics
/// When none can be made.
pub fn passable() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory can be made");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o711)).expect("it is ours");
    directory
}
