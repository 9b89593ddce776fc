//! What commands share that act on parked keys: who does it, and what became of it.

use std::time::Duration;

use event_store::EventStore;
use projection_service::parked::{self, Operator, ParkedKey};
use schema::log::Position;
use schema::view::{Model, ViewStore};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::command_database::CommandDatabase;

/// How long a command waits for the workers to meet its events.
const WAIT_MAX: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Of one read model; there are two at most.
const BUILDS_MAX: i64 = 10;

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

    pub fn by(&self) -> &str {
        &self.by
    }

    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

/// Keys on which something was done, each with the position of the event that says so.
pub type Done = Vec<(ParkedKey, Position)>;

/// Waits until the read models contain what was appended, releases again where more waited than one release applies, and
/// says what became of each key.
pub async fn outcome(
    database: &CommandDatabase,
    store: &EventStore,
    operator: &Operator,
    mut done: Done,
    json: bool,
) -> anyhow::Result<()> {
    let views = ViewStore::new(database.pool().clone());
    while let Some(last) = done.iter().map(|(_, at)| *at).max() {
        let met = meets(&views, last).await?;
        let mut again = vec![];
        for (key, at) in done {
            let still = if met { still(database, key.model, key.partition_key).await? } else { None };
            match still {
                // Something was applied: what is left is less, so this comes to an end.
                Some(still)
                    if still.is_unfinished() && (still.position > key.position || still.build_id != key.build_id) =>
                {
                    tell(&key, at, met, Some(&still), json);
                    again.push(still);
                }
                still => tell(&key, at, met, still.as_ref(), json),
            }
        }
        done = release_all(database, store, operator, again).await?;
    }
    Ok(())
}

/// Appends a release of each key.
pub async fn release_all(
    database: &CommandDatabase,
    store: &EventStore,
    operator: &Operator,
    keys: Vec<ParkedKey>,
) -> anyhow::Result<Done> {
    let mut released = Vec::with_capacity(keys.len());
    for key in keys {
        match parked::release(database.pool(), store, operator, key.model, key.partition_key).await {
            Ok(at) => released.push((key, at)),
            // Somebody else has released it meanwhile.
            Err(parked::Error::NotParked { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(released)
}

async fn meets(views: &ViewStore, position: Position) -> anyhow::Result<bool> {
    let began = Instant::now();
    while views.reached().await?.position < position {
        if began.elapsed() > WAIT_MAX {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(true)
}

/// Where it stands still: what was not tried yet before what was.
async fn still(database: &CommandDatabase, model: Model, key: Uuid) -> anyhow::Result<Option<ParkedKey>> {
    let mut builds = parked::list(database.pool(), Some(model), Some(key), BUILDS_MAX).await?;
    builds.sort_by_key(|build| !build.is_unfinished());
    Ok(builds.into_iter().next())
}

fn tell(key: &ParkedKey, at: Position, met: bool, still: Option<&ParkedKey>, json: bool) {
    let (model, partition_key) = (key.model.name(), key.partition_key);
    if json {
        let line = json!({
            "model": model, "partition_key": partition_key, "position": at, "met": met, "parked": still,
        });
        say!("{line}");
        return;
    }
    match still {
        _ if !met => say!(
            "{model} {partition_key}: written at position {at}. No worker has met it yet: it happens when one runs."
        ),
        None => say!("{model} {partition_key}: it goes on, from position {at}."),
        Some(still) if still.is_unfinished() => {
            say!("{model} {partition_key}: applied up to {}, {} events wait ...", still.position, still.waiting);
        }
        Some(still) => say!(
            "{model} {partition_key}: it stands still at {}, {} events wait: {}",
            still.position,
            still.waiting,
            still.error
        ),
    }
}
