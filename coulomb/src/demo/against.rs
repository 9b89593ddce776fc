//! The demo's chargers and drivers, in a platform that runs elsewhere: `coulomb demo --against …`.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use service_host::Shutdown;

use super::state::State;
use super::{prepare, screen, town};
use crate::data_dir::DataDir;
use crate::demo_file;

/// There is nothing to hand over: balancers know nothing of us.
const NOTICE: Duration = Duration::ZERO;

pub async fn run(shown: &Path, data_dir: &DataDir, mut state: State, http: &str, ocpp: &str) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    shutdown.on_signals(NOTICE)?;
    let file = data_dir.demo_file();
    demo_file::remove_stale(&file)?;
    let address = |text: &str| text.trim_end_matches('/').to_owned();
    let demo = tokio::select! {
        prepared = prepare(address(http), address(ocpp), &mut state) => prepared?,
        () = shutdown.begun() => bail!("stopped while starting"),
    };
    let _town = town(&demo, &state);
    let _published = demo.publish(&file)?;
    screen::show(&demo, shown);
    shutdown.begun().await;
    Ok(())
}
