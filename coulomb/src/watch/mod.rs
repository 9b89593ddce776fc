//! `coulomb watch`: a topic followed live on the terminal.

use crate::settings::Settings;

#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What to follow, such as charger:CP001, me or fleet
    pub topic: String,
}

pub async fn run(_settings: &Settings, args: Args) -> anyhow::Result<()> {
    anyhow::bail!("this build can't follow {} yet", args.topic)
}
