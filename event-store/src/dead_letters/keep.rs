//! Keeping records that could not be decoded.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schema::record::header;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::database::Database;
use crate::kafka::dead_letters::{DeadLetters, DeadRecord, Keeping};

/// Records that may wait: further ones are counted, and stand in Kafka.
const WAITING_MAX: i64 = 10_000;
/// Bytes that are kept of a value, and of a key or header.
const VALUE_BYTES_MAX: usize = 64 * 1024;
const KEY_BYTES_MAX: usize = 1024;
const HEADERS_MAX: usize = 32;
const ERROR_CHARS_MAX: usize = 2_000;

/// Keeps records in the table.
pub struct Keeper {
    database: Database,
    /// What can't be kept is said once, until it can be again.
    complained: AtomicBool,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Keeper {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, complained: AtomicBool::new(false) }
    }

    /// Whether it is in the table now; not, when too many wait.
    pub(crate) async fn try_keep(&self, record: &DeadRecord) -> Result<bool, sqlx::Error> {
        let hash = hash(record);
        let text_of = |name: &str| {
            let found = record.headers.iter().rev().find(|(found, _)| found == name)?;
            std::str::from_utf8(found.1.as_deref()?).ok()
        };
        let position = text_of(header::POSITION).and_then(|text| text.parse::<i64>().ok());
        let event_type = text_of(header::TYPE).map(|text| storable(text, 200));
        let headers: Vec<Value> = record.headers.iter().take(HEADERS_MAX).map(header_json).collect();
        let value_bytes = record.value.as_ref().map(|value| i32::try_from(value.len()).unwrap_or(i32::MAX));
        let statement = sqlx::query(include_str!("keep.sql"))
            .bind(storable(&record.error, ERROR_CHARS_MAX))
            .bind(position)
            .bind(event_type)
            .bind(&record.topic)
            .bind(record.partition)
            .bind(record.offset)
            .bind(&hash[..])
            .bind(sqlx::types::Json(headers))
            .bind(record.key.as_deref().map(|key| start(key, KEY_BYTES_MAX)))
            .bind(record.value.as_deref().map(|value| start(value, VALUE_BYTES_MAX)))
            .bind(value_bytes)
            .bind(WAITING_MAX);
        if self.database.execute(statement).await? == 1 {
            return Ok(true);
        }
        let statement = sqlx::query(include_str!("is_kept.sql"));
        let statement = statement.bind(&record.topic).bind(record.partition).bind(record.offset).bind(&hash[..]);
        let found = self.database.fetch_optional(statement).await?;
        found.map_or(Ok(false), |row| sqlx::Row::try_get(&row, 0))
    }
}

#[async_trait]
impl DeadLetters for Keeper {
    async fn keep(&self, record: &DeadRecord) -> Keeping {
        let DeadRecord { topic, partition, offset, .. } = record;
        match self.try_keep(record).await {
            Ok(true) => {
                self.complained.store(false, Ordering::Relaxed);
                Keeping::Done
            }
            Ok(false) => {
                metrics::counter!("coulomb_dead_letters_refused_total").increment(1);
                if !self.complained.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        topic,
                        partition,
                        offset,
                        "{WAITING_MAX} undecodable records wait: further ones are only counted"
                    );
                }
                Keeping::Done
            }
            Err(error) if is_of_the_record(&error) => {
                metrics::counter!("coulomb_dead_letters_refused_total").increment(1);
                tracing::error!(topic, partition, offset, %error, "an undecodable record can't be kept as it is");
                Keeping::Done
            }
            Err(error) => {
                if !self.complained.swap(true, Ordering::Relaxed) {
                    tracing::warn!(topic, partition, offset, %error, "an undecodable record can't be kept now, and waits");
                }
                match self.database.pool.is_closed() {
                    true => Keeping::Done,
                    false => Keeping::Later,
                }
            }
        }
    }
}

/// Whether the table takes everything but this: it can't be stored, breaks a constraint, or is too large.
fn is_of_the_record(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
}

/// By which a record is known that stands at the same place as another one.
fn hash(record: &DeadRecord) -> [u8; 16] {
    let mut hash = Sha256::new();
    let mut add = |bytes: Option<&[u8]>| match bytes {
        None => hash.update([0]),
        Some(bytes) => {
            hash.update([1]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
    };
    add(record.key.as_deref());
    add(record.value.as_deref());
    for (name, value) in &record.headers {
        add(Some(name.as_bytes()));
        add(value.as_deref());
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

fn header_json((name, value): &(String, Option<Vec<u8>>)) -> Value {
    let name = storable(name, KEY_BYTES_MAX);
    match value.as_deref().map(|value| start(value, KEY_BYTES_MAX)) {
        None => json!({"name": name, "value": null}),
        Some(value) => match std::str::from_utf8(value) {
            Ok(text) if !text.contains('\0') => json!({"name": name, "value": text}),
            _ => json!({"name": name, "value_base64": STANDARD.encode(value)}),
        },
    }
}

fn start(bytes: &[u8], max: usize) -> &[u8] {
    bytes.get(..max).unwrap_or(bytes)
}

/// Postgres takes no NUL in a text.
fn storable(text: &str, chars_max: usize) -> String {
    text.chars().map(|c| if c == '\0' { '\u{fffd}' } else { c }).take(chars_max).collect()
}
