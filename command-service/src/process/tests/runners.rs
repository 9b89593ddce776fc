//! Crashes, restarts and changes of hands.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use application::settle::Cause;
use application::{Error, Settings};
use chrono::{TimeDelta, Utc};
use domain::id::SessionId;
use schema::log::{Generation, Position, RecordedEvent};
use schema::partition::Partition;
use tokio::sync::Notify;
use uuid::Uuid;

use super::world::{World, failure, new_charger, patient};
use crate::process::charging::{Charging, Task};
use crate::process::manager::{Action, Ids, Manager, Outcome};
use crate::process::runner::{Changes, Commit, Tables};

const MOMENT: TimeDelta = TimeDelta::milliseconds(200);

/// Does all that the real one does, but does not come back from it: killed between issuing and committing.
struct Killed {
    inner: Charging,
    issued: Arc<Notify>,
}

impl Manager for Killed {
    const NAME: &'static str = Charging::NAME;

    type Task = Task;

    fn react(&self, event: &RecordedEvent) -> Vec<Action<Task>> {
        self.inner.react(event)
    }

    async fn perform(&self, task: &Task, cause: &Cause) -> Result<Outcome, Error> {
        self.inner.perform(task, cause).await?;
        self.issued.notify_one();
        std::future::pending().await
    }
}

/// Counts what the real one is asked to do.
struct Counted {
    inner: Charging,
    performed: Arc<AtomicUsize>,
}

impl Manager for Counted {
    const NAME: &'static str = Charging::NAME;

    type Task = Task;

    fn react(&self, event: &RecordedEvent) -> Vec<Action<Task>> {
        self.inner.react(event)
    }

    async fn perform(&self, task: &Task, cause: &Cause) -> Result<Outcome, Error> {
        self.performed.fetch_add(1, Ordering::SeqCst);
        self.inner.perform(task, cause).await
    }
}

/// Sets timers, and is stuck whenever it is to do something.
struct Stuck(Charging);

impl Manager for Stuck {
    const NAME: &'static str = Charging::NAME;

    type Task = Task;

    fn react(&self, event: &RecordedEvent) -> Vec<Action<Task>> {
        self.0.react(event)
    }

    async fn perform(&self, _: &Task, _: &Cause) -> Result<Outcome, Error> {
        std::future::pending().await
    }
}

/// Can't do anything about one session.
struct Unable {
    inner: Charging,
    session_id: SessionId,
}

impl Manager for Unable {
    const NAME: &'static str = Charging::NAME;

    type Task = Task;

    fn react(&self, event: &RecordedEvent) -> Vec<Action<Task>> {
        self.inner.react(event)
    }

    async fn perform(&self, task: &Task, cause: &Cause) -> Result<Outcome, Error> {
        match task {
            Task::FailStart { session_id } if *session_id == self.session_id => {
                Err(Error::Unavailable("as if an event could not be read".into()))
            }
            _ => self.inner.perform(task, cause).await,
        }
    }
}

async fn kill(runner: tokio::task::JoinHandle<()>) {
    runner.abort();
    assert!(runner.await.expect_err("aborted").is_cancelled());
}

#[tokio::test]
async fn what_was_issued_and_not_committed_is_done_again_without_effect() {
    let world = World::new(Settings { start_deadline: MOMENT, ..patient() }).await;
    let issued = Arc::new(Notify::new());
    let runner = world.start_runner(Killed { inner: world.charging(), issued: Arc::clone(&issued) }).await;
    let (session_id, command_id) = world.request_start().await;
    issued.notified().await;
    kill(runner).await;
    assert_eq!(world.count("SessionFailed").await, 1, "issued");
    let timers = format!("SELECT count(*) = 1 FROM process_timers WHERE name = 'start:{session_id}'");
    assert!(world.ask::<bool>(&timers).await, "and not committed");

    let performed = Arc::new(AtomicUsize::new(0));
    let counted = Counted { inner: world.charging(), performed: Arc::clone(&performed) };
    let _runner = world.start_runner(counted).await;
    world.event(command_id, "StationCommandFailed").await;
    world.until("SELECT count(*) = 0 FROM process_timers").await;
    assert!(performed.load(Ordering::SeqCst) >= 2, "the deadline again, and what follows from the failure");
    for once in ["SessionFailed", "EvseReleased", "StationCommandFailed", "CommandSettled"] {
        assert_eq!(world.count(once).await, 1, "{once}");
    }
}

/// The same conclusions under the same ids, from the first event on.
#[tokio::test]
async fn a_manager_that_has_lost_its_tables_changes_nothing() {
    let world = World::new(patient()).await;
    let runner = world.start_runner(world.charging()).await;
    let (_, command_id) = world.request_start().await;
    let answer = application::report::CommandAnswer::Failed { reason: "no".into() };
    world.link.command_answered(command_id, answer).await.expect("answered");
    let (head_before, _) = settled(&world).await;
    kill(runner).await;
    sqlx::query("TRUNCATE process_checkpoints, process_timers").execute(world.database.pool()).await.expect("emptied");
    let _runner = world.start_runner(world.charging()).await;
    let (head_after, _) = settled(&world).await;
    assert_eq!(head_before, head_after);
    assert_eq!(world.count("SessionFailed").await, 1);
}

/// Waits until every partition's checkpoint is at the head, and nothing more follows.
async fn settled(world: &World) -> (Position, Generation) {
    world.event(world.link.charge_point_id, "EvseReleased").await;
    world
        .until("SELECT count(*) = 64 AND min(position) = (SELECT position FROM log_head) FROM process_checkpoints")
        .await;
    world.app.store().head().await.expect("the head")
}

#[tokio::test]
async fn timers_survive_a_restart() {
    let world = World::new(Settings { start_deadline: MOMENT, ..patient() }).await;
    let (session_id, _) = world.request_start().await;
    let runner = world.start_runner(Stuck(world.charging())).await;
    world.until("SELECT count(*) = 2 FROM process_timers").await;
    kill(runner).await;
    let _runner = world.start_runner(world.charging()).await;
    assert_eq!(failure(world.event(session_id, "SessionFailed").await).0, "start-timed-out");
}

/// An older program beside a newer one, or after it: what follows from an event of the newer is not lost.
#[tokio::test]
async fn what_could_not_be_understood_is_done_when_it_can_be() {
    let world = World::new(Settings { start_deadline: MOMENT, ..patient() }).await;
    let (session_id, _) = world.request_start().await;
    let set = async |version: &str| {
        let update =
            "UPDATE events SET event_version = $1 WHERE aggregate_id = $2::text AND event_type = 'SessionRequested'";
        let update = sqlx::query(update).bind(version).bind(session_id.0);
        let updated = update.execute(world.database.pool()).await.expect("changed");
        assert_eq!(updated.rows_affected(), 1);
    };
    set("99").await;
    let _runner = world.start_runner(world.charging()).await;
    world.until("SELECT count(*) = 1 FROM process_timers WHERE name LIKE 'look-again:%'").await;
    // Once more, in vain.
    let first: chrono::DateTime<Utc> =
        world.ask("SELECT due_at FROM process_timers WHERE name LIKE 'look-again:%'").await;
    world
        .until(&format!("SELECT due_at > '{}' FROM process_timers WHERE name LIKE 'look-again:%'", first.to_rfc3339()))
        .await;
    assert_eq!(world.count("SessionFailed").await, 0);
    set("1").await;
    assert_eq!(failure(world.event(session_id, "SessionFailed").await).0, "start-timed-out");
    world.until("SELECT count(*) = 0 FROM process_timers WHERE name LIKE 'look-again:%'").await;
    assert_eq!(world.count("SessionFailed").await, 1);
}

/// What can't be done is put off, and stands in nobody's way.
#[tokio::test]
async fn a_task_that_fails_again_and_again_holds_nobody_up() {
    let world = World::new(Settings { start_deadline: MOMENT, ..patient() }).await;
    let (session_id, _) = world.request_start().await;
    let _runner = world.start_runner(Unable { inner: world.charging(), session_id }).await;
    new_charger(&world.app, "CP002").await;
    let (other, _) = world.request_start_at("CP002").await;
    world.event(other, "SessionFailed").await;
    let put_off = format!("SELECT due_at > now() FROM process_timers WHERE name = 'start:{session_id}'");
    world.until(&put_off).await;
    assert_eq!(world.count("SessionFailed").await, 1);
}

const SHARED_OUT: &str = "SELECT count(DISTINCT holder) = 2 AND count(*) = 64 AND \
                          max(held) = 32 FROM (SELECT holder, count(*) OVER (PARTITION BY holder) AS held FROM leases \
                          WHERE name = 'process:charging' AND until > clock_timestamp() AND holder IS NOT NULL) AS l";

#[tokio::test]
async fn workers_share_the_partitions_and_take_over() {
    let world = World::new(Settings { start_deadline: MOMENT, ..patient() }).await;
    let runners = [world.start_runner(world.charging()).await, world.start_runner(world.charging()).await];
    world.until(SHARED_OUT).await;
    let mut sessions = vec![world.request_start().await.0];
    let mut partitions = HashSet::from([schema::partition::partition(world.link.charge_point_id.0)]);
    for number in 2..12 {
        let identity = format!("CP{number:03}");
        let link = new_charger(&world.app, &identity).await;
        partitions.insert(schema::partition::partition(link.charge_point_id.0));
        sessions.push(world.request_start_at(&identity).await.0);
    }
    assert!(partitions.len() > 1, "chargers of several partitions");
    for &session_id in &sessions {
        world.event(session_id, "SessionFailed").await;
    }
    let [one, _other] = runners;
    let mut sessions = vec![];
    for number in 2..12 {
        sessions.push(world.request_start_at(&format!("CP{number:03}")).await.0);
    }
    kill(one).await;
    for session_id in sessions {
        world.event(session_id, "SessionFailed").await;
    }
    assert_eq!(world.count("SessionFailed").await, 21);
}

#[tokio::test]
async fn a_frozen_owner_that_wakes_commits_nothing() {
    let world = World::new(patient()).await;
    let store = world.app.store();
    let partition = Partition::new(0).expect("there is a partition 0");
    let acquire = async |ttl| store.acquire_lease("process:charging", 0, Uuid::now_v7(), ttl).await.expect("asked");
    let tables = Tables::new(world.database.pool().clone().into(), Charging::NAME);
    let commit = |lease, upto| {
        let mut changes = Changes::<Task>::none();
        changes.touched.insert(partition);
        Commit { leases: vec![lease], changes, generation: Generation::FIRST, upto: Position(upto) }
    };
    let frozen = acquire(Duration::ZERO).await.expect("free");
    let owner = acquire(Duration::from_secs(600)).await.expect("lapsed");
    tables.commit(commit(owner, 5), &[0]).await.expect("the owner's");
    tables.commit(commit(frozen, 7), &[0]).await.expect_err("not its lease any more");
    let stored = tables.checkpoints(&[0]).await.expect("asked");
    assert_eq!(stored[&partition], (Generation::FIRST, Position(5)));
}

/// Another history's checkpoints count for nothing, and what was done is not done twice.
#[tokio::test]
async fn a_checkpoint_of_another_generation_is_not_believed() {
    let world = World::new(Settings { start_deadline: MOMENT, ..patient() }).await;
    sqlx::query("INSERT INTO process_checkpoints SELECT 1000, 7, 1, n, 'charging' FROM generate_series(0, 63) n")
        .execute(world.database.pool())
        .await
        .expect("written");
    let (session_id, _) = world.request_start().await;
    let _runner = world.start_runner(world.charging()).await;
    world.event(session_id, "SessionFailed").await;
}

/// After a failover it reads on, and not the whole log again.
#[tokio::test]
async fn a_checkpoint_of_a_former_generation_counts_as_far_as_that_is_shared() {
    let world = World::new(Settings { start_deadline: MOMENT, ..patient() }).await;
    new_charger(&world.app, "CP002").await;
    let (behind, _) = world.request_start().await;
    let pool = world.database.pool();
    for text in [
        "INSERT INTO process_checkpoints SELECT position, generation, 1, n, 'charging' FROM log_head, generate_series(0, 63) n",
        "INSERT INTO log_generations (number, shared_upto, timeline, system_identifier, reason, completed_at) \
         SELECT h.generation + 1, h.position, g.timeline, g.system_identifier, 'promoted', clock_timestamp() \
         FROM log_head h JOIN log_generations g ON g.number = h.generation",
        "UPDATE log_head SET generation = generation + 1",
    ] {
        sqlx::query(text).execute(pool).await.expect("written");
    }
    let _runner = world.start_runner(world.charging()).await;
    let (after, _) = world.request_start_at("CP002").await;
    world.event(after, "SessionFailed").await;
    assert_ne!(behind, after);
    assert_eq!(world.count("SessionFailed").await, 1, "what stands before the checkpoint is not read again");
}

#[test]
fn ids_are_the_same_for_ever() {
    let ids = Ids::of::<Charging>();
    let due_at = chrono::DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("in range");
    assert_eq!(ids.of_timer("start:x", due_at), Ids::of::<Charging>().of_timer("start:x", due_at));
    assert_ne!(ids.of_timer("start:x", due_at), ids.of_timer("start:x", due_at + TimeDelta::microseconds(1)));
    assert!(due_at < Utc::now());
}
