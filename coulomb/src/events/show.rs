//! `coulomb events show`.

use std::io::{self, Write};

use anyhow::bail;
use domain::event::AggregateType;
use event_store::EventStore;
use event_store::stored::Filter;
use schema::log::Position;
use uuid::Uuid;

use super::disclosure::{DisclosureArgs, Opener};
use super::filter::Selection;
use super::line::{Lines, Shown, is_enough};
use super::names;
use crate::command_database::CommandDatabase;
use crate::settings::Settings;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  coulomb events show CP001
  coulomb events show 01a1fd3c-98f4-725f-a842-c93f15c91f22
  coulomb events show ChargingSession/01a1fd3c-98f4-725f-a842-c93f15c91f22 --json
  coulomb events show 01a1fd3c-... --with-personal-data --actor you@example.org --reason 'complaint 17'")]
pub struct Args {
    /// A charger's identity, or the id of a session, a command, a driver, a token, a site, a tariff, ...
    #[arg(value_name = "STREAM")]
    stream: String,

    /// One JSON object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    disclosure: DisclosureArgs,
}

pub async fn run(settings: &Settings, database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let store = database.store().await?;
    let (id, aggregates) = find(database, &store, &args.stream).await?;
    let (upto, _) = store.head().await?;
    let filter = Filter { aggregates: aggregates.clone(), stream: Some(id), ..Filter::default() };
    let selection = Selection { filter, after: Position::START, upto, ends: true };
    let opener = args.disclosure.begin(settings, database, &store, "events show", &selection, None).await?;
    let lines = Lines::new(database, args.json, opener.as_ref()).await?;
    let mut shown = Ok(());
    for aggregate in aggregates {
        if !args.json && shown.is_ok() {
            let name = lines.identities.of(id).map(|identity| format!("  {identity}")).unwrap_or_default();
            say!("{}/{id}{name}", aggregate.as_str());
        }
        shown = shown.and(show(&store, aggregate, id, &lines, opener.as_ref()).await);
    }
    shown.or_else(|error| if is_enough(&error) { Ok(()) } else { Err(error) })
}

async fn show(
    store: &EventStore,
    aggregate: AggregateType,
    id: Uuid,
    lines: &Lines,
    opener: Option<&Opener>,
) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let page = store.look_at_stream(aggregate, id, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.sequence;
        let mut out = io::stdout().lock();
        for event in page {
            lines.write_of_stream(&mut out, &Shown::of(event, opener).await?)?;
        }
        out.flush()?;
    }
}

/// What is meant, and what has a stream of that id.
async fn find(
    database: &CommandDatabase,
    store: &EventStore,
    text: &str,
) -> anyhow::Result<(Uuid, Vec<AggregateType>)> {
    if let Some((kind, id)) = text.split_once('/')
        && let (Ok(aggregate), Ok(id)) = (names::aggregate(kind), Uuid::parse_str(id))
    {
        return match store.streams_of(id).await?.contains(&aggregate) {
            true => Ok((id, vec![aggregate])),
            false => bail!("there is no stream {text}"),
        };
    }
    let id = names::id(database.pool(), text).await?;
    match store.streams_of(id).await? {
        none if none.is_empty() => bail!(
            "nothing of the id {id} is in the log; `coulomb events tail --type SessionRequested` shows the ids of sessions"
        ),
        aggregates => Ok((id, aggregates)),
    }
}
