//! An event of each type, every optional field filled: chargers and their commands.

use chrono::{DateTime, Utc};
use domain::charge_point::{
    Authorization, AuthorizationStatus, BootReport, ChargePointEvent, Limits, RegisteredChargePoint,
};
use domain::event::Event;
use domain::id::{ChargePointIdentity, ConnectorId, Epoch, EvseId, Outlet, Sealed};
use domain::meter::{MeterReading, SampledValue};
use domain::outlet::{Connector, Evse, OutletStatus};
use domain::station_command::{StationAction, StationCommandEvent, StationRequest};
use rust_decimal::Decimal;
use serde_json::json;
use uuid::Uuid;

use crate::examples_of_charging::{charging, disclosures, of_the_log, people_and_places, read_models};

pub fn examples() -> Vec<Event> {
    let charge_points = charge_point().into_iter().map(Event::ChargePoint);
    let commands = station_command().into_iter().map(Event::StationCommand);
    charge_points
        .chain(commands)
        .chain(charging())
        .chain(people_and_places())
        .chain(read_models())
        .chain(disclosures())
        .chain(of_the_log())
        .collect()
}

pub fn id<T: From<Uuid>>(number: u128) -> T {
    T::from(Uuid::from_u128(0x0190_163d_8694_739a_b1c2_0000_0000_0000 + number))
}

pub fn at(minute: u32) -> DateTime<Utc> {
    format!("2024-05-01T10:{minute:02}:00.250Z").parse().expect("a time")
}

pub fn sealed() -> Sealed {
    Sealed("v1.0190163d8694739ab1c20000000000ff.c2VhbGVk".into())
}

pub fn outlet() -> Outlet {
    Outlet { evse_id: EvseId(1), connector_id: ConnectorId(1) }
}

pub fn limits() -> Limits {
    Limits {
        energy_wh: Some(Decimal::from(50_000)),
        cost: Some(Decimal::new(2_550, 2)),
        time_s: Some(7_200),
        soc_percent: Some(Decimal::from(80)),
    }
}

pub fn authorization() -> Authorization {
    Authorization {
        authorization_id: id(1),
        status: AuthorizationStatus::Accepted,
        token_id: Some(id(2)),
        evse_id: Some(EvseId(1)),
        driver_id: Some(id(3)),
        group: Some("8694739AB1C200000003".into()),
        plan_id: Some(id(4)),
        limits: limits(),
        decided_at: at(0),
        expires_at: Some(at(59)),
    }
}

pub fn reading() -> MeterReading {
    let sampled = SampledValue {
        value: "12.5".into(),
        unit: Some("kWh".into()),
        multiplier: Some(3),
        measurand: Some("Energy.Active.Import.Register".into()),
        context: Some("Sample.Periodic".into()),
        phase: Some("L1-N".into()),
        location: Some("Outlet".into()),
        format: Some("SignedData".into()),
        signed: Some(r#"OCMF|{"FV":"1.0"}|{"SD":"304"} "#.into()),
    };
    MeterReading::new("2024-05-01T12:00:00+02:00", vec![sampled, SampledValue::of("12500")])
}

fn charge_point() -> Vec<ChargePointEvent> {
    use ChargePointEvent as Event;
    let identity = || ChargePointIdentity::parse("CP001").expect("an identity");
    let connector =
        Connector { connector_id: ConnectorId(1), kind: Some("IEC_62196_T2".into()), max_power_w: Some(22_000) };
    let boot = BootReport {
        vendor: "Vendor".into(),
        model: "Model".into(),
        serial_number: Some("SN-1".into()),
        firmware_version: Some("1.2.3".into()),
        iccid: Some("8949000000000000001".into()),
        meter_type: Some("DC-6".into()),
        meter_serial_number: Some("M-1".into()),
        boot_reason: Some("PowerUp".into()),
    };
    vec![
        Event::ChargePointRegistered(RegisteredChargePoint {
            charge_point_id: id(5),
            identity: identity(),
            site_id: Some(id(6)),
            evses: vec![Evse { evse_id: EvseId(1), connectors: vec![connector] }],
            admitted: true,
        }),
        Event::ChargePointRenamed { identity: identity() },
        Event::ChargePointMoved { site_id: Some(id(6)) },
        Event::ChargePointConnected { epoch: Epoch(7), protocol: "ocpp1.6".into(), edge: "edge-1".into(), at: at(1) },
        Event::ChargePointDisconnected { epoch: Epoch(7), reason: "closed by the charger".into(), at: at(2) },
        Event::ChargePointBooted { boot },
        Event::ConnectorStatusReported {
            outlet: Some(outlet()),
            status: OutletStatus::Suspended,
            ocpp_status: "SuspendedEV".into(),
            error_code: Some("NoError".into()),
            info: Some(sealed()),
            vendor_id: Some("Vendor".into()),
            vendor_error_code: Some("E7".into()),
            at: Some(at(3)),
            repeated: true,
        },
        Event::EvseClaimed {
            evse_id: EvseId(1),
            session_id: id(8),
            command_id: Some(id(9)),
            driver_id: Some(id(3)),
            remote_tag: Some("0A1B2C3D4E5F60718293".into()),
        },
        Event::EvseReleased { evse_id: EvseId(1), session_id: id(8) },
        Event::CommandQueued { command_id: id(9) },
        Event::CommandSettled { command_id: id(9) },
        Event::AuthorizationDecided(authorization()),
        Event::ReadingsReported { outlet: Some(outlet()), readings: vec![reading()] },
        Event::FirmwareStatusReported { status: "Installed".into() },
        Event::DiagnosticsStatusReported { status: "Uploaded".into() },
        Event::DataTransferred { vendor_id: "Vendor".into(), message_id: Some("message".into()), data: Some(sealed()) },
        Event::ReportQuarantined {
            action: "StopTransaction".into(),
            payload: sealed(),
            why: "transactionId is no number".into(),
        },
    ]
}

fn station_command() -> Vec<StationCommandEvent> {
    use StationCommandEvent as Event;
    let answer = || json!({"status": "Accepted"});
    let action = StationAction::RemoteStart {
        outlet: outlet(),
        tag: "0A1B2C3D4E5F60718293".into(),
        remote_start_id: 5,
        group: Some("8694739AB1C200000003".into()),
    };
    vec![
        Event::StationCommandRequested(StationRequest {
            command_id: id(9),
            charge_point_id: id(5),
            kind: "start_charging".into(),
            action,
            session_id: Some(id(8)),
            requested_at: at(4),
            expires_at: at(5),
        }),
        Event::StationCommandSent { answer_until: at(6) },
        Event::StationCommandAccepted { answer: answer() },
        Event::StationCommandDone {},
        Event::StationCommandRejected { answer: answer(), reason: "Rejected".into() },
        Event::StationCommandFailed { reason: "The connection was lost.".into() },
        Event::StationCommandTimedOut {},
        Event::StationCommandExpired {},
    ]
}

/// Actions are stored within requests: each keeps its shape.
#[test]
fn every_action_keeps_its_shape() {
    let table = [
        (
            StationAction::RemoteStop { transaction_id: domain::id::TransactionId("17".into()) },
            json!({"RemoteStop": {"transaction_id": "17"}}),
        ),
        (StationAction::Reset { hard: true }, json!({"Reset": {"hard": true}})),
        (
            StationAction::UnlockConnector { outlet: outlet() },
            json!({"UnlockConnector": {"outlet": {"evse_id": 1, "connector_id": 1}}}),
        ),
        (
            StationAction::ChangeAvailability { outlet: None, operative: false },
            json!({"ChangeAvailability": {"outlet": null, "operative": false}}),
        ),
        (
            StationAction::GetConfiguration { keys: vec!["HeartbeatInterval".into()] },
            json!({"GetConfiguration": {"keys": ["HeartbeatInterval"]}}),
        ),
        (
            StationAction::ChangeConfiguration { key: "HeartbeatInterval".into(), value: "60".into() },
            json!({"ChangeConfiguration": {"key": "HeartbeatInterval", "value": "60"}}),
        ),
        (
            StationAction::TriggerMessage { requested_message: "StatusNotification".into(), outlet: Some(outlet()) },
            json!({"TriggerMessage": {"requested_message": "StatusNotification", "outlet": {"evse_id": 1, "connector_id": 1}}}),
        ),
        (StationAction::ClearCache {}, json!({"ClearCache": {}})),
    ];
    for (action, stored) in table {
        assert_eq!(serde_json::to_value(&action).expect("JSON"), stored);
        assert_eq!(serde_json::from_value::<StationAction>(stored).expect("an action"), action);
    }
}
