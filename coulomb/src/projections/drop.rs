//! `coulomb projections drop`.

use projection_service::rebuild::BuildState;

use super::model::Named;
use crate::command_database::CommandDatabase;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
The build that does not serve goes: one that is being made, one that has joined, or one that served before a swap. The live
one is not touched.")]
pub struct Args {
    #[command(flatten)]
    named: Named,

    /// A JSON object
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let dropped = database.rebuilder().await?.discard(args.named.model).await?;
    if args.json {
        say!("{}", serde_json::to_string(&dropped)?);
        return Ok(());
    }
    let was = match dropped.state {
        BuildState::Building => "not finished",
        BuildState::Joined | BuildState::Live => "kept current",
    };
    say!("Build {} of {} is dropped; it was {was}.", dropped.number, dropped.model.name());
    Ok(())
}
