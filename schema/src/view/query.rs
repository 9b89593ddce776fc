//! What can be asked of the table of a read model.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::row::{Model, RowChange};
use crate::log::Position;

/// A column that rows are found by (migration 0200).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    TenantId,
    Identity,
    SiteId,
    DriverId,
    ChargePointId,
    SessionId,
    TransactionId,
    State,
    RequestedByKind,
    RequestedById,
    RequestedAt,
}

impl Column {
    pub const fn name(self) -> &'static str {
        match self {
            Self::TenantId => "tenant_id",
            Self::Identity => "identity",
            Self::SiteId => "site_id",
            Self::DriverId => "driver_id",
            Self::ChargePointId => "charge_point_id",
            Self::SessionId => "session_id",
            Self::TransactionId => "transaction_id",
            Self::State => "state",
            Self::RequestedByKind => "requested_by_kind",
            Self::RequestedById => "requested_by_id",
            Self::RequestedAt => "requested_at",
        }
    }
}

impl Model {
    /// The columns its table has beside those of every table.
    pub const fn columns(self) -> &'static [Column] {
        use Column::*;
        match self {
            Self::ChargePoints => &[TenantId, Identity, SiteId],
            Self::Sessions => &[TenantId, DriverId, ChargePointId, State, TransactionId],
            Self::MeterValues => &[TenantId, SessionId],
            Self::Commands => &[TenantId, RequestedByKind, RequestedById, ChargePointId, SessionId, State, RequestedAt],
            Self::Tokens => &[TenantId, DriverId],
            Self::Drivers | Self::Sites | Self::Tariffs | Self::Plans => &[TenantId],
        }
    }
}

/// The order of a list. Ids of sessions begin with their time, so the newest have the highest keys.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    #[default]
    KeyAscending,
    KeyDescending,
    /// Of charge points, by what they call themselves.
    IdentityAscending,
    /// Of commands, the newest first. Their ids need not begin with their time: clients choose them.
    RequestedAtDescending,
}

impl Order {
    /// The column that rows are sorted by before their key.
    pub(super) const fn column(self) -> Option<Column> {
        match self {
            Self::KeyAscending | Self::KeyDescending => None,
            Self::IdentityAscending => Some(Column::Identity),
            Self::RequestedAtDescending => Some(Column::RequestedAt),
        }
    }

    pub(super) const fn descends(self) -> bool {
        match self {
            Self::KeyAscending | Self::IdentityAscending => false,
            Self::KeyDescending | Self::RequestedAtDescending => true,
        }
    }
}

/// After which row a page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// What the list is sorted by, where that is not the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    pub key: String,
}

/// Rows in a page, unless another number is asked for; and the most there are.
pub const PAGE_ROWS: u32 = 50;
pub const PAGE_ROWS_MAX: u32 = 10_000;

/// Rows of one read model: those for which every condition holds.
#[derive(Debug, Clone)]
pub struct Query {
    pub(super) model: Model,
    pub(super) conditions: Vec<(Column, Vec<String>)>,
    pub(super) key_prefix: Option<String>,
    pub(super) changed_after: Option<Position>,
    pub(super) order: Order,
    pub(super) after: Option<Cursor>,
    pub(super) limit: u32,
}

impl Query {
    pub fn of(model: Model) -> Self {
        Self {
            model,
            conditions: vec![],
            key_prefix: None,
            changed_after: None,
            order: Order::default(),
            after: None,
            limit: PAGE_ROWS,
        }
    }

    #[must_use]
    pub fn with(self, column: Column, value: impl ToString) -> Self {
        self.with_any(column, [value])
    }

    #[must_use]
    pub fn with_any<V: ToString>(mut self, column: Column, values: impl IntoIterator<Item = V>) -> Self {
        self.conditions.push((column, values.into_iter().map(|value| value.to_string()).collect()));
        self
    }

    /// Of meter values: `<session id>/`.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = Some(prefix.into());
        self
    }

    /// Only what was changed after this position. Then removed rows are among the answers; otherwise they are not.
    #[must_use]
    pub fn changed_after(mut self, position: Position) -> Self {
        self.changed_after = Some(position);
        self
    }

    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    #[must_use]
    pub fn after(mut self, cursor: Option<Cursor>) -> Self {
        self.after = cursor;
        self
    }

    /// At most [`PAGE_ROWS_MAX`].
    #[must_use]
    pub fn limit(mut self, rows: u32) -> Self {
        self.limit = rows.clamp(1, PAGE_ROWS_MAX);
        self
    }
}

/// The same in memory as by the statements of the tables, for rows that no table holds.
impl Query {
    pub fn model(&self) -> Model {
        self.model
    }

    pub fn rows_max(&self) -> u32 {
        self.limit
    }

    /// Whether a row is in the list, after where it is to begin.
    pub fn admits(&self, change: &RowChange) -> bool {
        let removed = match self.changed_after {
            Some(position) => change.position <= position,
            None => change.removed,
        };
        if removed || change.row.model() != self.model {
            return false;
        }
        if self.key_prefix.as_ref().is_some_and(|prefix| !change.key.starts_with(prefix)) {
            return false;
        }
        let holds = |(column, values): &(Column, Vec<String>)| {
            change.row.column(*column).is_some_and(|value| values.contains(&value))
        };
        self.conditions.iter().all(holds)
            && self.after.as_ref().is_none_or(|after| self.compare(after, &self.cursor(change)) == Ordering::Less)
    }

    /// Where a row stands in the list.
    pub fn cursor(&self, change: &RowChange) -> Cursor {
        Cursor { sort: self.order.column().and_then(|column| change.row.column(column)), key: change.key.clone() }
    }

    /// Which of two comes first.
    pub fn compare(&self, a: &Cursor, b: &Cursor) -> Ordering {
        let ascending = (&a.sort, &a.key).cmp(&(&b.sort, &b.key));
        if self.order.descends() { ascending.reverse() } else { ascending }
    }
}
