//! What the columns of a row hold (migration 0200), taken from the row.

use super::query::Column;
use super::row::Row;

impl Row {
    /// The same as the column's; none where it is null, or the table has no such column.
    pub fn column(&self, column: Column) -> Option<String> {
        use Column as C;
        match (self, column) {
            (Self::ChargePoints(row), C::TenantId) => Some(row.tenant_id.to_string()),
            (Self::Sessions(row), C::TenantId) => Some(row.tenant_id.to_string()),
            (Self::MeterValues(row), C::TenantId) => Some(row.tenant_id.to_string()),
            (Self::Commands(row), C::TenantId) => Some(row.tenant_id.to_string()),
            (Self::Drivers(row), C::TenantId) => Some(row.tenant_id.to_string()),
            (Self::Tokens(row), C::TenantId) => Some(row.tenant_id.to_string()),
            (Self::Sites(row), C::TenantId) => Some(row.tenant_id.to_string()),
            (Self::Tariffs(row), C::TenantId) => Some(row.tenant_id.to_string()),
            (Self::Plans(row), C::TenantId) => Some(row.tenant_id.to_string()),
            (Self::ChargePoints(row), C::Identity) => row.charge_point.identity.as_ref().map(ToString::to_string),
            (Self::ChargePoints(row), C::SiteId) => row.charge_point.site_id.map(|id| id.to_string()),
            (Self::Sessions(row), C::DriverId) => row.session.driver_id.map(|id| id.to_string()),
            (Self::Sessions(row), C::ChargePointId) => row.session.charge_point_id.map(|id| id.to_string()),
            (Self::Sessions(row), C::State) => Some(row.session.state.as_str().to_owned()),
            (Self::Sessions(row), C::TransactionId) => row.session.transaction_id.as_ref().map(ToString::to_string),
            (Self::MeterValues(row), C::SessionId) => Some(row.session_id.to_string()),
            (Self::Commands(row), C::RequestedByKind) => Some(row.requested_by.kind.to_string()),
            (Self::Commands(row), C::RequestedById) => Some(row.requested_by.id.clone()),
            (Self::Commands(row), C::ChargePointId) => row.charge_point_id.map(|id| id.to_string()),
            (Self::Commands(row), C::SessionId) => row.session_id.map(|id| id.to_string()),
            (Self::Commands(row), C::State) => Some(row.state.as_str().to_owned()),
            (Self::Commands(row), C::RequestedAt) => {
                // As it stands in JSON, without its Z.
                let json = serde_json::to_value(row.requested_at).ok()?;
                Some(json.as_str()?.trim_end_matches('Z').to_owned())
            }
            (Self::Tokens(row), C::DriverId) => {
                row.token.details.as_ref().and_then(|details| details.driver_id).map(|id| id.to_string())
            }
            (
                _,
                C::Identity
                | C::SiteId
                | C::DriverId
                | C::ChargePointId
                | C::SessionId
                | C::TransactionId
                | C::State
                | C::RequestedByKind
                | C::RequestedById
                | C::RequestedAt,
            ) => None,
        }
    }
}
