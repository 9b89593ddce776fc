//! Who calls: from the token, their account (which is not history) and their driver's row.

use application::auth::Caller;
use chrono::{DateTime, Utc};
use pool::Pool;
use schema::api::person::{ExportedAccount, ExportedDevice};
use schema::api::query;
use schema::log::Position;
use schema::view::DriverRow;
use uuid::Uuid;

use super::At;
use crate::directory::Places;

/// What the account says of its owner, to its owner.
#[derive(Debug, Default)]
pub struct AccountRow {
    pub email: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
}

pub async fn account(pool: &Pool, caller: &Caller) -> Result<AccountRow, sqlx::Error> {
    let row = sqlx::query_as("SELECT email, name, phone FROM accounts WHERE user_id = $1");
    let row: Option<(Option<String>, Option<String>, Option<String>)> =
        row.bind(caller.user_id).fetch_optional(pool).await?;
    Ok(row.map(|(email, name, phone)| AccountRow { email, name, phone }).unwrap_or_default())
}

/// The account of a driver as it is, for its owner; none when they were erased.
pub async fn exported_account(pool: &Pool, user_id: Uuid) -> Result<Option<ExportedAccount>, sqlx::Error> {
    type Row = (String, String, Option<String>, DateTime<Utc>);
    let row: Option<Row> = sqlx::query_as("SELECT email, name, phone, created_at FROM accounts WHERE user_id = $1")
        .bind(user_id)
        .fetch_optional(pool)
        .await?;
    let Some((email, name, phone, created_at)) = row else { return Ok(None) };
    let devices: Vec<(Option<String>, DateTime<Utc>)> =
        sqlx::query_as("SELECT device_id, rotated_at FROM refresh_families WHERE user_id = $1 ORDER BY rotated_at")
            .bind(user_id)
            .fetch_all(pool)
            .await?;
    let device = |(device_id, seen): (_, DateTime<Utc>)| ExportedDevice { device_id, last_seen_at: seen.into() };
    let devices = devices.into_iter().map(device).collect();
    Ok(Some(ExportedAccount { email, name, phone, created_at: created_at.into(), devices }))
}

pub fn compose(caller: &Caller, account: AccountRow, driver: Option<At<'_, DriverRow>>, places: &Places) -> query::Me {
    let plan_id = driver.and_then(|driver| driver.row.driver.plan_id);
    let plan = plan_id.and_then(|id| places.plan(id));
    let details = plan.and_then(|plan| plan.row.plan.details.as_ref());
    let position = driver.map(|driver| driver.position).max(plan.map(|plan| plan.position));
    query::Me {
        user_id: caller.user_id.to_string(),
        role: caller.role.as_str().to_owned(),
        driver_id: caller.driver_id().map(|id| id.to_string()),
        email: account.email,
        name: account.name,
        phone: account.phone,
        plan: plan_id.map(|id| query::MePlan {
            plan_id: id.to_string(),
            name: details.map(|details| details.name.clone()),
            tariff_id: details.and_then(|details| details.tariff_id).map(|id| id.to_string()),
        }),
        position: position.unwrap_or(Position::START).0,
    }
}
