//! What people call things: chargers by their identity, event types in either spelling.

use std::collections::HashMap;

use anyhow::bail;
use domain::event::AggregateType;
use pool::Pool;
use schema::columns;
use uuid::Uuid;

/// Charge points whose identity is remembered. Past that they are shown by their ids.
const IDENTITIES_MAX: usize = 100_000;

/// What an event type is stored as: `SessionPriced`, or `session_priced` as its table is called.
pub fn event_type(text: &str) -> Result<String, String> {
    let of_name =
        |name: &str| columns::tables().iter().find(|t| t.name == name || t.event_type.eq_ignore_ascii_case(name));
    if let Some(table) = of_name(text) {
        return Ok(table.event_type.to_owned());
    }
    let word = text.to_lowercase().replace('_', "");
    let near = columns::tables().iter().filter(|table| table.event_type.to_lowercase().contains(&word));
    let near: Vec<_> = near.map(|table| table.event_type).take(5).collect();
    Err(match near.as_slice() {
        [] => "is no event type; `coulomb events tail -n 100` shows which there are".to_owned(),
        near => format!("is no event type; there is {}", near.join(", ")),
    })
}

pub fn aggregate(text: &str) -> Result<AggregateType, String> {
    let found = AggregateType::ALL.iter().find(|aggregate| aggregate.as_str().eq_ignore_ascii_case(text));
    found.copied().ok_or_else(|| {
        let all: Vec<_> = AggregateType::ALL.iter().map(|aggregate| aggregate.as_str()).collect();
        format!("is none of {}", all.join(", "))
    })
}

/// The charge point that calls itself so, of whichever network.
pub async fn charge_point(pool: &Pool, identity: &str) -> anyhow::Result<Option<Uuid>> {
    let select = "SELECT charge_point_id FROM charger_registry WHERE identity = $1 ORDER BY charge_point_id LIMIT 2";
    let found: Vec<Uuid> = sqlx::query_scalar(select).bind(identity).fetch_all(pool).await?;
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        _ => bail!("several networks have a charger {identity}: give its id ({}, ...)", found[0]),
    }
}

/// An id as it is, or that of the charger of this identity.
pub async fn id(pool: &Pool, text: &str) -> anyhow::Result<Uuid> {
    if let Ok(id) = Uuid::parse_str(text) {
        return Ok(id);
    }
    match charge_point(pool, text).await? {
        Some(id) => Ok(id),
        None => bail!("{text} is neither an id nor a charger: `coulomb events tail` shows the ids of streams"),
    }
}

/// Identities of charge points, for lines that people read.
pub struct Identities(HashMap<Uuid, String>);

impl Identities {
    pub async fn load(pool: &Pool) -> anyhow::Result<Self> {
        let select = format!("SELECT charge_point_id, identity FROM charger_registry LIMIT {IDENTITIES_MAX}");
        let rows: Vec<(Uuid, String)> = sqlx::query_as(&select).fetch_all(pool).await?;
        Ok(Self(rows.into_iter().collect()))
    }

    pub fn of(&self, id: Uuid) -> Option<&str> {
        self.0.get(&id).map(String::as_str)
    }
}
