use schema::api::query;
use schema::view::TariffRow;

use super::At;

pub fn compose(row: At<'_, TariffRow>) -> Option<query::Tariff> {
    let published = &row.row.tariff;
    let tariff = published.tariff.as_ref()?;
    Some(query::Tariff {
        tariff_id: row.row.tariff_id.to_string(),
        version: published.version,
        name: published.name.clone(),
        tariff: serde_json::to_value(tariff).expect("a tariff has string keys and finite numbers"),
        published_at: row.row.published_at.into(),
        position: row.position.0,
    })
}
