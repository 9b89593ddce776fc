//! `coulomb events tail`.

use std::io::{self, Write};

use event_store::feed::{From, Log};
use event_store::{EventStore, PartitionSet};
use schema::log::Position;

use super::disclosure::{DisclosureArgs, Opener};
use super::filter::{FilterArgs, Selection};
use super::line::{Lines, Shown, is_enough};
use crate::command_database::CommandDatabase;
use crate::settings::Settings;

/// The newest events that are shown where nothing else is said.
const NEWEST: usize = 20;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Without --since and --from-position it shows the newest; with one of them, everything from there.

Examples:
  coulomb events tail --follow
  coulomb events tail --type TransactionStarted,TransactionEnded --since 1h
  coulomb events tail --stream CP001 -n 100
  coulomb events tail --from-position 1 --json | jq -r .event_type | sort | uniq -c")]
pub struct Args {
    #[command(flatten)]
    filter: FilterArgs,

    /// How many of the newest
    #[arg(short = 'n', long = "lines", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    lines: Option<u32>,

    /// Then wait for more
    #[arg(short, long, conflicts_with_all = ["until", "to_position"])]
    follow: bool,

    /// One JSON object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    disclosure: DisclosureArgs,
}

pub async fn run(settings: &Settings, database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let store = database.store().await?;
    let selection = args.filter.select(database.pool(), &store).await?;
    let recorded = Selection { ends: !args.follow, ..selection.clone() };
    let opener = args.disclosure.begin(settings, database, &store, "events tail", &recorded, None).await?;
    let lines = Lines::new(database, args.json, opener.as_ref()).await?;
    let screen = Screen { store, selection, lines, opener };
    let newest = match args.lines {
        None if args.filter.begins() => None,
        None => Some(NEWEST),
        Some(lines) => Some(lines as usize),
    };
    let shown = async {
        screen.past(newest).await?;
        if args.follow { screen.follow().await } else { Ok(()) }
    };
    let ended = tokio::select! {
        ended = shown => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    };
    ended.or_else(|error| if is_enough(&error) { Ok(()) } else { Err(error) })
}

struct Screen {
    store: EventStore,
    selection: Selection,
    lines: Lines,
    opener: Option<Opener>,
}

impl Screen {
    async fn past(&self, newest: Option<usize>) -> anyhow::Result<()> {
        match newest {
            None => self.stretch(self.selection.after, self.selection.upto).await,
            Some(newest) => self.newest(newest).await,
        }
    }

    async fn stretch(&self, after: Position, upto: Position) -> anyhow::Result<()> {
        let mut at = after;
        while at < upto {
            let look = self.store.look(at, upto, &self.selection.filter).await?;
            at = look.upto;
            let mut out = io::stdout().lock();
            for event in look.events {
                self.lines.write(&mut out, &Shown::of(event, self.opener.as_ref()).await?)?;
            }
            out.flush()?;
        }
        Ok(())
    }

    /// Looked for backwards from the end.
    async fn newest(&self, newest: usize) -> anyhow::Result<()> {
        let (mut found, mut at) = (vec![], self.selection.upto);
        while at > self.selection.after && found.len() < newest {
            let look = self.store.look_back(self.selection.after, at, &self.selection.filter).await?;
            at = look.upto;
            found.extend(look.events);
        }
        found.truncate(newest);
        let mut out = io::stdout().lock();
        for event in found.into_iter().rev() {
            self.lines.write(&mut out, &Shown::of(event, self.opener.as_ref()).await?)?;
        }
        out.flush()?;
        Ok(())
    }

    /// The feed says how far the log is; what is wanted of it is looked up with the filter.
    async fn follow(&self) -> anyhow::Result<()> {
        let mut at = self.selection.upto;
        let mut feed = self.store.follow(PartitionSet::ALL, From::Position(at));
        loop {
            let upto = feed.next().await?.upto;
            self.stretch(at, upto).await?;
            at = upto;
        }
    }
}
