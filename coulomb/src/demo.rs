//! `coulomb up` with a network to look at.

use crate::cli::UpArgs;
use crate::data_dir::DataDir;
use crate::demo_file;
use crate::settings::Settings;
use crate::up::Running;

/// The command `coulomb demo`.
pub async fn run(settings: &Settings, args: &UpArgs) -> anyhow::Result<()> {
    let file = DataDir::open(&settings.data_dir)?.demo_file();
    let running = Running::start(settings, args).await?;
    // Only now is the directory known to be ours, and not that of a demo that is running.
    demo_file::remove_stale(&file)?;
    running.until_ended().await
}
