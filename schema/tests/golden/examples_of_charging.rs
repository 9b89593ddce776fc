//! An event of each type, every optional field filled: sessions, people, places and prices.

use domain::disclosure::{Disclosed, DisclosureEvent};
use domain::driver::DriverEvent;
use domain::event::Event;
use domain::id::{ConnectorId, EvseId, TransactionId};
use domain::log::{GenerationReason, LogEvent};
use domain::money::Currency;
use domain::plan::{PlanDetails, PlanEvent};
use domain::published_tariff::{Pricing, TariffEvent};
use domain::read_model::ReadModelEvent;
use domain::session::{
    RecordedReading, RecordedReadings, SessionEvent, SessionRequest, TransactionEnded, TransactionStarted,
};
use domain::site::{Address, Coordinates, SiteDetails, SiteEvent};
use domain::tariff::{PricedSession, Tariff};
use domain::token::{TokenDetails, TokenEvent};
use domain::word::{ChargingState, Flag, StopReason, TriggerReason};
use rust_decimal::Decimal;
use serde_json::json;

use crate::examples::{at, authorization, id, limits, reading, sealed};

fn tariff() -> Tariff {
    Tariff::parse(&json!({
        "currency": "EUR",
        "tax_included": true,
        "taxes": [{"name": "VAT", "percent": 19}],
        "min_price": "0.50",
        "valid_from": "2024-01-01T00:00:00Z",
        "valid_to": "2034-01-01T00:00:00Z",
        "elements": [{
            "price_components": [
                {"type": "ENERGY", "price": "0.49", "step_size": 1},
                {"type": "PARKING_TIME", "price": "6", "step_size": 60},
            ],
            "restrictions": {
                "start_time": "06:00", "end_time": "22:00",
                "start_date": "2024-01-01", "end_date": "2034-01-01",
                "min_kwh": 1.5, "max_kwh": 1000,
                "min_power_w": 1, "max_power_w": 400000,
                "min_duration_s": 60, "max_duration_s": 86400,
                "days_of_week": ["MONDAY", "SUNDAY"],
            },
        }],
    }))
    .expect("a tariff")
}

fn pricing() -> Pricing {
    Pricing { tariff_id: id(10), version: 3, tariff: tariff(), time_zone: chrono_tz::Europe::Berlin }
}

fn priced() -> PricedSession {
    serde_json::from_value(json!({
        "periods": [{
            "from": "2024-05-01T10:00:00Z", "to": "2024-05-01T10:30:00Z", "activity": "charging",
            "energy_wh": "5000", "energy_element": 0, "time_element": 0,
        }],
        "lines": [{
            "kind": "energy", "element": 0, "price": "0.49", "energy_wh": "5000", "billed_energy_wh": "5000",
            "time_s": "1800", "billed_time_s": "1800", "amount": "2.45",
        }],
        "before_taxes": "2.058823529412",
        "taxes": [{"name": "VAT", "percent": 19, "amount": "0.391176470588"}],
        "total": {"amount": "2.45", "currency": "EUR"},
        "estimated": true,
    }))
    .expect("a price")
}

pub fn charging() -> Vec<Event> {
    use SessionEvent as Session;
    let request = SessionRequest {
        session_id: id(8),
        charge_point_id: id(5),
        evse_id: EvseId(1),
        connector_id: Some(ConnectorId(1)),
        command_id: id(9),
        driver_id: Some(id(3)),
        authorization: authorization(),
        remote_tag: "0A1B2C3D4E5F60718293".into(),
        remote_start_id: 5,
        pricing: Some(pricing()),
        requested_at: at(4),
        deadline_at: at(7),
    };
    let started = TransactionStarted {
        session_id: id(8),
        charge_point_id: id(5),
        evse_id: Some(EvseId(1)),
        connector_id: Some(ConnectorId(1)),
        transaction_id: TransactionId("17".into()),
        started_at: Some(at(5)),
        received_at: at(5),
        meter_start_wh: Some(Decimal::new(10_005, 1)),
        content_hash: Some("00112233445566778899aabbccddeeff".into()),
        max_power_w: Some(22_000),
        token_id: Some(id(2)),
        driver_id: Some(id(3)),
        authorization: Some(authorization()),
        pricing: Some(pricing()),
        remote_start_id: Some(5),
        seq_no: Some(0),
        trigger_reason: Some(TriggerReason::REMOTE_START),
        charging_state: Some(ChargingState::CHARGING),
        offline: true,
        reservation_id: Some(11),
        limits: limits(),
        continues_session_id: Some(id(12)),
        flags: vec![Flag::LATE_START, Flag::OFFLINE],
    };
    let readings = RecordedReadings {
        readings: vec![RecordedReading { occurred_at: Some(at(6)), reading: reading() }],
        content_hash: "ffeeddccbbaa99887766554433221100".into(),
        seq_no: Some(1),
        received_at: at(6),
    };
    let ended = TransactionEnded {
        stopped_at: Some(at(30)),
        received_at: at(31),
        meter_stop_wh: Some(Decimal::new(60_005, 1)),
        stop_reason: StopReason::EV_DISCONNECTED,
        token_id: Some(id(2)),
        seq_no: Some(2),
        flags: vec![Flag::REOPENED],
    };
    let events = [
        Session::SessionRequested(Box::new(request)),
        Session::TransactionStarted(Box::new(started)),
        Session::MeterValuesRecorded(readings),
        Session::ChargingStateChanged { charging_state: ChargingState::SUSPENDED_EV, at: Some(at(20)) },
        Session::StopRequested { command_id: id(13), at: at(28) },
        Session::StopFailed { command_id: id(13), detail: "The charger refused.".into() },
        Session::TransactionEnded(ended),
        Session::SessionPriced { revision: 1, priced: priced() },
        Session::Departed { at: at(40) },
        Session::SessionFailed { code: "cancelled".into(), detail: "It was cancelled.".into(), at: at(7) },
        Session::SessionFlagged { flags: vec![Flag::STOPPED_TWICE] },
        Session::StartAnswered { command_id: id(14) },
    ];
    events.into_iter().map(Event::ChargingSession).collect()
}

pub fn people_and_places() -> Vec<Event> {
    let site = || SiteDetails {
        name: "Market square".into(),
        address: Address {
            street: "Markt 1".into(),
            postal_code: Some("10115".into()),
            city: "Berlin".into(),
            country: "DE".into(),
        },
        coordinates: Some(Coordinates { latitude: 52.520_008, longitude: 13.404_954 }),
        time_zone: chrono_tz::Europe::Berlin,
        currency: Currency::EUR,
        tariff_id: Some(id(10)),
    };
    let token = TokenDetails {
        token_id: id(2),
        kind: "ISO14443".into(),
        value: sealed(),
        driver_id: Some(id(3)),
        group: Some("8694739AB1C200000003".into()),
        expires_at: Some(at(59)),
    };
    let details = PlanDetails { name: "Commuter".into(), tariff_id: Some(id(10)) };
    vec![
        Event::Site(SiteEvent::SiteRegistered(site())),
        Event::Site(SiteEvent::SiteChanged(site())),
        Event::Token(TokenEvent::TokenRegistered(token)),
        Event::Token(TokenEvent::TokenBlocked {}),
        Event::Token(TokenEvent::TokenUnblocked {}),
        Event::Driver(DriverEvent::DriverRegistered { driver_id: id(3) }),
        Event::Driver(DriverEvent::PlanActivated { plan_id: id(4) }),
        Event::Driver(DriverEvent::PlanEnded { plan_id: id(4) }),
        Event::Driver(DriverEvent::DriverErased { driver_id: id(3) }),
        Event::Plan(PlanEvent::PlanPublished { version: 1, details }),
        Event::Tariff(TariffEvent::TariffPublished { version: 3, name: "Standard".into(), tariff: tariff() }),
    ]
}

pub fn read_models() -> Vec<Event> {
    use ReadModelEvent as Happened;
    let (model, from_build, to_build) = ("sessions".to_owned(), 1, 2);
    [
        Happened::ReadModelSwapped { model: model.clone(), from_build, to_build },
        Happened::ReadModelRolledBack { model: model.clone(), from_build: to_build, to_build: from_build },
        Happened::ReadModelSwapAbandoned { model: model.clone(), from_build, to_build },
        Happened::ParkedKeyReleased { model: model.clone(), partition_key: id(5) },
        Happened::ParkedEventSkipped { model, partition_key: id(5), position: 4_711 },
    ]
    .into_iter()
    .map(Event::ReadModel)
    .collect()
}

pub fn disclosures() -> Vec<Event> {
    let disclosed = Disclosed {
        disclosure_id: id(15),
        through: "events export".into(),
        after_position: 0,
        upto_position: Some(4_711),
        aggregates: vec!["Token".into()],
        event_types: vec!["TokenRegistered".into()],
        stream: Some(id(2)),
        partition_key: Some(id(2)),
        destination: Some("/srv/exports/2024-05".into()),
    };
    vec![Event::Disclosure(DisclosureEvent::PersonalDataDisclosed(disclosed))]
}

pub fn of_the_log() -> Vec<Event> {
    let began = LogEvent::GenerationBegan {
        generation: 2,
        reason: GenerationReason::Promoted,
        shared_upto: 4_711,
        lost_from: Some(4_712),
        lost_upto: Some(4_720),
    };
    let lost = LogEvent::PositionLost { generation: 2, lost_from: 4_712, lost_upto: 4_720 };
    [began, lost].map(Event::Log).to_vec()
}
