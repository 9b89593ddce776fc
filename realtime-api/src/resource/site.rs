use schema::api::query;
use schema::view::SiteRow;

use super::At;
use super::charger::{address, coordinates};

pub fn compose(row: At<'_, SiteRow>) -> Option<query::Site> {
    let details = row.row.site.details.as_ref()?;
    Some(query::Site {
        site_id: row.row.site_id.to_string(),
        name: details.name.clone(),
        address: address(&details.address),
        coordinates: details.coordinates.map(coordinates),
        time_zone: details.time_zone.name().to_owned(),
        currency: details.currency.to_string(),
        tariff_id: details.tariff_id.map(|id| id.to_string()),
        registered_at: row.row.registered_at.into(),
        position: row.position.0,
    })
}
