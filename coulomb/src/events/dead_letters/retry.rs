use std::collections::BTreeSet;

use event_store::EventStore;
use event_store::dead_letters::{self, Again, By, DeadLetter, Of, Record, Source, State, Which};
use serde_json::json;

use super::list::SourceArg;
use super::{get, parked_key};
use crate::command_database::CommandDatabase;
use crate::projections::operating::{Operating, outcome, release_all};

/// Of one `--all`, before the command is to be given again.
const LETTERS_MAX: i64 = 100_000;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Of a parked event, its key is released, as by `coulomb projections retry`: what waits is applied in order, by the code that the
workers run. A record is decoded again by this program, and compared with the log; where it can't be, but its headers name an
event of the log, that one was read in its place. A record that is no event of this log stays: see `skip`.")]
pub struct Args {
    /// Its number
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    id: Option<i64>,

    /// All that wait
    #[arg(long)]
    all: bool,

    /// Of this source only
    #[arg(long, value_enum, requires = "all")]
    source: Option<SourceArg>,

    #[command(flatten)]
    operating: Operating,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let letters = match args.id {
        Some(id) => vec![get(database, id).await?],
        None => {
            let (source, state) = (args.source.map(Source::from), Some(State::Waiting));
            dead_letters::list(database.pool(), Which { source, state, ..Which::default() }, LETTERS_MAX).await?
        }
    };
    if let [letter] = &letters[..]
        && letter.state != State::Waiting
    {
        anyhow::bail!("{} waits no more: it was {} at {:?}", letter.id, letter.state.as_str(), letter.settled_at);
    }
    if letters.is_empty() {
        say!("Nothing waits.");
        return Ok(());
    }
    let store = database.store().await?;
    let mut slots = BTreeSet::new();
    for letter in &letters {
        match &letter.of {
            Of::Build { model, partition_key, .. } => {
                slots.insert((model.as_str(), *partition_key));
            }
            Of::Record(record) => retry_record(database, &store, letter, record, &args).await?,
        }
    }
    let mut keys = vec![];
    for (model, key) in slots {
        keys.extend(parked_key(database, model, key).await?);
    }
    let operator = args.operating.operator();
    let released = release_all(database, &store, &operator, keys).await?;
    outcome(database, &store, &operator, released, args.json).await
}

async fn retry_record(
    database: &CommandDatabase,
    store: &EventStore,
    letter: &DeadLetter,
    record: &Record,
    args: &Args,
) -> anyhow::Result<()> {
    let again = dead_letters::try_again(store, record).await?;
    let (position, said) = match &again {
        Again::Decoded(position) => {
            (Some(position), format!("it can be decoded, and is the log's event at {position}"))
        }
        Again::InLog(position) => (
            Some(position),
            format!("it can't be decoded; the log has its event at {position}, which was read in its place"),
        ),
        Again::Foreign(why) => {
            (None, format!("it stays: {why}. `coulomb events dead-letters skip {}` lets it be", letter.id))
        }
    };
    if position.is_some() {
        let by = By { name: args.operating.by(), reason: args.operating.reason().or(Some(&said)) };
        dead_letters::settle(database.pool(), letter.id, State::Replayed, by).await?;
    }
    if args.json {
        say!("{}", json!({"id": letter.id, "replayed": position.is_some(), "position": position, "detail": said}));
    } else {
        say!("{}: {said}", letter.id);
    }
    Ok(())
}
