//! `coulomb projections list`.

use projection_service::rebuild::{self, Build};

use crate::command_database::CommandDatabase;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Each read model has a build that is live. One beside it is building, or has joined: then it is kept current together
with the live one, before a swap and after it. PARKED counts keys that stand still because of an event.")]
pub struct Args {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let builds = rebuild::list(database.pool()).await?;
    if args.json {
        for build in builds {
            say!("{}", serde_json::to_string(&build)?);
        }
        return Ok(());
    }
    say!(
        "{:<14} {:>5} {:>7}  {:<8} {:>12} {:>10} {:>7} {:>10}",
        "MODEL",
        "BUILD",
        "VERSION",
        "STATE",
        "POSITION",
        "LAG",
        "PARKED",
        "SIZE"
    );
    for Build { model, number, fold_version, state, position, lag, parked_keys, bytes, .. } in builds {
        let (name, state, bytes) = (model.name(), state.name(), size(bytes));
        let position = position.0;
        say!(
            "{name:<14} {number:>5} {fold_version:>7}  {state:<8} {position:>12} {lag:>10} {parked_keys:>7} {bytes:>10}"
        );
    }
    Ok(())
}

fn size(bytes: i64) -> String {
    indicatif::BinaryBytes(bytes.unsigned_abs()).to_string()
}
