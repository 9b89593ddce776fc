//! `coulomb bench`: measurements, each beside its baseline.

use crate::settings::Settings;

#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What to measure: append, ocpp or e2e
    pub bench: String,
}

pub async fn run(_settings: &Settings, args: Args) -> anyhow::Result<()> {
    anyhow::bail!("this build can't measure {} yet", args.bench)
}
