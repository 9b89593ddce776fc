use event_store::dead_letters::{self, By, Of, State};
use projection_service::parked;
use serde_json::json;

use super::{get, parked_key};
use crate::command_database::CommandDatabase;
use crate::projections::operating::{Operating, outcome};

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
A parked event is left out of its read model for good, as by `coulomb projections skip`; it stays in the log. A record is let be:
nothing is done with it, and it waits no more.")]
pub struct Args {
    /// Its number
    #[arg(value_name = "ID")]
    id: i64,

    #[command(flatten)]
    operating: Operating,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let letter = get(database, args.id).await?;
    if letter.state != State::Waiting {
        anyhow::bail!("{} waits no more: it was {} at {:?}", letter.id, letter.state.as_str(), letter.settled_at);
    }
    let Of::Build { model, partition_key, .. } = &letter.of else {
        let by = By { name: args.operating.by(), reason: args.operating.reason() };
        let settled = dead_letters::settle(database.pool(), letter.id, State::Skipped, by).await?;
        anyhow::ensure!(settled, "{} was settled by somebody else meanwhile", letter.id);
        if args.json {
            say!("{}", json!({"id": letter.id, "skipped": true}));
        } else {
            say!("{}: skipped.", letter.id);
        }
        return Ok(());
    };
    let Some(key) = parked_key(database, model, *partition_key).await? else {
        anyhow::bail!("{partition_key} does not stand still in {model} any more: look again");
    };
    let store = database.store().await?;
    let operator = args.operating.operator();
    let position = letter.position.unwrap_or_default();
    let at = parked::skip(database.pool(), &store, &operator, key.model, *partition_key, position).await?;
    outcome(database, &store, &operator, vec![(key, at)], args.json).await
}
