//! Committing a batch: one statement, one round trip.

use std::sync::Arc;

use pool::{Connection, Pool};
use schema::view::{Row, RowChange};
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

use super::Error;
use super::builds::Build;
use super::digests::Running;
use super::engine::{Batch, Engine};

/// SQLSTATE with which `views.advance` refuses the batches of an ended run.
const RUN_HAS_ENDED: &str = "CV001";
/// The build under which all live builds consume.
const CONSUMED_TOGETHER: i64 = 0;

/// A row of a build, and its JSON.
pub(super) struct ToWrite {
    /// Which of the builds.
    pub nth: usize,
    pub change: Arc<RowChange>,
    json: String,
}

impl ToWrite {
    /// The row as it will be read back: its JSON says U+FFFD where a charger said U+0000.
    pub fn new(nth: usize, mut change: RowChange) -> Result<Self, schema::view::Error> {
        let json = change.row.to_json();
        if json.contains('\u{fffd}') {
            let model = change.row.model();
            change.row = Row::from_json(model, &json).map_err(|source| {
                let key = change.key.clone();
                schema::view::Error::Corrupt { model, key, source }
            })?;
        }
        Ok(Self { nth, change: Arc::new(change), json })
    }
}

/// A batch, and what has to be written of it.
pub(super) struct Write<'a> {
    pub step: Step,
    pub engine: &'a Engine,
    pub batch: &'a Batch,
}

/// What moves the checkpoints.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A batch of a run.
    Advance { run: Uuid, notify: bool },
    /// A batch of all partitions, in a transaction that has ended the runs.
    Settle,
}

/// Rows, parked keys, checkpoints and how far the run is: all of it, or nothing.
///
/// # Errors
/// [`Error::Ended`] when the run has ended. After any other the outcome is not known: the tenure must end too.
pub(super) async fn write(pool: &Pool, write: &Write<'_>) -> Result<(), Error> {
    let calls = Calls::of(write);
    let text = calls.text();
    calls.bind(sqlx::query(&text), write).execute(pool).await.map(|_| ()).map_err(refused)
}

/// The same in a transaction of the caller.
pub(super) async fn write_on(connection: &mut Connection<'_>, write: &Write<'_>) -> Result<(), Error> {
    let calls = Calls::of(write);
    let text = calls.text();
    let statement = calls.bind(sqlx::query(&text), write).persistent(false);
    statement.execute(connection).await.map(|_| ()).map_err(refused)
}

type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// Which functions a batch calls after the run's step. There is a statement for each combination that occurs, of which there
/// are few.
struct Calls {
    step: (&'static str, usize),
    /// Builds whose tables are touched.
    tables: Vec<(usize, String)>,
    consumes: bool,
    parks: bool,
    holds: bool,
    leaves_out: bool,
    unparks: bool,
}

impl Calls {
    fn of(write: &Write<'_>) -> Self {
        let touched = |nth: usize| write.batch.rows.iter().any(|row| row.nth == nth);
        let tables = write.engine.builds.iter().enumerate().filter(|(nth, _)| touched(*nth));
        let writer = |build: &Build| format!("{}.write_{}", build.place.schema(), build.model.name());
        let step = match write.step {
            Step::Advance { .. } => ("views.advance", 8),
            Step::Settle => ("views.settle", 6),
        };
        Self {
            step,
            tables: tables.map(|(nth, build)| (nth, writer(build))).collect(),
            consumes: !write.batch.ended.is_empty(),
            parks: !write.batch.folded.parked.is_empty(),
            holds: !write.batch.folded.held.is_empty(),
            leaves_out: write.batch.released.iter().any(|released| released.skip.is_some()),
            unparks: write.batch.released.iter().any(|released| released.outcome.is_some()),
        }
    }

    fn text(&self) -> String {
        let mut text = "SELECT ".to_owned();
        let mut next = 1;
        let mut call = |name: &str, arguments: usize| {
            let list: Vec<String> = (next..next + arguments).map(|n| format!("${n}")).collect();
            if next > 1 {
                text.push_str(", ");
            }
            text += &format!("{name}({})", list.join(", "));
            next += arguments;
        };
        call(self.step.0, self.step.1);
        for (_, writer) in &self.tables {
            call(writer, 6);
        }
        let rest = [
            (self.consumes, "views.consume", 5),
            (self.leaves_out, "views.leave_out", 3),
            (self.unparks, "views.unpark", 5),
            (self.parks, "views.park", 6),
            (self.holds, "views.hold", 3),
        ];
        for (_, name, arguments) in rest.into_iter().filter(|(called, ..)| *called) {
            call(name, arguments);
        }
        text
    }

    fn bind<'q>(&self, statement: Statement<'q>, write: &Write<'q>) -> Statement<'q> {
        let mut statement = step(statement, write);
        for (nth, _) in &self.tables {
            statement = rows(statement, write.batch.rows.iter().filter(|row| row.nth == *nth));
        }
        if self.consumes {
            let ended = || write.batch.ended.iter();
            statement = statement
                .bind(CONSUMED_TOGETHER)
                .bind(ended().map(|(partition, _)| i16::from(partition.number())).collect::<Vec<_>>())
                .bind(ended().map(|(_, digest)| digest.block).collect::<Vec<_>>())
                .bind(ended().map(|(_, digest)| digest.events).collect::<Vec<_>>())
                .bind(ended().map(|(_, digest)| digest.digest.to_vec()).collect::<Vec<_>>());
        }
        if self.leaves_out {
            let skipped = || write.batch.released.iter().filter_map(|of| Some((of, of.skip?)));
            statement = statement
                .bind(skipped().map(|(of, _)| of.build_id).collect::<Vec<_>>())
                .bind(skipped().map(|(of, _)| of.partition_key).collect::<Vec<_>>())
                .bind(skipped().map(|(_, position)| position.0).collect::<Vec<_>>());
        }
        if self.unparks {
            let outcomes = || write.batch.released.iter().filter_map(|of| Some((of, of.outcome.as_ref()?)));
            let rests = || outcomes().map(|(_, outcome)| outcome.rest.as_ref());
            statement = statement
                .bind(outcomes().map(|(of, _)| of.build_id).collect::<Vec<_>>())
                .bind(outcomes().map(|(of, _)| of.partition_key).collect::<Vec<_>>())
                .bind(rests().map(|rest| rest.map(|rest| rest.position.0)).collect::<Vec<_>>())
                .bind(rests().map(|rest| rest.map(|rest| rest.event_type.as_str())).collect::<Vec<_>>())
                .bind(rests().map(|rest| rest.map(|rest| rest.error.as_str())).collect::<Vec<_>>());
        }
        if self.parks {
            let parked = || write.batch.folded.parked.iter();
            statement = statement
                .bind(parked().map(|of| of.held.build_id).collect::<Vec<_>>())
                .bind(parked().map(|of| of.held.partition_key).collect::<Vec<_>>())
                .bind(parked().map(|of| i16::from(of.partition.number())).collect::<Vec<_>>())
                .bind(parked().map(|of| of.held.position.0).collect::<Vec<_>>())
                .bind(parked().map(|of| of.event_type.as_str()).collect::<Vec<_>>())
                .bind(parked().map(|of| of.error.as_str()).collect::<Vec<_>>());
        }
        if self.holds {
            let held = || write.batch.folded.held.iter();
            statement = statement
                .bind(held().map(|held| held.build_id).collect::<Vec<_>>())
                .bind(held().map(|held| held.partition_key).collect::<Vec<_>>())
                .bind(held().map(|held| held.position.0).collect::<Vec<_>>());
        }
        statement
    }
}

/// The run's step, with the digests that stand at the checkpoints.
fn step<'q>(statement: Statement<'q>, write: &Write<'q>) -> Statement<'q> {
    let running = || write.batch.folded.checkpoints.keys().filter_map(|partition| write.engine.digests.get(*partition));
    let known = |running: &Running| match running {
        Running::Known(digest) => Some(*digest),
        Running::Unknown { .. } => None,
    };
    let statement = match write.step {
        Step::Advance { run, .. } => statement.bind(run),
        Step::Settle => statement,
    };
    let statement = statement
        .bind(write.batch.upto.0)
        .bind(write.batch.folded.checkpoints.keys().map(|partition| i16::from(partition.number())).collect::<Vec<_>>())
        .bind(write.batch.folded.checkpoints.values().map(|position| position.0).collect::<Vec<_>>())
        .bind(running().map(Running::block).collect::<Vec<_>>())
        .bind(running().map(|running| known(running).map_or(0, |digest| digest.events)).collect::<Vec<_>>())
        .bind(running().map(|running| known(running).map(|digest| digest.digest.to_vec())).collect::<Vec<_>>());
    match write.step {
        Step::Advance { notify, .. } => statement.bind(notify),
        Step::Settle => statement,
    }
}

fn rows<'q>(statement: Statement<'q>, rows: impl Iterator<Item = &'q ToWrite> + Clone) -> Statement<'q> {
    let rows = || rows.clone();
    statement
        .bind(rows().map(|row| row.change.key.as_str()).collect::<Vec<_>>())
        .bind(rows().map(|row| i16::from(row.change.partition.number())).collect::<Vec<_>>())
        .bind(rows().map(|row| row.change.generation.0).collect::<Vec<_>>())
        .bind(rows().map(|row| row.change.position.0).collect::<Vec<_>>())
        .bind(rows().map(|row| row.change.removed).collect::<Vec<_>>())
        .bind(rows().map(|row| row.json.as_str()).collect::<Vec<_>>())
}

fn refused(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code());
    if code.as_deref() == Some(RUN_HAS_ENDED) { Error::Ended } else { Error::Write(error) }
}
