//! A small network: a site with its tariff, a plan, and a charger whose edge this is.

use application::report::{self, Circumstances, Link, StartTransaction, Started, Status};
use domain::charge_point::StatusReport;
use domain::envelope::{ReportTimes, TimeSource};
use domain::id::{ChargePointIdentity, ConnectorId, EvseId, Outlet, TenantId};
use serde_json::{Value, json};

use crate::service::{Service, User};

pub struct Network {
    pub site_id: String,
    pub tariff_id: String,
    pub plan_id: String,
}

pub fn tariff() -> Value {
    json!({
        "name": "Day", "currency": "EUR", "tax_included": true,
        "taxes": [{"name": "VAT", "percent": 19}],
        "elements": [{"price_components": [{"type": "ENERGY", "price": "0.49"}]}],
    })
}

pub fn site(tariff_id: &str) -> Value {
    json!({
        "name": "Harbour", "address": {"street": "Am Kai 1", "city": "Hamburg", "country": "DE"},
        "coordinates": {"latitude": 53.54, "longitude": 9.98}, "time_zone": "Europe/Berlin", "currency": "EUR",
        "tariff_id": tariff_id,
    })
}

impl Network {
    pub async fn publish(operator: &User<'_>) -> Self {
        let tariff_id = operator.post("/api/tariffs", tariff()).await.taken().text("tariff_id");
        let site_id = operator.post("/api/sites", site(&tariff_id)).await.taken().text("site_id");
        let plan_id = operator.post("/api/plans", json!({"name": "Regular"})).await.taken().text("plan_id");
        Self { site_id, tariff_id, plan_id }
    }

    /// A charger of two EVSEs.
    pub async fn charger(&self, operator: &User<'_>, charger_id: &str) {
        let evse = |evse_id| json!({"evse_id": evse_id, "connectors": [{"connector_id": 1, "type": "IEC_62196_T2"}]});
        let body = json!({"charger_id": charger_id, "site_id": self.site_id, "evses": [evse(1), evse(2)]});
        operator.post("/api/chargers", body).await.taken();
    }

    pub async fn driver<'a>(&self, operator: &User<'a>, name: &str) -> User<'a> {
        let driver = operator.service.register(name).await;
        let path = format!("/api/drivers/{}/plan", driver.user_id());
        operator.post(&path, json!({"plan_id": self.plan_id})).await.taken();
        driver
    }
}

/// The charger's own side.
pub async fn connect(service: &Service, charger_id: &str) -> Link {
    let identity = ChargePointIdentity::parse(charger_id).unwrap();
    let entry = service.application.chargers().find(TenantId::DEFAULT, &identity).await.unwrap().unwrap();
    let (id, now) = (entry.charge_point_id, service.clock.now());
    report::connect(&service.application, TenantId::DEFAULT, id, "ocpp1.6", "test", None, now).await.unwrap()
}

pub fn outlet(n: u32) -> Outlet {
    Outlet { evse_id: EvseId(n), connector_id: ConnectorId(1) }
}

pub fn live(service: &Service) -> Circumstances {
    let now = service.clock.now();
    let device_at = Some(now.to_rfc3339());
    let times = ReportTimes { received_at: now, device_at, occurred_at: Some(now), source: TimeSource::Device };
    Circumstances { times, trace_id: None }
}

pub async fn report_status(service: &Service, link: &Link, n: u32, ocpp_status: &str) {
    let report = StatusReport {
        outlet: Some(outlet(n)),
        ocpp_status: ocpp_status.to_owned(),
        error_code: None,
        info: None,
        vendor_id: None,
        vendor_error_code: None,
        at: Some(service.clock.now()),
    };
    link.status(&live(service), Status { report }).await.unwrap();
}

/// The charger begins a transaction by itself.
pub async fn begin(service: &Service, link: &Link, n: u32, id_tag: &str) -> Started {
    let start = StartTransaction {
        outlet: Some(outlet(n)),
        connector: Some(n.into()),
        id_tag: Some(id_tag.to_owned()),
        meter_start_wh: None,
        reservation_id: None,
        offline: false,
    };
    link.start_transaction(&live(service), start).await.unwrap()
}
