//! A log of as many events as wanted, as if they had been appended: chargers that charge one car after another, all at a
//! time, so that the events of some thousand sessions are mixed.

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use schema::partition::partition;
use sqlx::postgres::{PgPool, PgPoolCopyExt};
use sqlx::{Connection, Executor};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::sample::{Sample, Sampled, Who};

/// Chargers, each with a driver of its own.
const CHARGERS: i64 = 2_000;
/// Events that one task writes at a time.
const CHUNK_EVENTS: i64 = 20_000;
const TASKS: i64 = 2;
const CLASSES: [(i16, &str); 3] = [(1, "events_ledger"), (2, "events_operational"), (3, "events_telemetry")];
/// Microseconds between Unix' epoch and Postgres'.
const EPOCH_SHIFT_US: i64 = 946_684_800_000_000;

pub struct Filling {
    sample: Sample,
    began: DateTime<Utc>,
    /// What the columns of a copied row are, by whether the payload's hash is one of them.
    hashed: bool,
}

/// Fills an empty log. Streams and head are as they would be.
pub async fn fill(pool: &PgPool, sample: Sample, events: i64, mut told: impl FnMut(i64)) -> anyhow::Result<()> {
    let hashed = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'events'::regclass AND attname = 'payload_hash')",
    );
    let hashed = hashed.fetch_one(pool).await?;
    let began = "2025-06-01T10:00:00Z".parse()?;
    let filling = std::sync::Arc::new(Filling { sample, began, hashed });
    // The ranges lie ahead of the head.
    sqlx::query("UPDATE log_head SET position = $1, recorded_at = $2")
        .bind(events)
        .bind(filling.recorded_at(events))
        .execute(pool)
        .await?;
    sqlx::query("SELECT log_make_ranges(10000000, 2)").execute(pool).await?;
    let mut tasks = JoinSet::new();
    let mut next = 1;
    let mut done = 0;
    while next <= events || !tasks.is_empty() {
        while next <= events && tasks.len() < TASKS as usize {
            let upto = events.min(next + CHUNK_EVENTS - 1);
            let (pool, filling, from) = (pool.clone(), std::sync::Arc::clone(&filling), next);
            tasks.spawn(async move { filling.write(&pool, from, upto).await.map(|()| upto - from + 1) });
            next = upto + 1;
        }
        if let Some(written) = tasks.join_next().await {
            done += written??;
            told(done);
        }
    }
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    transaction.execute("SET LOCAL work_mem = '512MB'").await?;
    transaction.execute(include_str!("streams.sql")).await.context("the streams")?;
    transaction.commit().await?;
    pool.execute("ANALYZE events").await?;
    Ok(())
}

impl Filling {
    fn recorded_at(&self, position: i64) -> DateTime<Utc> {
        self.began + TimeDelta::milliseconds(10 * position)
    }

    async fn write(&self, pool: &PgPool, from: i64, upto: i64) -> anyhow::Result<()> {
        let mut rows = CLASSES.map(|_| b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec());
        for position in from..=upto {
            self.row(position, &mut rows);
        }
        for ((_, table), mut rows) in CLASSES.into_iter().zip(rows) {
            rows.extend_from_slice(&(-1_i16).to_be_bytes());
            let hash = if self.hashed { ", payload_hash" } else { "" };
            let statement = format!(
                "COPY {table} (position, sequence, generation, recorded_at, event_id, partition_key, retention, \
                 partition, aggregate_type, aggregate_id, event_type, event_version, payload, metadata{hash}) FROM \
                 STDIN (FORMAT binary)"
            );
            let mut copy = pool.copy_in_raw(&statement).await?;
            copy.send(rows).await?;
            copy.finish().await?;
        }
        Ok(())
    }

    fn row(&self, position: i64, rows: &mut [Vec<u8>; 3]) {
        let (beginning, session) = (self.sample.beginning.len() as i64, self.sample.session.len() as i64);
        // All chargers begin, event by event; then a round of sessions after the other.
        let nth = position - 1;
        let charger = nth % CHARGERS;
        let step = nth / CHARGERS;
        let (sampled, round) = if step < beginning {
            (&self.sample.beginning[step as usize], 0)
        } else {
            let step = step - beginning;
            (&self.sample.session[(step % session) as usize], step / session)
        };
        let earlier = match (step < beginning, sampled.stream) {
            (false, stream @ (Who::ChargePoint | Who::Driver)) => {
                Sample::of_stream(&self.sample.beginning, stream)
                    + round * Sample::of_stream(&self.sample.session, stream)
            }
            _ => 0,
        };
        let Some(out) = CLASSES.iter().position(|(code, _)| *code == sampled.retention) else { return };
        let out = &mut rows[out];
        let id = |who: Who| id(who, charger, round);
        let text = |who: Who| uuid_text(id(who));
        let Sampled { aggregate, stream, key, nth, event_type, event_version, retention, payload, metadata } = sampled;
        let columns: i16 = if self.hashed { 15 } else { 14 };
        out.extend_from_slice(&columns.to_be_bytes());
        field(out, &position.to_be_bytes());
        field(out, &(earlier + nth).to_be_bytes());
        field(out, &1_i64.to_be_bytes());
        field(out, &(self.recorded_at(position).timestamp_micros() - EPOCH_SHIFT_US).to_be_bytes());
        field(out, id_of(7, position as u64).as_bytes());
        let key = id(*key);
        field(out, key.as_bytes());
        field(out, &retention.to_be_bytes());
        field(out, &i16::from(partition(key).number()).to_be_bytes());
        field(out, aggregate.as_str().as_bytes());
        field(out, &text(*stream));
        field(out, event_type.as_bytes());
        field(out, event_version.as_bytes());
        let payload = json(out, |out| payload.write(out, text));
        json(out, |out| metadata.write(out, text));
        if self.hashed {
            let digest = payload_hash(&out[payload]);
            field(out, &digest);
        }
    }
}

/// As the event store takes it: the first half of the SHA-256 of the payload's text.
fn payload_hash(payload: &[u8]) -> [u8; 16] {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(payload);
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Answers where it stands.
fn json(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> std::ops::Range<usize> {
    let length = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let bytes = (out.len() - length - 4) as i32;
    out[length..length + 4].copy_from_slice(&bytes.to_be_bytes());
    length + 4..out.len()
}

fn id(who: Who, charger: i64, round: i64) -> Uuid {
    let (kind, number) = match who {
        Who::ChargePoint => (1, charger),
        Who::Driver => (2, charger),
        Who::Session => (3, round * CHARGERS + charger),
        Who::Start => (4, round * CHARGERS + charger),
        Who::Stop => (5, round * CHARGERS + charger),
        Who::Transaction => (6, round * CHARGERS + charger),
    };
    id_of(kind, number as u64)
}

/// As version 7 has them: in the order in which they were made.
fn id_of(kind: u64, number: u64) -> Uuid {
    const BEGAN_MS: u128 = 1_748_772_000_000;
    // SplitMix64, for the random part.
    let mut mixed = (number ^ (kind << 56)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let time = (BEGAN_MS + u128::from(number)) << 80;
    Uuid::from_u128(time | 0x7 << 76 | u128::from(kind) << 64 | 0b10 << 62 | u128::from(mixed >> 2))
}

fn uuid_text(id: Uuid) -> [u8; 36] {
    let mut text = [0; 36];
    id.hyphenated().encode_lower(&mut text);
    text
}
