//! `coulomb projections show`: a parked key.

use projection_service::parked;
use schema::log::RecordedEvent;
use schema::view::Model;
use serde_json::{Value, json};
use uuid::Uuid;

use super::model;
use crate::command_database::CommandDatabase;

#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The key: a charge point, an account, a token, or whatever the events belong to
    #[arg(value_name = "KEY")]
    key: Uuid,

    /// Of this read model only
    #[arg(long, value_name = "NAME", value_parser = model::parse)]
    model: Option<Model>,

    /// At most so many of the events that wait
    #[arg(long, default_value_t = 20, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,

    /// A JSON object for each build
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let keys = parked::list(database.pool(), args.model, Some(args.key), 100).await?;
    if keys.is_empty() {
        anyhow::bail!("nothing of {} is parked: `coulomb projections parked` lists what is", args.key);
    }
    let store = database.store().await?;
    for key in keys {
        let events = parked::waiting(database.pool(), &store, &key, args.limit).await?;
        if args.json {
            let mut object = serde_json::to_value(&key)?;
            object["events"] = events.iter().map(event_json).collect();
            say!("{object}");
            continue;
        }
        say!("{} build {}, partition {}", key.model.name(), key.build, key.partition);
        say!("  stands still before {} at position {}, since {}", key.event_type, key.position, key.parked_at);
        say!("  {}", key.error);
        let more = if key.waiting > args.limit { ", the first of them:" } else { ":" };
        say!("  {} events wait{more}", key.waiting);
        for event in &events {
            let at = event.recorded_at.format("%Y-%m-%dT%H:%M:%SZ");
            say!("  {:>12}  {at}  {} v{}  {}", event.position.0, event.event_type, event.event_version, event.stream);
        }
        if let Some(event) = events.first() {
            say!(
                "  coulomb projections skip {} {} --model {} leaves the first out",
                key.partition_key,
                event.position,
                key.model.name()
            );
        }
    }
    Ok(())
}

fn event_json(event: &RecordedEvent) -> Value {
    json!({
        "position": event.position,
        "recorded_at": event.recorded_at,
        "stream": event.stream.to_string(),
        "sequence": event.sequence,
        "event_type": event.event_type,
        "event_version": event.event_version,
        "understood": event.event.is_ok(),
        "error": event.event.as_ref().err().map(|error| error.to_string()),
    })
}
