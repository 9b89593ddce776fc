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

/// A file for what a program says; they are kept, below the target directory, until the next run.
pub fn logs(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        let directory = crate::binary::target_directory().join("e2e-logs").join(std::process::id().to_string());
        std::fs::create_dir_all(&directory).expect("the target directory can be written");
        directory
    });
    directory.join(format!("{name}.log"))
}
