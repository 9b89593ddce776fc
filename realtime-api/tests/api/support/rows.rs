use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::charge_point::{ChargePoint, Claim, OutletReport};
use domain::envelope::Actor;
use domain::id::{
    ChargePointId, ChargePointIdentity, CommandId, ConnectorId, DriverId, Epoch, EvseId, Outlet, SessionId, SiteId,
    TariffId, TenantId,
};
use domain::outlet::{Connector, Evse, OutletStatus};
use domain::published_tariff::PublishedTariff;
use domain::session::{ChargingSession, SessionState};
use domain::site::{Address, Site, SiteDetails};
use domain::station_command::CommandState;
use schema::view::{ChargePointRow, CommandRow, Row, SessionRow, SiteRow, TariffRow};
use serde_json::json;
use uuid::Uuid;

const TENANT: TenantId = TenantId::DEFAULT;

pub fn now() -> DateTime<Utc> {
    "2026-03-01T08:15:00Z".parse().expect("a time")
}

/// An online OCPP 1.6 charger with two connectors.
#[derive(Debug, Clone)]
pub struct Point {
    pub id: ChargePointId,
    pub name: &'static str,
    pub status: OutletStatus,
    /// Of the charger itself, and over which connection it came; the one that is open is the first.
    pub own: Option<(OutletStatus, Epoch)>,
    pub site_id: Option<SiteId>,
    pub claim: Option<(SessionId, DriverId)>,
}

impl Point {
    pub fn new(name: &'static str) -> Self {
        let status = OutletStatus::Available;
        Self { id: ChargePointId::generate(), name, status, own: None, site_id: None, claim: None }
    }

    pub fn with(&self, status: OutletStatus) -> Self {
        Self { status, ..self.clone() }
    }

    pub fn row(&self) -> Row {
        let outlets = [1, 2].map(|n| Outlet { evse_id: EvseId(n), connector_id: ConnectorId(1) });
        let evses = outlets.map(|outlet| Evse {
            evse_id: outlet.evse_id,
            connectors: vec![Connector { connector_id: outlet.connector_id, kind: None, max_power_w: None }],
        });
        let report = |outlet, status, epoch| OutletReport {
            outlet,
            status,
            ocpp_status: "Raw".to_owned(),
            error_code: None,
            info: None,
            vendor_error_code: None,
            at: Some(now()),
            epoch,
        };
        let reports = outlets.map(|outlet| report(Some(outlet), self.status, Epoch(1)));
        let claims = self.claim.map(|(session_id, driver_id)| {
            let claim = Claim { session_id, command_id: None, driver_id: Some(driver_id), remote_tag: None };
            (EvseId(2), claim)
        });
        let charge_point = ChargePoint {
            charge_point_id: Some(self.id),
            identity: Some(ChargePointIdentity::parse(self.name).expect("a name")),
            site_id: self.site_id,
            evses: evses.to_vec(),
            own_report: self.own.map(|(status, epoch)| report(None, status, epoch)),
            reports: reports.to_vec(),
            claims: claims.into_iter().collect::<BTreeMap<_, _>>(),
            online: true,
            epoch: Epoch(1),
            protocol: Some("ocpp1.6".to_owned()),
            ..ChargePoint::default()
        };
        Row::ChargePoints(Box::new(ChargePointRow {
            tenant_id: TENANT,
            charge_point_id: self.id,
            charge_point,
            registered_at: now(),
            booted_at: None,
        }))
    }
}

/// A session on the charger's second connector.
pub fn charging(id: SessionId, point: &Point, driver: Uuid, state: SessionState) -> Row {
    let mut session = ChargingSession::default();
    session.session_id = Some(id);
    session.charge_point_id = Some(point.id);
    session.evse_id = Some(EvseId(2));
    session.connector_id = Some(ConnectorId(1));
    session.driver_id = Some(DriverId(driver));
    session.state = state;
    session.requested_at = Some(now());
    Row::Sessions(Box::new(SessionRow { tenant_id: TENANT, session_id: id, session, cost: None, recorded_at: now() }))
}

pub fn command(id: CommandId, point: &Point, driver: Uuid, state: CommandState) -> Row {
    command_at(id, point, driver, state, now())
}

pub fn command_at(id: CommandId, point: &Point, driver: Uuid, state: CommandState, at: DateTime<Utc>) -> Row {
    Row::Commands(Box::new(CommandRow {
        tenant_id: TENANT,
        command_id: id,
        kind: "start_charging".to_owned(),
        charge_point_id: Some(point.id),
        session_id: None,
        state,
        reason: None,
        answer: None,
        requested_by: Actor::driver(DriverId(driver)),
        requested_at: at,
        settled_at: None,
    }))
}

pub fn site(site_id: SiteId, name: &str, tariff_id: Option<TariffId>) -> Row {
    let details = SiteDetails {
        name: name.to_owned(),
        address: Address {
            street: "Street 1".to_owned(),
            postal_code: None,
            city: "Berlin".to_owned(),
            country: "DE".to_owned(),
        },
        coordinates: None,
        time_zone: "Europe/Berlin".parse().expect("a zone"),
        currency: "EUR".parse().expect("a currency"),
        tariff_id,
    };
    let site = Site { details: Some(details) };
    Row::Sites(Box::new(SiteRow { tenant_id: TENANT, site_id, site, registered_at: now() }))
}

/// So much for a kWh.
pub fn tariff(tariff_id: TariffId, price: &str) -> Row {
    let tariff = json!({"currency": "EUR", "tax_included": true,
        "elements": [{"price_components": [{"type": "ENERGY", "price": price}]}]});
    let tariff = PublishedTariff {
        version: 1,
        name: "Day".to_owned(),
        tariff: Some(serde_json::from_value(tariff).expect("a tariff")),
    };
    Row::Tariffs(Box::new(TariffRow { tenant_id: TENANT, tariff_id, tariff, published_at: now() }))
}
