//! What the handlers share.

use std::sync::Arc;
use std::time::Duration;

use application::Application;
use application::auth::{Caller, Unauthenticated};
use chrono::{DateTime, Utc};
use history::Past;
use pool::Pool;
use schema::log::{Generation, Position};
use schema::view::{Page, Query, Reached, Replica, ViewStore};
use service_host::{Code, Problem, Shutdown};

use crate::config::Limits;
use crate::directory::Scene;
use crate::failed::Failed;
use crate::hub::HubHandle;
use crate::socket::Sockets;

/// How long a query waits for `min_position`.
pub const POSITION_WAIT_MAX: Duration = Duration::from_secs(5);
const POSITION_RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a query waits for the surroundings to be as new as the rows that it has read.
const SCENE_WAIT_MAX: Duration = Duration::from_millis(500);
const CATCH_UP_MAX: Duration = Duration::from_secs(2);
const SCENE_TRIES_MAX: usize = 3;

/// The state of queries and sockets. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

pub struct Inner {
    pub application: Application,
    pub pool: Pool,
    pub views: ViewStore,
    /// The read models as they were.
    pub past: Past,
    pub hub: HubHandle,
    pub limits: Limits,
    pub sockets: Sockets,
    /// When it begins, no socket is opened any more.
    pub shutdown: Shutdown,
}

impl std::ops::Deref for Api {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Api {
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    pub async fn verify(&self, token: &str) -> Result<Caller, Unauthenticated> {
        self.application.verifier().verify(token, self.now()).await
    }

    /// Whether the log does not go as far as a client says that it was: the client has it from a history that was lost, or
    /// has made it up. Waiting for it is in vain, and it gets what there is. Counted by what it was said as.
    pub async fn is_above_log(&self, position: Position, said_as: &'static str) -> bool {
        if position <= self.hub.scene().upto {
            return false;
        }
        // Where the log can't be asked, it is waited for.
        let above = self.application.store().head().await.is_ok_and(|(head, _)| position > head);
        if above {
            metrics::counter!("coulomb_realtime_positions_above_log_total", "said_as" => said_as).increment(1);
        }
        above
    }

    /// Waits until the views contain everything up to the position that the client has seen, and says where that is. A
    /// position that the log has not is not waited for, and none is said.
    pub async fn at_least(&self, min_position: Option<i64>) -> Result<Option<Reached>, Failed> {
        let Some(position) = min_position else { return Ok(None) };
        if position < 0 {
            return Err(invalid("min_position", "a position is not below 0").into());
        }
        if self.is_above_log(Position(position), "min_position").await {
            return Ok(None);
        }
        let reached = tokio::time::timeout(POSITION_WAIT_MAX, self.hub.reached(Position(position))).await;
        reached.map_err(|_| {
            let at = self.hub.scene().upto;
            let detail = format!("The views are at {at}, not yet at {position}. Try again.");
            Failed(Problem::new(Code::PositionNotReached, detail).retry_after(POSITION_RETRY_AFTER))
        })?;
        Ok(Some(Reached { generation: self.hub.scene().generation, position: Position(position) }))
    }

    /// What a cursor says that the page before it contained; none where that is not in the log: it is of a history that was
    /// lost, or somebody made it up. Nothing is waited for: the primary has it, whether or not this process has.
    pub async fn of_log(&self, page_before: Option<Reached>) -> Option<Reached> {
        let said = page_before?;
        let scene = self.hub.scene();
        if said.generation == scene.generation && said.position <= scene.upto {
            return Some(said);
        }
        match self.application.store().head().await {
            Ok((head, generation)) => (said.generation == generation && said.position <= head).then_some(said),
            Err(_) => Some(said),
        }
    }

    /// Waits, a little, until the hub has everything that the log holds now: something that a client was told of may be on
    /// its way still.
    pub async fn catch_up(&self) -> Result<(), Failed> {
        let (head, _) = self.application.store().head().await.map_err(application::Error::from)?;
        let _ = tokio::time::timeout(CATCH_UP_MAX, self.hub.reached(head)).await;
        Ok(())
    }

    /// The views for an answer that is as new as what this process has sent: for what is composed of several rows, and for
    /// what updates go on from.
    pub fn views_now(&self) -> ViewStore {
        self.views_at(&self.hub.scene(), None)
    }

    fn views_at(&self, scene: &Scene, floor: Option<Reached>) -> ViewStore {
        let here = Reached { generation: scene.generation, position: scene.upto };
        self.views.no_older_than(newer(here, floor)).measured_by(here)
    }

    /// The views for an answer of rows alone, which a replica may give from a little before: not from before `floor`.
    pub fn views_since(&self, floor: Option<Reached>) -> ViewStore {
        let Scene { generation, upto, .. } = self.hub.scene();
        let here = Reached { generation, position: upto };
        let staleness = self.views.replica().map_or(0, Replica::staleness_positions);
        let position = Position(upto.0.saturating_sub(staleness));
        self.views.no_older_than(newer(Reached { position, ..here }, floor)).measured_by(here)
    }

    /// Rows of charge points, not from before `floor`, and surroundings to compose them with.
    ///
    /// What is composed must not change without its position rising. So the surroundings are those of a position from
    /// before the rows were read, and no row is newer than that: else the hub is waited for, and the rows are read again.
    pub async fn staged(&self, query: &Query, floor: Option<Reached>) -> Result<(Page, Scene), Failed> {
        for _ in 1..SCENE_TRIES_MAX {
            let scene = self.hub.scene();
            let page = self.views_at(&scene, floor).list(query).await?;
            let newest = page.rows.iter().map(|row| row.position).max().unwrap_or_default();
            if newest <= scene.upto {
                return Ok((page, scene));
            }
            // Busy chargers may outrun it; then the answer is as good as it gets, and the next one is better.
            let _ = tokio::time::timeout(SCENE_WAIT_MAX, self.hub.reached(newest)).await;
        }
        let scene = self.hub.scene();
        Ok((self.views_at(&scene, floor).list(query).await?, scene))
    }
}

/// Of two: a later generation is newer, whatever the positions.
fn newer(one: Reached, other: Option<Reached>) -> Reached {
    other.into_iter().chain([one]).max_by_key(order).unwrap_or(one)
}

pub fn order(reached: &Reached) -> (Generation, Position) {
    (reached.generation, reached.position)
}

/// A value of the query string that can't be: 400, as for everything that is not a body.
pub fn invalid(field: &str, why: &str) -> Problem {
    Problem::new(Code::InvalidRequest, format!("{field}: {why}.")).with("field", field)
}
