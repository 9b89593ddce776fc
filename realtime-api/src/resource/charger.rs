//! A charger: its charge point, where that stands, and what charging costs there.

use domain::charge_point::ChargePoint;
use domain::id::{DriverId, EvseUid, Outlet};
use domain::outlet::{Connector, Evse, OutletStatus};
use domain::tariff::{ComponentType, Tariff};
use schema::api::query::{self, Address, ChargerConnector, ChargerSite, Coordinates, Money, Price};
use schema::log::Position;
use schema::view::{ChargePointRow, SiteRow, TariffRow};

use super::At;
use crate::directory::{Placed, Places};

/// Who looks at a charger: it decides whose sessions are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    Public,
    Own(DriverId),
    Operator,
}

/// None while nobody registered it.
pub fn compose(row: At<'_, ChargePointRow>, places: &Places, face: Face) -> Option<query::Charger> {
    let point = &row.row.charge_point;
    let identity = point.identity.as_ref()?;
    let surroundings = Surroundings::of(point, places);
    let connectors: Vec<_> = point.evses.iter().flat_map(|evse| of_evse(row.row, evse, face)).collect();
    let own = point.own_report.as_ref().and_then(|report| report.at).map(Into::into);
    let latest = connectors.iter().filter_map(|connector| connector.status_at).max().max(own);
    Some(query::Charger {
        charger_id: identity.to_string(),
        online: point.online,
        status: overall(point).as_str().to_owned(),
        status_at: latest.max(point.online_changed_at.map(Into::into)),
        site: surroundings.site.and_then(|site| site_of(&site.row)),
        price: surroundings.tariff.and_then(|tariff| price_of(&tariff.row)),
        vendor: point.boot.as_ref().map(|boot| boot.vendor.clone()),
        model: point.boot.as_ref().map(|boot| boot.model.clone()),
        connectors,
        position: position(row, places).0,
    })
}

/// Of the charge point, its site and the site's tariff the highest.
pub fn position(row: At<'_, ChargePointRow>, places: &Places) -> Position {
    let surroundings = Surroundings::of(&row.row.charge_point, places);
    let site = surroundings.site.map(|site| site.position);
    let tariff = surroundings.tariff.map(|tariff| tariff.position);
    row.position.max(site.unwrap_or_default()).max(tariff.unwrap_or_default())
}

struct Surroundings<'p> {
    site: Option<&'p Placed<SiteRow>>,
    tariff: Option<&'p Placed<TariffRow>>,
}

impl<'p> Surroundings<'p> {
    fn of(point: &ChargePoint, places: &'p Places) -> Self {
        let site = point.site_id.and_then(|id| places.site(id));
        let tariff_id = site.and_then(|site| site.row.site.details.as_ref()).and_then(|details| details.tariff_id);
        Self { site, tariff: tariff_id.and_then(|id| places.tariff(id)) }
    }
}

fn of_evse(row: &ChargePointRow, evse: &Evse, face: Face) -> impl Iterator<Item = ChargerConnector> {
    let point = &row.charge_point;
    let evse_id = evse.evse_id;
    let session_id = point.claims.get(&evse_id).filter(|claim| match face {
        Face::Public => false,
        Face::Own(driver_id) => claim.driver_id == Some(driver_id),
        Face::Operator => true,
    });
    let session_id = session_id.map(|claim| claim.session_id.to_string());
    let evse_uid = EvseUid { charge_point_id: row.charge_point_id, evse_id }.to_string();
    let by_connector = point.numbers_by_connector();
    evse.connectors.iter().map(move |connector| {
        let outlet = Outlet { evse_id, connector_id: connector.connector_id };
        let report = point.report_of(outlet);
        ChargerConnector {
            connector_id: if by_connector { outlet.connector_id.0 } else { evse_id.0 },
            evse_id: evse_id.0,
            evse_uid: evse_uid.clone(),
            kind: connector.kind.clone(),
            max_power_w: connector.max_power_w,
            status: point.status_of(outlet).as_str().to_owned(),
            ocpp_status: report.map(|report| report.ocpp_status.clone()),
            error_code: report.and_then(|report| report.error_code.clone()),
            status_at: report.and_then(|report| report.at).map(Into::into),
            session_id: session_id.clone(),
        }
    })
}

/// The words by what they say to somebody who wants to charge.
const BY_INTEREST: [OutletStatus; 9] = [
    OutletStatus::Available,
    OutletStatus::Charging,
    OutletStatus::Suspended,
    OutletStatus::Occupied,
    OutletStatus::Preparing,
    OutletStatus::Finishing,
    OutletStatus::Reserved,
    OutletStatus::Faulted,
    OutletStatus::Unavailable,
];

/// A charge point that says it is out of order as a whole is so, whatever its connectors said before.
pub fn overall(point: &ChargePoint) -> OutletStatus {
    if let Some(own @ (OutletStatus::Faulted | OutletStatus::Unavailable)) = point.own_status() {
        return own;
    }
    let outlet =
        |evse: &Evse, connector: &Connector| Outlet { evse_id: evse.evse_id, connector_id: connector.connector_id };
    let statuses: Vec<_> = point
        .evses
        .iter()
        .flat_map(|evse| evse.connectors.iter().map(move |connector| outlet(evse, connector)))
        .map(|outlet| point.status_of(outlet))
        .collect();
    BY_INTEREST.into_iter().find(|word| statuses.contains(word)).unwrap_or_default()
}

fn site_of(row: &SiteRow) -> Option<ChargerSite> {
    let details = row.site.details.as_ref()?;
    Some(ChargerSite {
        site_id: row.site_id.to_string(),
        name: details.name.clone(),
        address: address(&details.address),
        coordinates: details.coordinates.map(coordinates),
        time_zone: details.time_zone.name().to_owned(),
    })
}

pub fn address(address: &domain::site::Address) -> Address {
    Address {
        street: address.street.clone(),
        postal_code: address.postal_code.clone(),
        city: address.city.clone(),
        country: address.country.clone(),
    }
}

pub fn coordinates(coordinates: domain::site::Coordinates) -> Coordinates {
    Coordinates { latitude: coordinates.latitude, longitude: coordinates.longitude }
}

fn price_of(row: &TariffRow) -> Option<Price> {
    let tariff = row.tariff.tariff.as_ref()?;
    Some(Price {
        tariff_id: row.tariff_id.to_string(),
        version: row.tariff.version,
        name: row.tariff.name.clone(),
        tax_included: tariff.tax_included,
        per_kwh: usual(tariff, ComponentType::Energy),
        per_hour: usual(tariff, ComponentType::Time),
        parking_per_hour: usual(tariff, ComponentType::ParkingTime),
        flat: usual(tariff, ComponentType::Flat),
        varies: tariff.elements.iter().any(|element| !element.restrictions.is_empty()),
    })
}

/// The price that holds where no restriction does; where all are restricted, the first.
fn usual(tariff: &Tariff, kind: ComponentType) -> Option<Money> {
    let priced = |unrestricted: bool| {
        tariff
            .elements
            .iter()
            .filter(move |element| !unrestricted || element.restrictions.is_empty())
            .flat_map(|element| &element.price_components)
            .find(|component| component.kind == kind)
    };
    let component = priced(true).or_else(|| priced(false))?;
    Some(Money::exact(component.price, tariff.currency))
}
