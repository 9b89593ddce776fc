use clap::ValueEnum;
use event_store::dead_letters::{self, Source, State, Which};
use schema::view::Model;

use super::place;
use crate::command_database::CommandDatabase;
use crate::projections::model;

const LIMIT: i64 = 100;

#[derive(clap::Args, Clone, Debug)]
// Flattened into a struct of the same name, which is a group of that name already.
#[group(skip)]
pub struct Args {
    /// Those that were settled too
    #[arg(long)]
    all: bool,

    /// Of this source only
    #[arg(long, value_enum)]
    source: Option<SourceArg>,

    /// Of this read model only
    #[arg(long, value_name = "NAME", value_parser = model::parse)]
    model: Option<Model>,

    /// Only those with a higher id
    #[arg(long, default_value_t = 0, value_name = "ID", value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,

    /// At most so many, the oldest first
    #[arg(long, default_value_t = LIMIT, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    limit: i64,

    /// One JSON object a line, as in the topic
    #[arg(long)]
    json: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(super) enum SourceArg {
    /// Events that a read model has parked
    ReadModel,
    /// Records of Kafka
    Kafka,
}

impl From<SourceArg> for Source {
    fn from(arg: SourceArg) -> Self {
        match arg {
            SourceArg::ReadModel => Self::ReadModel,
            SourceArg::Kafka => Self::Kafka,
        }
    }
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let which = Which {
        source: args.source.map(Source::from),
        state: (!args.all).then_some(State::Waiting),
        model: args.model.map(Model::name),
        after: args.after,
    };
    let letters = dead_letters::list(database.pool(), which, args.limit).await?;
    if args.json {
        for letter in &letters {
            say!("{}", serde_json::to_string(letter)?);
        }
        return Ok(());
    }
    if letters.is_empty() {
        say!("Nothing waits.");
        return Ok(());
    }
    say!("{:>8}  {:<10}  {:<8}  {:<20}  WHAT", "ID", "SOURCE", "STATE", "SINCE");
    for letter in &letters {
        let since = letter.first_seen.format("%Y-%m-%dT%H:%M:%SZ");
        let (source, state) = (letter.source.as_str(), letter.state.as_str());
        let error = letter.error.as_deref().unwrap_or("waits behind the first of its key");
        say!("{:>8}  {source:<10}  {state:<8}  {since:<20}  {}: {error}", letter.id, place(letter));
    }
    if i64::try_from(letters.len()).is_ok_and(|count| count == args.limit) {
        say!("... and perhaps more: --limit, or --after {}", letters.last().map_or(0, |letter| letter.id));
    }
    Ok(())
}
