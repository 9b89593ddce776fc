//! A charge point: registered, connected, and what it reports.

use cqrs_es::Aggregate;
use domain::Refusal;
use domain::charge_point::ChargePointCommand as Command;
use domain::charge_point::ChargePointEvent as Event;
use domain::charge_point::{BootReport, ChargePoint, RegisteredChargePoint, StatusReport};
use domain::envelope::Retention;
use domain::id::{ChargePointIdentity, ConnectorId, Epoch, EvseId, Outlet, Sealed};
use domain::outlet::{Connector, Evse, OutletStatus};

use crate::support::{Row, at, check, decide, id, state};

fn evse(number: u32, connectors: &[u32]) -> Evse {
    let connector = |id: &u32| Connector {
        connector_id: ConnectorId(*id),
        kind: Some("IEC_62196_T2".into()),
        max_power_w: Some(22_000),
    };
    Evse { evse_id: EvseId(number), connectors: connectors.iter().map(connector).collect() }
}

fn details(evses: Vec<Evse>) -> RegisteredChargePoint {
    let identity = ChargePointIdentity::parse("CP001").unwrap();
    RegisteredChargePoint { charge_point_id: id(1), identity, site_id: Some(id(2)), evses, admitted: false }
}

/// With so many EVSEs of one connector each.
pub fn registered(evses: u32) -> Event {
    Event::ChargePointRegistered(details((1..=evses).map(|n| evse(n, &[1])).collect()))
}

pub fn connected(epoch: i64) -> Event {
    Event::ChargePointConnected { epoch: Epoch(epoch), protocol: "ocpp1.6".into(), edge: "edge".into(), at: at(epoch) }
}

pub fn disconnected(epoch: i64) -> Event {
    Event::ChargePointDisconnected { epoch: Epoch(epoch), reason: "closed".into(), at: at(epoch) }
}

fn outlet(evse: u32) -> Outlet {
    Outlet { evse_id: EvseId(evse), connector_id: ConnectorId(1) }
}

pub fn reported(outlet: Option<Outlet>, ocpp_status: &str, repeated: bool) -> Event {
    Event::ConnectorStatusReported {
        outlet,
        status: OutletStatus::from_ocpp(ocpp_status),
        ocpp_status: ocpp_status.into(),
        error_code: Some("NoError".into()),
        info: None,
        vendor_id: None,
        vendor_error_code: None,
        at: Some(at(0)),
        repeated,
    }
}

pub fn status(evse: u32, ocpp_status: &str) -> Event {
    reported(Some(outlet(evse)), ocpp_status, false)
}

pub fn own_status(ocpp_status: &str) -> Event {
    reported(None, ocpp_status, false)
}

fn report(outlet: Option<Outlet>, ocpp_status: &str) -> StatusReport {
    StatusReport {
        outlet,
        ocpp_status: ocpp_status.into(),
        error_code: Some("NoError".into()),
        info: None,
        vendor_id: None,
        vendor_error_code: None,
        at: Some(at(0)),
    }
}

#[test]
fn registration() {
    let identity = |text| ChargePointIdentity::parse(text).unwrap();
    let numbered = Refusal::invalid("evses", "each has an evse_id from 1 and connectors with ids from 1");
    let again = Refusal::AlreadyExists("A charger of this id is registered already.");
    let register = |evses| Command::Register(details(evses));
    #[rustfmt::skip]
    let table: Vec<Row<ChargePoint>> = vec![
        ("registered", vec![], register(vec![evse(1, &[1])]), Ok(vec![registered(1)])),
        ("without a word on its connectors", vec![], register(vec![]), Ok(vec![registered(0)])),
        ("twice", vec![registered(1)], register(vec![]), Err(again)),
        ("an EVSE twice", vec![], register(vec![evse(1, &[1]), evse(1, &[2])]), Err(Refusal::invalid("evses", "names an evse_id twice"))),
        ("grouped", vec![], register(vec![evse(1, &[1, 2]), evse(2, &[3])]), Ok(vec![Event::ChargePointRegistered(details(vec![evse(1, &[1, 2]), evse(2, &[3])]))])),
        ("a number twice", vec![], register(vec![evse(1, &[1, 2]), evse(2, &[2])]), Err(Refusal::invalid("evses", "has connector_id 2 twice: where connectors are grouped, it is the number that the charger itself uses"))),
        ("a number twice at one EVSE", vec![], register(vec![evse(1, &[1, 1])]), Err(Refusal::invalid("evses", "has connector_id 1 twice: where connectors are grouped, it is the number that the charger itself uses"))),
        ("EVSE 0", vec![], register(vec![evse(0, &[1])]), Err(numbered.clone())),
        ("connector 0", vec![], register(vec![evse(1, &[0])]), Err(numbered.clone())),
        ("no connector", vec![], register(vec![evse(1, &[])]), Err(numbered)),
        ("too many", vec![], register((1..=65).map(|n| evse(n, &[1])).collect()), Err(Refusal::invalid("evses", "has at most 64 connectors"))),
        ("renamed", vec![registered(1)], Command::Rename { identity: identity("CP002") }, Ok(vec![Event::ChargePointRenamed { identity: identity("CP002") }])),
        ("renamed to what it is", vec![registered(1)], Command::Rename { identity: identity("CP001") }, Ok(vec![])),
        ("moved", vec![registered(1)], Command::Move { site_id: None }, Ok(vec![Event::ChargePointMoved { site_id: None }])),
        ("moved to where it is", vec![registered(1)], Command::Move { site_id: Some(id(2)) }, Ok(vec![])),
        ("moved, but unknown", vec![], Command::Move { site_id: None }, Err(Refusal::ChargerUnknown)),
    ];
    check::<ChargePoint>(table);
}

#[test]
fn the_newest_connection_counts() {
    let connect = |epoch| Command::Connect {
        epoch: Epoch(epoch),
        protocol: "ocpp1.6".into(),
        edge: "edge".into(),
        at: at(epoch),
    };
    let disconnect = |epoch| Command::Disconnect { epoch: Epoch(epoch), reason: "closed".into(), at: at(epoch) };
    let twice = || vec![registered(1), connected(1), connected(2)];
    #[rustfmt::skip]
    let table: Vec<Row<ChargePoint>> = vec![
        ("connected", vec![registered(1)], connect(1), Ok(vec![connected(1)])),
        ("again, while the old socket is half open", vec![registered(1), connected(1)], connect(2), Ok(vec![connected(2)])),
        ("the loser of two sockets", twice(), connect(1), Ok(vec![])),
        ("disconnected", vec![registered(1), connected(1)], disconnect(1), Ok(vec![disconnected(1)])),
        ("disconnected twice", vec![registered(1), connected(1), disconnected(1)], disconnect(1), Ok(vec![])),
        ("the late close of the older socket", twice(), disconnect(1), Ok(vec![])),
        ("nobody registered it", vec![], connect(1), Err(Refusal::ChargerUnknown)),
    ];
    check::<ChargePoint>(table);
    let seen = |events| {
        let state = state::<ChargePoint>(events);
        (state.online, state.epoch)
    };
    assert_eq!(seen(twice()), (true, Epoch(2)));
    assert_eq!(
        seen([twice(), vec![disconnected(1)]].concat()),
        (true, Epoch(2)),
        "an old event changes nothing either"
    );
}

#[test]
fn statuses() {
    let here = Some(outlet(1));
    let online = |then: Vec<Event>| [vec![registered(1), connected(1)], then].concat();
    let tell = |outlet, word| Command::ReportStatus(report(outlet, word));
    let vendor_code =
        Command::ReportStatus(StatusReport { vendor_error_code: Some("E7".into()), ..report(here, "Faulted") });
    let with_vendor_code = match status(1, "Faulted") {
        Event::ConnectorStatusReported {
            outlet,
            status,
            ocpp_status,
            error_code,
            info,
            vendor_id,
            at,
            repeated,
            ..
        } => {
            let vendor_error_code = Some("E7".into());
            Event::ConnectorStatusReported {
                outlet,
                status,
                ocpp_status,
                error_code,
                info,
                vendor_id,
                vendor_error_code,
                at,
                repeated,
            }
        }
        other => other,
    };
    #[rustfmt::skip]
    let table: Vec<Row<ChargePoint>> = vec![
        ("the first", online(vec![]), tell(here, "Available"), Ok(vec![status(1, "Available")])),
        ("the same again", online(vec![status(1, "Available")]), tell(here, "Available"), Ok(vec![reported(here, "Available", true)])),
        ("the same after a reconnect", online(vec![status(1, "Available"), connected(2)]), tell(here, "Available"), Ok(vec![reported(here, "Available", true)])),
        ("another", online(vec![status(1, "Available")]), tell(here, "Charging"), Ok(vec![status(1, "Charging")])),
        ("the same with another vendor's code", online(vec![status(1, "Faulted")]), vendor_code, Ok(vec![with_vendor_code])),
        ("of the charger itself", online(vec![status(1, "Available")]), tell(None, "Available"), Ok(vec![own_status("Available")])),
        ("of the charger itself, again", online(vec![own_status("Available")]), tell(None, "Available"), Ok(vec![reported(None, "Available", true)])),
        ("a word that nobody knows", online(vec![]), tell(here, "Levitating"), Ok(vec![status(1, "Levitating")])),
    ];
    check::<ChargePoint>(table);
    assert_eq!(status(1, "Available").retention(), Retention::Operational);
    assert_eq!(reported(here, "Available", true).retention(), Retention::Telemetry);
}

#[test]
fn what_is_known_of_an_outlet() {
    #[rustfmt::skip]
    let table = [
        ("nothing yet", vec![connected(1)], OutletStatus::Unknown),
        ("reported", vec![connected(1), status(1, "SuspendedEVSE")], OutletStatus::Suspended),
        ("offline", vec![connected(1), status(1, "Available"), disconnected(1)], OutletStatus::Unknown),
        ("back, and not refreshed", vec![connected(1), status(1, "Available"), connected(2)], OutletStatus::Unknown),
        ("refreshed", vec![connected(1), status(1, "Available"), connected(2), reported(Some(outlet(1)), "Available", true)], OutletStatus::Available),
        ("a later version's word", vec![connected(1), status(1, "Levitating")], OutletStatus::Unknown),
    ];
    for (case, then, expected) in table {
        let state = state::<ChargePoint>([vec![registered(1)], then].concat());
        assert_eq!(state.status_of(outlet(1)), expected, "{case}");
    }
}

#[test]
fn reports_make_outlets_but_not_without_end() {
    let one = state::<ChargePoint>(vec![registered(0), connected(1), status(3, "Available")]);
    let described = Evse {
        evse_id: EvseId(3),
        connectors: vec![Connector { connector_id: ConnectorId(1), kind: None, max_power_w: None }],
    };
    assert_eq!(one.evses, [described]);
    let many = (1..=1_000).map(|n| status(n, "Available"));
    let many = state::<ChargePoint>([registered(0), connected(1)].into_iter().chain(many).collect());
    assert_eq!((many.evses.len(), many.reports.len()), (64, 64));
}

#[test]
fn commands_wait_in_a_queue_with_an_end() {
    let queued = |n| Event::CommandQueued { command_id: id(n) };
    let queue = |n| Command::QueueCommand { command_id: id(n) };
    let settle = |n| Command::SettleCommand { command_id: id(n) };
    let settled = |n| Event::CommandSettled { command_id: id(n) };
    let full = || [vec![registered(1)], (1..=64).map(queued).collect()].concat();
    let too_many = Refusal::AlreadyExists("Too many commands are waiting for this charger.");
    #[rustfmt::skip]
    let table: Vec<Row<ChargePoint>> = vec![
        ("queued", vec![registered(1)], queue(1), Ok(vec![queued(1)])),
        ("queued twice", vec![registered(1), queued(1)], queue(1), Ok(vec![])),
        ("settled", vec![registered(1), queued(1)], settle(1), Ok(vec![settled(1)])),
        ("settled twice", vec![registered(1), queued(1), settled(1)], settle(1), Ok(vec![])),
        ("one too many", full(), queue(65), Err(too_many)),
        ("room again", [full(), vec![settled(7)]].concat(), queue(65), Ok(vec![queued(65)])),
    ];
    check::<ChargePoint>(table);
}

#[test]
fn what_a_charger_reports_is_never_refused() {
    let sealed = || Sealed("sealed".into());
    let boot = BootReport { vendor: "Vendor".into(), model: "Model".into(), ..BootReport::default() };
    let reports = [
        Command::ReportBoot(boot),
        Command::ReportStatus(report(Some(outlet(9)), "")),
        Command::ReportReadings { outlet: None, readings: vec![] },
        Command::ReportFirmwareStatus { status: "Levitating".into() },
        Command::ReportDiagnosticsStatus { status: "Uploaded".into() },
        Command::TransferData { vendor_id: "Vendor".into(), message_id: None, data: Some(sealed()) },
        Command::Quarantine { action: "StartTransaction".into(), payload: sealed(), why: "no payload".into() },
    ];
    for report in reports {
        let decided = decide::<ChargePoint>(vec![registered(1)], report.clone());
        assert!(matches!(&decided, Ok(events) if events.len() == 1), "{report:?}: {decided:?}");
    }
}

#[test]
fn the_chargers_own_numbers_mean_outlets() {
    let of = |evse: u32, connector: u32| Outlet { evse_id: EvseId(evse), connector_id: ConnectorId(connector) };
    #[rustfmt::skip]
    type Row<'a> = (Vec<Evse>, &'a [(u32, Outlet)]);
    let table: [Row; 6] = [
        // One connector each: connector n is EVSE n, also where the operator described none.
        (vec![], &[(1, of(1, 1)), (7, of(7, 1))]),
        (vec![evse(1, &[1]), evse(2, &[1])], &[(1, of(1, 1)), (2, of(2, 1)), (3, of(3, 1))]),
        // Grouped: the ids are the charger's numbers. What nobody described is an EVSE of its own.
        (vec![evse(1, &[1, 2])], &[(1, of(1, 1)), (2, of(1, 2)), (3, of(3, 3))]),
        (vec![evse(1, &[1, 2]), evse(2, &[3, 4])], &[(2, of(1, 2)), (3, of(2, 3)), (4, of(2, 4))]),
        (vec![evse(1, &[1]), evse(2, &[2])], &[(1, of(1, 1)), (2, of(2, 2))]),
        (vec![evse(1, &[2]), evse(2, &[1])], &[(1, of(2, 1)), (2, of(1, 2))]),
    ];
    for (evses, numbers) in table {
        let mut charge_point = state::<ChargePoint>(vec![Event::ChargePointRegistered(details(evses.clone()))]);
        assert_eq!(charge_point.outlet_of_v16(0), None, "the charger itself");
        // Before and after each has been reported, by which an outlet may be added.
        for _ in 0..2 {
            for (number, outlet) in numbers {
                assert_eq!(charge_point.outlet_of_v16(*number), Some(*outlet), "{number} of {evses:?}");
                assert_eq!(charge_point.v16_number_of(*outlet), *number, "{outlet:?} of {evses:?}");
                charge_point.apply(reported(Some(*outlet), "Available", false));
            }
        }
    }
}

#[test]
fn an_evse_is_started_at_a_connector_that_works() {
    let of = |connector: u32| Outlet { evse_id: EvseId(1), connector_id: ConnectorId(connector) };
    let registered = Event::ChargePointRegistered(details(vec![evse(1, &[1, 2])]));
    for (first, second, expected) in
        [("Available", "Available", of(1)), ("Faulted", "Available", of(2)), ("Faulted", "Unavailable", of(1))]
    {
        let reports = [(1, first), (2, second)].map(|(n, status)| reported(Some(of(n)), status, false));
        let events = [vec![registered.clone(), connected(1)], reports.to_vec()].concat();
        assert_eq!(state::<ChargePoint>(events).outlet_to_start(EvseId(1)), Some(expected), "{first} {second}");
    }
    assert_eq!(state::<ChargePoint>(vec![registered]).outlet_to_start(EvseId(2)), None);
}

#[test]
fn the_public_number_is_the_chargers_own() {
    let over = |protocol: &str, evses: Vec<Evse>| {
        let connected =
            Event::ChargePointConnected { epoch: Epoch(1), protocol: protocol.into(), edge: "edge".into(), at: at(1) };
        state::<ChargePoint>(vec![Event::ChargePointRegistered(details(evses)), connected]).numbers_by_connector()
    };
    assert!(!over("ocpp1.6", vec![evse(1, &[1]), evse(2, &[1])]));
    assert!(over("ocpp1.6", vec![evse(1, &[1, 2])]));
    assert!(over("ocpp2.0.1", vec![evse(1, &[1]), evse(2, &[1])]));
}
