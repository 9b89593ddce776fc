use event_store::dead_letters::Of;
use serde_json::json;

use super::{get, place};
use crate::command_database::CommandDatabase;

#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Its number
    #[arg(value_name = "ID")]
    id: i64,

    /// One JSON object, with the bytes of a record in base64
    #[arg(long)]
    json: bool,
}

pub async fn run(database: &CommandDatabase, args: Args) -> anyhow::Result<()> {
    let letter = get(database, args.id).await?;
    let store = database.store().await?;
    let event = match letter.position {
        Some(position) if position.0 > 0 => store.read_at(&[position]).await?.into_iter().next(),
        _ => None,
    };
    if args.json {
        let mut object = serde_json::to_value(&letter)?;
        object["log"] = event.as_ref().map_or(json!(null), |event| {
            json!({
                "position": event.position, "recorded_at": event.recorded_at, "stream": event.stream.to_string(),
                "event_type": event.event_type, "event_version": event.event_version, "understood": event.event.is_ok(),
            })
        });
        say!("{object}");
        return Ok(());
    }
    say!("{}: {}", letter.id, place(&letter));
    match letter.settled_at {
        None => say!("  {} since {}", letter.state.as_str(), letter.first_seen),
        Some(at) => say!("  {} at {at}; first seen at {}", letter.state.as_str(), letter.first_seen),
    }
    say!("  {}", letter.error.as_deref().unwrap_or("waits behind the first of its key"));
    match &event {
        Some(event) => {
            let at = event.recorded_at.format("%Y-%m-%dT%H:%M:%SZ");
            say!("  the log has {at}  {} v{}  {}", event.event_type, event.event_version, event.stream);
        }
        None => say!("  no position of the log is known of it, or the log has no event there"),
    }
    match &letter.of {
        Of::Build { partition_key, .. } => {
            say!("  coulomb projections show {partition_key} shows all that waits with it")
        }
        Of::Record(record) => {
            for header in record.headers.as_array().into_iter().flatten() {
                let value =
                    header["value"].as_str().unwrap_or(if header["value_base64"].is_null() { "" } else { "(bytes)" });
                // What others wrote is shown, not obeyed.
                say!("  {}: {}", header["name"].as_str().unwrap_or_default().escape_debug(), value.escape_debug());
            }
            match (&record.value, record.value_bytes) {
                (Some(value), Some(bytes)) => say!("  a value of {bytes} bytes, {} of them here (--json)", value.len()),
                _ => say!("  no value"),
            }
            if let (Some(by), reason) = (&record.settled_by, &record.reason) {
                say!("  settled by {by}: {}", reason.as_deref().unwrap_or("no reason given"));
            }
        }
    }
    Ok(())
}
