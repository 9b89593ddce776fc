//! Two builds of a read model, row by row, at one position. Positions of rows are left out.

use event_store::PartitionSet;
use schema::log::Position;
use schema::view::Model;
use serde::Serialize;
use serde_json::Value;
use sqlx::{Executor, Row};

use super::builds::{self, Build, BuildState};
use super::{Error, Rebuilder};

/// What a comparison found.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    pub live: Build,
    pub shadow: Build,
    /// Where both were.
    pub position: Position,
    /// Rows of the live build, and of the other one; removed ones are none.
    pub live_rows: i64,
    pub shadow_rows: i64,
    /// Rows that only the live build has.
    pub only_live: i64,
    /// Rows that only the other one has.
    pub only_shadow: i64,
    /// Rows that both have, with another content.
    pub changed: i64,
    /// Some of those that differ, by key.
    pub sample: Vec<Difference>,
}

impl Compared {
    pub fn differing(&self) -> i64 {
        self.only_live + self.only_shadow + self.changed
    }
}

/// A row that differs.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    pub key: String,
    /// None: there is no such row.
    pub live: Option<Value>,
    pub shadow: Option<Value>,
    /// The last event that made it; none where the log no longer has it.
    pub event: Option<MadeBy>,
    /// What differs in it.
    pub parts: Vec<Part>,
}

/// An event, as far as it takes to find it.
#[derive(Debug, Clone, Serialize)]
pub struct MadeBy {
    pub position: Position,
    pub event_type: String,
    pub stream: String,
    pub sequence: i64,
}

/// A member that differs. Null: it is not there, or null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// Names with dots between them, indices in brackets.
    pub path: String,
    pub live: Value,
    pub shadow: Value,
}

impl Rebuilder {
    /// Compares the live build with the one that has joined, in one snapshot. At most `sample` differing rows are answered
    /// whole.
    ///
    /// # Errors
    /// When there is none, or it is not finished.
    pub async fn compare(&self, model: Model, sample: u32) -> Result<Compared, Error> {
        let mut transaction = self.pool.begin().await?;
        transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        let (live, shadow) = pair(builds::read(&mut *transaction, Some(model)).await?, model)?;
        let name = model.name();
        let counted = include_str!("compare_count.sql").replace("{model}", name);
        let counted = sqlx::query(&counted).persistent(false).fetch_one(&mut *transaction).await?;
        let sampled = include_str!("compare_sample.sql").replace("{model}", name);
        let sampled = sqlx::query(&sampled).bind(i64::from(sample)).persistent(false);
        let sampled = sampled.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        let mut differences = vec![];
        for row in sampled {
            let [live, shadow]: [Option<Value>; 2] = [row.try_get(1)?, row.try_get(2)?];
            let parts = parts(live.as_ref().unwrap_or(&Value::Null), shadow.as_ref().unwrap_or(&Value::Null));
            let event = self.made_by(Position(row.try_get(3)?)).await?;
            differences.push(Difference { key: row.try_get(0)?, live, shadow, event, parts });
        }
        Ok(Compared {
            position: live.position,
            live,
            shadow,
            live_rows: counted.try_get(0)?,
            shadow_rows: counted.try_get(1)?,
            only_live: counted.try_get(2)?,
            only_shadow: counted.try_get(3)?,
            changed: counted.try_get(4)?,
            sample: differences,
        })
    }

    async fn made_by(&self, position: Position) -> Result<Option<MadeBy>, Error> {
        let stretch = self.store.read(Position(position.0 - 1), 1, PartitionSet::ALL).await?;
        let event = stretch.events.into_iter().find(|event| event.position == position);
        Ok(event.map(|event| MadeBy {
            position,
            event_type: event.event_type,
            stream: event.stream.to_string(),
            sequence: event.sequence,
        }))
    }
}

/// The live build, and the one beside it that has joined.
pub(super) fn pair(builds: Vec<Build>, model: Model) -> Result<(Build, Build), Error> {
    let (mut live, mut shadow) = (None, None);
    for build in builds {
        match build.state {
            BuildState::Live => live = Some(build),
            BuildState::Joined => shadow = Some(build),
            BuildState::Building => return Err(Error::NotJoined { model, number: build.number }),
        }
    }
    live.zip(shadow).ok_or(Error::NoShadow(model))
}

/// Where two values differ, the deepest members first named by their path.
fn parts(live: &Value, shadow: &Value) -> Vec<Part> {
    let mut found = vec![];
    descend(String::new(), live, shadow, &mut found);
    found
}

fn descend(path: String, live: &Value, shadow: &Value, found: &mut Vec<Part>) {
    match (live, shadow) {
        (Value::Object(one), Value::Object(other)) => {
            let added = other.keys().filter(|name| !one.contains_key(*name));
            for name in one.keys().chain(added) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let of = |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or_default();
                descend(path, &of(one), &of(other), found);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            for index in 0..one.len().max(other.len()) {
                let of = |array: &Vec<Value>| array.get(index).cloned().unwrap_or_default();
                descend(format!("{path}[{index}]"), &of(one), &of(other), found);
            }
        }
        _ if live == shadow => {}
        _ => found.push(Part { path, live: live.clone(), shadow: shadow.clone() }),
    }
}
