//! Keeps a process informed of the log's lineage, and begins a generation where it may.

use std::time::Duration;

use super::begin::go_on;
use super::compare::was_relayed;
use super::look::Look;
use super::{Era, State, Successor};
use crate::EventStore;
use crate::store::WeakStore;
use domain::log::GenerationReason;

/// Without a refused append, how often the lineage is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// After a look, so that refused appends that are tried again don't ask for one each.
const AFTER: Duration = Duration::from_millis(50);

/// At the start of a store, before it appends anything.
pub(crate) async fn start(store: &EventStore) -> Result<(), sqlx::Error> {
    round(store).await
}

/// Runs until the store is dropped.
pub(crate) async fn run(store: WeakStore, era: Era) {
    loop {
        tokio::select! {
            () = era.to_look() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
        let Some(current) = store.upgrade() else { return };
        if current.database().pool.is_closed() {
            return;
        }
        if let Err(error) = round(&current).await {
            tracing::debug!(%error, "the log's lineage can't be looked at");
        }
        drop(current);
        tokio::time::sleep(AFTER).await;
    }
}

async fn round(store: &EventStore) -> Result<(), sqlx::Error> {
    let era = store.era();
    // Taken before the look: what this process appends in the meantime lies above it, and is not lost for that.
    let (known, furthest) = era.furthest();
    let mut look = Look::at(store).await?;
    era.learn(look.generation);
    if known == look.generation && furthest > look.position {
        era.went_back();
    }
    era.saw(look.generation, look.position);
    // Each time: another log may have been put in the place of this one.
    store.refresh_identity(look.position).await;
    if let Some(reason) = reason(&look, era)
        && look.filling_upto.is_none()
    {
        let begun = decides(store, &look).await? && go_on(store, &look, reason).await?;
        if !begun {
            stop(store, &look, reason).await?;
        }
        look = Look::at(store).await?;
        era.learn(look.generation);
        era.saw(look.generation, look.position);
    }
    tell(era, look.state());
    Ok(())
}

/// Why the log can't go on as it was.
fn reason(look: &Look, era: &Era) -> Option<GenerationReason> {
    look.change().or(era.has_gone_back().then_some(GenerationReason::WentBack))
}

/// Whether this process may begin a generation by itself: nobody else has a copy of the log.
async fn decides(store: &EventStore, look: &Look) -> Result<bool, sqlx::Error> {
    match store.options().successor {
        Successor::Relay | Successor::Nobody => Ok(false),
        Successor::Anybody if look.halt.as_ref().is_some_and(|halt| halt.lost_upto.is_some()) => Ok(false),
        Successor::Anybody => Ok(!was_relayed(store).await?),
    }
}

/// Makes sure that nothing is appended until it is decided: by its timeline the server may not tell.
async fn stop(store: &EventStore, look: &Look, reason: GenerationReason) -> Result<(), sqlx::Error> {
    if look.takes_nothing() || store.options().successor == Successor::Nobody {
        return Ok(());
    }
    let lost: Option<i64> = None;
    let statement = sqlx::query("SELECT log_stop($1, $2, $3, $4)").bind(reason.as_str());
    let statement = statement.bind(look.generation.0).bind(look.position.0).bind(lost);
    store.database().execute(statement).await.map(|_| ())
}

fn tell(era: &Era, state: State) {
    metrics::gauge!("coulomb_log_takes_appends").set(if state.is_open() { 1.0 } else { 0.0 });
    metrics::gauge!("coulomb_log_lost_positions").set(state.lost_positions() as f64);
    metrics::gauge!("coulomb_log_generation").set(era.generation().0 as f64);
    let text = state.to_string();
    let open = state.is_open();
    if era.is_in(state) {
        match open {
            true => tracing::info!("{text}"),
            false => tracing::error!("{text}"),
        }
    }
}
