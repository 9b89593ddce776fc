//! `coulomb projections rollback`.

use super::model::Named;
use super::swap::show;
use crate::command_database::CommandDatabase;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
The build that served before the last swap, and was kept current since, becomes the live one again: as by a swap. The one
that served until now is kept current; another rollback lets it serve again.")]
pub struct Args {
    #[command(flatten)]
    named: Named,

    /// Even if keys of the build are parked: their rows stand still
    #[arg(long)]
    with_parked: bool,

    /// A JSON object
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let exchanged = database.rebuilder().await?.roll_back(args.named.model, args.with_parked).await?;
    show(&exchanged, args.json)
}
