//! What commands share that act on parked keys: who does it, and what became of it.

use std::time::Duration;

use projection_service::parked::{self, Operator, ParkedKey};
use schema::log::Position;
use schema::view::ViewStore;
use serde_json::json;
use tokio::time::Instant;

use crate::command_database::CommandDatabase;

/// How long a command waits for the workers to meet its events.
const WAIT_MAX: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(clap::Args, Clone, Debug)]
pub struct Operating {
    /// Why; it stands with the event
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Who does it; it stands with the event
    #[arg(long, env = "USER", default_value = "operator", value_name = "NAME")]
    by: String,
}

impl Operating {
    pub fn operator(&self) -> Operator {
        Operator { name: format!("coulomb projections, {}", self.by), reason: self.reason.clone() }
    }
}

/// Waits until the read models contain what was appended, and says what became of each key.
pub async fn outcome(database: &CommandDatabase, done: &[(ParkedKey, Position)], json: bool) -> anyhow::Result<()> {
    let Some(last) = done.iter().map(|(_, at)| *at).max() else { return Ok(()) };
    let views = ViewStore::new(database.pool().clone(), false);
    let began = Instant::now();
    let met = loop {
        if views.reached().await?.position >= last {
            break true;
        }
        if began.elapsed() > WAIT_MAX {
            break false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    for (key, at) in done {
        let (model, partition_key) = (key.model.name(), key.partition_key);
        let still = if met {
            parked::list(database.pool(), Some(key.model), Some(key.partition_key), 1).await?.into_iter().next()
        } else {
            None
        };
        if json {
            let line = json!({
                "model": model, "partition_key": partition_key, "position": at, "met": met, "parked": still,
            });
            say!("{line}");
            continue;
        }
        match still {
            _ if !met => say!(
                "{model} {partition_key}: written at position {at}. No worker has met it yet: it happens when one runs."
            ),
            None => say!("{model} {partition_key}: it goes on, from position {at}."),
            Some(still) => say!(
                "{model} {partition_key}: it stands still at {}, {} events wait: {}",
                still.position,
                still.waiting,
                still.error
            ),
        }
    }
    Ok(())
}
