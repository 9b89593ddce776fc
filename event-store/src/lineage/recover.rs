//! Going on after a loss: a new generation, and an event in the place of each that was lost.

use chrono::{DateTime, Utc};
use domain::log::{GenerationReason, LogEvent};
use schema::log::{Generation, Position};
use sqlx::Row;

use super::begin::{Begin, Begun};
use super::compare::{Comparison, ForeignTopic, KafkaTail, compare_at, highest_in_kafka};
use super::look::Look;
use super::own::Own;
use crate::{EventStore, ranges, read};

/// Lost positions that are filled without being asked twice: more would rather be a mistyped position.
pub const LOST_MAX: i64 = 1_000_000;
/// Positions filled in one transaction.
const CHUNK: i64 = 5_000;

/// What there is to be done, as it was found.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The generation that ends; of one that is carried on, the one that began.
    pub generation: Generation,
    /// The end of the log.
    pub head: Position,
    /// When the event at the head was recorded: the last time that is known.
    pub recorded_at: DateTime<Utc>,
    /// Up to here the log certainly has what others have.
    pub shared_upto: Position,
    /// The highest position that others have; not above the head: none is lost.
    pub lost_upto: Position,
    /// The highest position in Kafka but for records that are known to be lost, which count while lost positions are filled;
    /// none: Kafka was not looked at.
    pub kafka_upto: Option<Position>,
    pub reason: GenerationReason,
    /// A recovery was cut off, and is carried on.
    pub resumes: bool,
    /// Nothing has to be done: the log is appended to, and has all that others have.
    pub unneeded: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error(transparent)]
    Read(#[from] read::Error),
    #[error("the database can't be used")]
    Database(#[from] sqlx::Error),
    #[error(
        "nobody says up to where positions were given out: set KAFKA_BROKERS, so that the last records are read there, or give \
         --upto with the highest position that anybody has seen (the log ends at {head})"
    )]
    NoEnd { head: Position },
    #[error(
        "--upto {upto} is below the end of the log, {head}: give the highest position that anybody has seen, {head} if none is higher"
    )]
    Below { upto: Position, head: Position },
    #[error("--upto {upto} is below what Kafka has, {kafka}: leave --upto out, or give {kafka} or more")]
    BelowKafka { upto: Position, kafka: Position },
    #[error(
        "{positions} positions would be filled, from {} to {upto}; more than {most} are only with --at-most {positions}. Look \
         whether --upto is a position of this log",
        head.0 + 1
    )]
    TooMany { positions: i64, head: Position, upto: Position, most: i64 },
    #[error(
        "what Kafka has does not tell what is lost. If this log's own Kafka is gone for good, unset KAFKA_BROKERS and give --upto"
    )]
    Foreign(#[source] ForeignTopic),
    #[error("the log has moved, or somebody else recovers it: look again with coulomb log status")]
    Moved,
    #[error("no position range can be made for the positions after {0}")]
    NoRange(Position),
}

/// How far a recovery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The generation has begun; nothing is appended but fillers.
    Begun {
        generation: Generation,
    },
    Filled {
        left: i64,
    },
    /// Appends go on. The event that tells of it is at `position`.
    Done {
        generation: Generation,
        position: Position,
    },
}

impl Recovery {
    /// Looks what there is to be done. `tails`: the last records of Kafka, where there is one. `upto`: the highest position
    /// that anybody has seen, where the operator knows. Changes nothing.
    ///
    /// # Errors
    /// When the log can't be read, or what was given can't be.
    pub async fn plan(
        store: &EventStore,
        tails: Option<&[KafkaTail]>,
        upto: Option<Position>,
        most: i64,
    ) -> Result<Self, RecoveryError> {
        let look = Look::at(store).await?;
        let head = look.position;
        let comparison = match compare_at(store, &look, tails.unwrap_or_default()).await? {
            Comparison::Foreign(foreign) => return Err(RecoveryError::Foreign(foreign)),
            Comparison::Lost(loss) | Comparison::OtherHistory(loss) => Some(loss),
            Comparison::NothingLost => None,
        };
        let kafka = match tails {
            Some(tails) => Some(highest_in_kafka(store, &look, tails).await?),
            None => None,
        };
        if let (Some(upto), Some(kafka)) = (upto, kafka)
            && upto < kafka
        {
            return Err(RecoveryError::BelowKafka { upto, kafka });
        }
        if let Some(upto) = upto
            && upto < head
        {
            return Err(RecoveryError::Below { upto, head });
        }
        let said = upto.max(kafka);
        let filling = look.filling_upto;
        // What was found out before stands in the database.
        let halted = look.halt.as_ref().and_then(|halt| halt.lost_upto);
        let highest = [said, filling, halted].into_iter().flatten().max().ok_or(RecoveryError::NoEnd { head })?;
        let lost_upto = highest.max(head);
        let positions = lost_upto.0 - head.0;
        if positions > most {
            return Err(RecoveryError::TooMany { positions, head, upto: lost_upto, most });
        }
        let (shared_upto, same) = match comparison {
            Some(loss) => (loss.shared_upto, false),
            None => match &look.halt {
                Some(halt) if halt.lost_upto.is_some() => (halt.shared_upto, false),
                Some(_) | None => (head, true),
            },
        };
        let reason = look.change().unwrap_or(GenerationReason::Operator);
        Ok(Self {
            generation: look.generation,
            head,
            recorded_at: look.recorded_at,
            shared_upto,
            lost_upto,
            kafka_upto: kafka,
            reason,
            resumes: filling.is_some(),
            unneeded: same && positions == 0 && filling.is_none() && look.change().is_none(),
        })
    }

    /// How many positions lost their events.
    pub fn lost_positions(&self) -> i64 {
        self.lost_upto.0 - self.head.0
    }

    /// Does it. Cut off at any moment, the next one carries it on. `why`: the operator's words, for the event.
    ///
    /// # Errors
    /// When the log is not as it was found any more, or can't be written.
    pub async fn run(
        &self,
        store: &EventStore,
        why: Option<&str>,
        mut tell: impl FnMut(Step),
    ) -> Result<Generation, RecoveryError> {
        if !self.resumes {
            self.begin(store).await?;
        }
        let database = store.database();
        let mut connection = database.pool.acquire().await?;
        database.execute(sqlx::query("SELECT log_lose_more($1)").bind(self.lost_upto.0)).await?;
        let begun = Begun::find(&mut connection).await?.ok_or(RecoveryError::Moved)?;
        let generation = begun.number;
        store.era().learn(generation);
        tell(Step::Begun { generation });
        if let Some((from, upto)) = begun.lost {
            let event = LogEvent::PositionLost { generation: generation.0, lost_from: from.0, lost_upto: upto.0 };
            let own = Own::of(event, why);
            let mut before = i64::MAX;
            loop {
                ranges::make_ahead(&mut connection, store.options()).await?;
                let fill = sqlx::query("SELECT log_fill_lost($1, $2::json, $3, $4::json, $5, $6)").bind(CHUNK);
                let row = own.bind(fill).persistent(false).fetch_one(&mut connection).await?;
                let left = row.try_get::<Option<i64>, _>(0)?.ok_or(RecoveryError::Moved)?;
                tell(Step::Filled { left });
                if left == 0 {
                    break;
                }
                if left >= before {
                    return Err(RecoveryError::NoRange(Position(upto.0 - left)));
                }
                before = left;
            }
        }
        let position = begun.complete(&mut connection, why).await?.ok_or(RecoveryError::Moved)?;
        store.era().look();
        tell(Step::Done { generation, position });
        Ok(generation)
    }

    async fn begin(&self, store: &EventStore) -> Result<(), RecoveryError> {
        // An open log moves on: from here it doesn't.
        let stop = sqlx::query("SELECT log_stop($1, $2, $3, $4)")
            .bind(self.reason.as_str())
            .bind(self.generation.0)
            .bind(self.shared_upto.0)
            .bind(self.lost_upto.0);
        store.database().execute(stop).await?;
        let look = Look::at(store).await?;
        if look.generation != self.generation || look.position < self.head {
            return Err(RecoveryError::Moved);
        }
        let begin = Begin {
            at: look.position,
            was: self.generation,
            shared_upto: self.shared_upto,
            lost_upto: Some(self.lost_upto),
            reason: self.reason,
        };
        let mut transaction = store.database().pool.begin().await?;
        if !begin.on(&mut transaction).await? {
            return Err(RecoveryError::Moved);
        }
        transaction.commit().await?;
        Ok(())
    }
}
