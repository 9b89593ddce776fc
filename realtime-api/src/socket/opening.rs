//! The beginning of a subscription: all of its topic, or what has changed since the client last heard of it.
//!
//! The subscription stands already when this reads the tables, so nothing can fall between the two. What is read is taken
//! as of the position at which the hub was before: a row that is newer comes from the hub, composed in its place in the
//! order, and replaces what was read. So what is sent is one state of the topic, at one position, and whatever the hub says
//! later is above it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use application::auth::Caller;
use domain::id::{ChargePointId, SessionId};
use domain::refusal::Refusal;
use domain::session::SessionState;
use domain::station_command::CommandState;
use schema::log::{Generation, Position};
use schema::view::{Column, Model, Query, Row, RowChange};
use service_host::Problem;

use crate::directory::Scene;
use crate::failed::{BEHIND_RETRY_AFTER, Failed};
use crate::hub::{Mailbox, ResourceKey, Shard, SubscriptionId, Topic, Update, Viewer};
use crate::query::is_visible;
use crate::resource::{command, session};
use crate::state::Api;

/// How long the hub may take to get to what has been read.
const HUB_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a client that was further on another node waits for this one.
const NODE_WAIT_MAX: Duration = Duration::from_secs(1);
/// More rows than this are no resumption: a snapshot is smaller.
const RESUME_ROWS_MAX: u32 = 2_000;
/// Rows read at once: others have their turn between.
const PAGE_ROWS: u32 = 500;
/// More resources than this are encoded off the async threads.
const ENCODED_AT_ONCE_MAX: usize = 200;

/// Where a client says that it is.
#[derive(Debug, Clone, Copy)]
pub struct Since {
    pub generation: Generation,
    pub position: Position,
}

#[derive(Debug)]
pub struct Opening {
    /// What the client holds is still good, and these are the changes; otherwise these are all there is.
    pub resumed: bool,
    pub generation: Generation,
    pub upto: Position,
    /// In the order of positions.
    pub resources: Vec<Arc<Update>>,
}

impl Opening {
    /// Makes the JSON of what there is much of, where it holds up nobody.
    pub async fn encode(&self, viewer: Viewer) {
        if self.resources.len() > ENCODED_AT_ONCE_MAX {
            let resources = self.resources.clone();
            let encoded = tokio::task::spawn_blocking(move || {
                for resource in resources {
                    resource.body(viewer);
                }
            });
            // If that ended early, the rest is made where it is written.
            let _ = encoded.await;
        }
    }
}

pub struct Opener<'o> {
    pub api: &'o Api,
    pub shard: &'o Shard,
    pub mailbox: &'o Mailbox,
    pub id: SubscriptionId,
    pub topic: Topic,
    pub caller: &'o Caller,
}

impl Opener<'_> {
    pub async fn open(&self, since: Option<Since>) -> Result<Opening, Failed> {
        let of_generation = |since: &Since, scene: &Scene| since.generation == scene.generation;
        let since = since.filter(|since| of_generation(since, &self.api.hub.scene()));
        let reachable = match since {
            Some(since) => self.reachable(since.position).await,
            None => None,
        };
        // Only now: the hub may have been waited for, and have reached the position in another generation.
        let scene = self.api.hub.scene();
        let reachable = reachable.filter(|_| since.is_some_and(|since| of_generation(&since, &scene)));
        if let Some(since) = reachable
            && let Some(rows) = self.changed(since, &scene).await?
        {
            return self.opening(rows, &scene, Some(since)).await;
        }
        let rows = self.all().await?;
        self.opening(rows, &scene, None).await
    }

    /// The position, if the views are there or will be shortly.
    async fn reachable(&self, since: Position) -> Option<Position> {
        if self.api.is_above_log(since, "since").await {
            return None;
        }
        let reached = tokio::time::timeout(NODE_WAIT_MAX, self.api.hub.reached(since)).await;
        reached.is_ok().then_some(since)
    }

    async fn opening(
        &self,
        rows: Vec<Arc<RowChange>>,
        scene: &Scene,
        since: Option<Position>,
    ) -> Result<Opening, Failed> {
        let newest = rows.iter().map(|row| row.position).max().unwrap_or_default();
        if newest > scene.upto {
            let delivered = tokio::time::timeout(HUB_WAIT_MAX, self.shard.completed(newest)).await;
            // Not at once again: while this is waited for, the socket does nothing else.
            let behind = || Problem::unavailable("The views are behind. Try again.").retry_after(BEHIND_RETRY_AFTER);
            delivered.map_err(|_| behind())?;
        }
        let known = rows.iter().filter(|row| row.position <= scene.upto);
        let known = known.filter_map(|row| Update::of(row, &scene.places, &self.api.hub.names)).map(Arc::new);
        let mut resources: BTreeMap<ResourceKey, Arc<Update>> = known.map(|update| (update.key, update)).collect();
        let complete = self.shard.complete();
        let (since_then, upto) = self.mailbox.inbox().begin(self.id, scene.upto, complete);
        resources.extend(since_then.into_iter().map(|update| (update.key, update)));
        let mut resources: Vec<_> = resources.into_values().collect();
        match since {
            Some(since) => resources.retain(|resource| resource.position > since),
            None => resources.retain(|resource| !resource.has_left(self.topic)),
        }
        resources.sort_by_key(|resource| resource.position);
        Ok(Opening { resumed: since.is_some(), generation: scene.generation, upto, resources })
    }

    async fn all(&self) -> Result<Vec<Arc<RowChange>>, Failed> {
        match self.topic {
            Topic::Charger(id) => Ok(vec![self.charger(id).await?]),
            Topic::Session(id) => Ok(vec![self.session(id).await?]),
            Topic::Me(_) | Topic::Fleet(_) | Topic::Station(_) => {
                let mut rows = Vec::new();
                for query in self.members() {
                    let mut query = query.limit(PAGE_ROWS);
                    loop {
                        let page = self.api.views_now().list(&query).await?;
                        rows.extend(page.rows);
                        let Some(next) = page.next else { break };
                        query = query.after(Some(next));
                    }
                }
                if let Topic::Station(id) = self.topic {
                    rows.push(self.charger(id).await?);
                }
                Ok(rows)
            }
        }
    }

    /// The rows changed since; none if there are so many that a snapshot is better.
    async fn changed(&self, since: Position, scene: &Scene) -> Result<Option<Vec<Arc<RowChange>>>, Failed> {
        let mut rows = match self.topic {
            // Its site or price may have changed, without its row: the position of the whole decides.
            Topic::Charger(id) | Topic::Station(id) => vec![self.charger(id).await?],
            Topic::Session(id) => vec![self.session(id).await?],
            Topic::Fleet(tenant_id) if scene.places.changed_after(tenant_id, since) => return Ok(None),
            Topic::Me(_) | Topic::Fleet(_) => vec![],
        };
        if self.topic.is_set() {
            for (_, query) in self.everything() {
                let page = self.api.views_now().list(&query.changed_after(since).limit(RESUME_ROWS_MAX)).await?;
                if page.next.is_some() {
                    return Ok(None);
                }
                rows.extend(page.rows);
            }
        }
        Ok(Some(rows))
    }

    /// What is in the topic now.
    fn members(&self) -> Vec<Query> {
        let open = session::OPEN.map(SessionState::as_str);
        let unsettled = command::UNSETTLED.map(CommandState::as_str);
        let narrowed = self.everything().into_iter().map(|(model, query)| match model {
            Model::Sessions => query.with_any(Column::State, open),
            Model::Commands => query.with_any(Column::State, unsettled),
            _ => query,
        });
        narrowed.collect()
    }

    /// What is or was in the topic.
    fn everything(&self) -> Vec<(Model, Query)> {
        let of = |model| Query::of(model).with(Column::TenantId, self.caller.tenant_id);
        let (sessions, commands) = (of(Model::Sessions), of(Model::Commands));
        let (sessions, commands) = match self.topic {
            Topic::Me(user_id) => {
                (sessions.with(Column::DriverId, user_id), commands.with(Column::RequestedById, user_id))
            }
            Topic::Station(id) => (sessions.with(Column::ChargePointId, id), commands.with(Column::ChargePointId, id)),
            Topic::Fleet(_) => (sessions, commands),
            Topic::Charger(_) | Topic::Session(_) => return vec![],
        };
        let chargers = matches!(self.topic, Topic::Fleet(_)).then(|| (Model::ChargePoints, of(Model::ChargePoints)));
        chargers.into_iter().chain([(Model::Sessions, sessions), (Model::Commands, commands)]).collect()
    }

    async fn charger(&self, id: ChargePointId) -> Result<Arc<RowChange>, Failed> {
        let found = self.api.views_now().get(Model::ChargePoints, &id.to_string()).await?;
        found.rows.ok_or_else(|| Refusal::ChargerUnknown.into())
    }

    /// Somebody else's session is as unknown as none at all. One that was just asked for may not be in the views yet.
    async fn session(&self, id: SessionId) -> Result<Arc<RowChange>, Failed> {
        for caught_up in [false, true] {
            if caught_up {
                self.api.catch_up().await?;
            }
            let found = self.api.views_now().get(Model::Sessions, &id.to_string()).await?.rows;
            let visible = found.filter(|change| match &change.row {
                Row::Sessions(row) => is_visible(self.caller, row),
                _ => false,
            });
            if let Some(change) = visible {
                return Ok(change);
            }
        }
        Err(Refusal::SessionUnknown.into())
    }
}
