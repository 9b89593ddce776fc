//! Which part of the history is meant.

use anyhow::bail;
use chrono::Utc;
use domain::event::AggregateType;
use event_store::EventStore;
use event_store::stored::Filter;
use pool::Pool;
use schema::log::Position;

use super::moment::Moment;
use super::names;

#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which events")]
pub struct FilterArgs {
    /// Of these types, such as SessionPriced (or session_priced)
    #[arg(long = "type", value_name = "TYPE,...", value_delimiter = ',', value_parser = names::event_type)]
    pub types: Vec<String>,

    /// Of the history of these kinds of things, such as ChargePoint
    #[arg(long = "aggregate", value_name = "KIND,...", value_delimiter = ',', value_parser = names::aggregate)]
    pub aggregates: Vec<AggregateType>,

    /// Of one stream: an id, or a charger's identity
    #[arg(long, value_name = "ID")]
    pub stream: Option<String>,

    /// Of one partition key: the id of a charge point, an account or a token, or a charger's identity
    #[arg(long, value_name = "ID")]
    pub partition_key: Option<String>,

    /// Recorded at this time or after it: 2026-03-01T10:00:00Z, 2026-03-01, or how long ago, such as 2h
    #[arg(long, value_name = "TIME", conflicts_with = "from_position")]
    pub since: Option<Moment>,

    /// Recorded before this time
    #[arg(long, value_name = "TIME", conflicts_with = "to_position")]
    pub until: Option<Moment>,

    /// From this position on
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    pub from_position: Option<i64>,

    /// Up to this position
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    pub to_position: Option<i64>,
}

/// A part of the history that exists.
#[derive(Debug, Clone)]
pub struct Selection {
    pub filter: Filter,
    /// Events after this position …
    pub after: Position,
    /// … up to this one.
    pub upto: Position,
    /// An end was given: there is nothing to follow.
    pub ends: bool,
}

impl FilterArgs {
    /// Whether a beginning was given.
    pub fn begins(&self) -> bool {
        self.since.is_some() || self.from_position.is_some()
    }

    pub async fn select(&self, pool: &Pool, store: &EventStore) -> anyhow::Result<Selection> {
        let (head, _) = store.head().await?;
        let now = Utc::now();
        let after = match (self.from_position, self.since) {
            (Some(from), _) => Position(from - 1),
            (None, Some(since)) => store.last_before(since.at(now)).await?,
            (None, None) => Position::START,
        };
        let upto = match (self.to_position, self.until) {
            (Some(to), _) => Position(to),
            (None, Some(until)) => store.last_before(until.at(now)).await?,
            (None, None) => head,
        };
        for (name, position) in [("--from-position", self.from_position), ("--to-position", self.to_position)] {
            if position.is_some_and(|position| position > head.0) {
                bail!("{name} {} does not exist yet: the log ends at position {head}", position.unwrap_or_default());
            }
        }
        if after > upto {
            bail!("nothing is both from position {} on and up to position {upto}: exchange the two", after.0 + 1);
        }
        let stream = match &self.stream {
            Some(text) => Some(names::id(pool, text).await?),
            None => None,
        };
        if let (Some(id), Some(text)) = (stream, &self.stream)
            && match store.streams_of(id).await {
                Ok(aggregates) => aggregates.is_empty(),
                // Shown as it is stored.
                Err(event_store::read::Error::UnknownAggregate { .. }) => false,
                Err(error) => return Err(error.into()),
            }
        {
            bail!("{text} has no stream: `coulomb events tail` shows the ids of streams");
        }
        let partition_key = match &self.partition_key {
            Some(text) => Some(names::id(pool, text).await?),
            None => None,
        };
        let filter =
            Filter { aggregates: self.aggregates.clone(), event_types: self.types.clone(), stream, partition_key };
        let ends = self.to_position.is_some() || self.until.is_some();
        Ok(Selection { filter, after, upto, ends })
    }
}
