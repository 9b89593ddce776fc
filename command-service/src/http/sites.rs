//! Sites, as an operator describes them.

use application::command;
use domain::site;
use schema::api::command::{Address, Coordinates, RegisterSite};

use super::answer::Answer;
use super::command::Command;
use super::openapi::{KeyDocument, Refusals, TakenDocument};

/// Add a site, or change one.
#[utoipa::path(post, path = "/api/sites", tag = "operators", request_body = RegisterSite,
    params(KeyDocument), responses(TakenDocument, Refusals))]
pub(super) async fn register_site(command: Command<RegisterSite>) -> Answer {
    let RegisterSite { site_id, name, address, coordinates, time_zone, currency, tariff_id } = command.body.clone();
    let Address { street, postal_code, city, country } = address;
    let details = site::SiteDetails {
        name,
        address: site::Address { street, postal_code, city, country },
        coordinates: coordinates.map(|Coordinates { latitude, longitude }| site::Coordinates { latitude, longitude }),
        time_zone,
        currency,
        tariff_id,
    };
    let request = command::RegisterSite { site_id, details };
    let accepted = command::register_site(command.application(), &command.context, request).await?;
    Ok(command.taken(accepted).await)
}
