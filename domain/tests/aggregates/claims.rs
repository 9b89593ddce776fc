//! Who holds an EVSE: the second of two is refused, and what a transaction does to those that were there before.

use domain::Refusal;
use domain::charge_point::ChargePointCommand::{Claim, Occupy, Release};
use domain::charge_point::ChargePointEvent::{EvseClaimed, EvseReleased};
use domain::charge_point::{ChargePoint, ChargePointCommand, ChargePointEvent, Claimant};
use domain::id::{ConnectorId, EvseId, Outlet};

use crate::charge_point::{connected, disconnected, own_status, registered, reported, status};
use crate::support::{Row, check, id, invalid, state};

fn claim(evse: u32, session: u128) -> ChargePointCommand {
    let claimant = Claimant {
        session_id: id(session),
        command_id: id(session + 100),
        driver_id: Some(id(session + 200)),
        remote_tag: format!("TAG{session}"),
    };
    Claim { outlet: Outlet { evse_id: EvseId(evse), connector_id: ConnectorId(1) }, claimant }
}

fn claimed(evse: u32, session: u128) -> ChargePointEvent {
    EvseClaimed {
        evse_id: EvseId(evse),
        session_id: id(session),
        command_id: Some(id(session + 100)),
        driver_id: Some(id(session + 200)),
        remote_tag: Some(format!("TAG{session}")),
    }
}

fn released(evse: u32, session: u128) -> ChargePointEvent {
    EvseReleased { evse_id: EvseId(evse), session_id: id(session) }
}

/// A transaction that nobody asked for.
fn occupied(evse: u32, session: u128) -> ChargePointEvent {
    EvseClaimed { evse_id: EvseId(evse), session_id: id(session), command_id: None, driver_id: None, remote_tag: None }
}

fn occupy(evse: u32, session: u128) -> ChargePointCommand {
    Occupy { evse_id: EvseId(evse), session_id: id(session), driver_id: None }
}

/// A charger of two EVSEs that is connected, and what has happened since.
fn online(then: Vec<ChargePointEvent>) -> Vec<ChargePointEvent> {
    [vec![registered(2), connected(1)], then].concat()
}

#[test]
fn claims() {
    let no_connector = || invalid("connector_id", "the charger has no such connector");
    #[rustfmt::skip]
    let table: Vec<Row<ChargePoint>> = vec![
        ("free", online(vec![]), claim(1, 1), Ok(vec![claimed(1, 1)])),
        ("the second driver", online(vec![claimed(1, 1)]), claim(1, 2), Err(Refusal::ConnectorOccupied)),
        ("the EVSE beside", online(vec![claimed(1, 1)]), claim(2, 2), Ok(vec![claimed(2, 2)])),
        ("free again", online(vec![claimed(1, 1), released(1, 1)]), claim(1, 2), Ok(vec![claimed(1, 2)])),
        ("nobody knows it", vec![], claim(1, 1), Err(Refusal::ChargerUnknown)),
        ("never connected", vec![registered(2)], claim(1, 1), Err(Refusal::ChargerOffline)),
        ("offline", online(vec![disconnected(1)]), claim(1, 1), Err(Refusal::ChargerOffline)),
        ("no such connector", online(vec![]), claim(3, 1), Err(no_connector())),
        ("plugged in", online(vec![status(1, "Preparing")]), claim(1, 1), Ok(vec![claimed(1, 1)])),
        ("charging, without a session", online(vec![status(1, "Charging")]), claim(1, 1), Err(Refusal::ConnectorOccupied)),
        ("suspended, without a session", online(vec![status(1, "SuspendedEV")]), claim(1, 1), Err(Refusal::ConnectorOccupied)),
        ("reserved", online(vec![status(1, "Reserved")]), claim(1, 1), Err(Refusal::ConnectorOccupied)),
        ("faulted", online(vec![status(1, "Faulted")]), claim(1, 1), Err(Refusal::ConnectorFaulted)),
        ("out of service", online(vec![status(1, "Unavailable")]), claim(1, 1), Err(Refusal::ConnectorFaulted)),
        ("repaired", online(vec![status(1, "Faulted"), status(1, "Available")]), claim(1, 1), Ok(vec![claimed(1, 1)])),
        ("the whole charger is faulted", online(vec![own_status("Faulted"), status(1, "Available")]), claim(1, 1), Err(Refusal::ConnectorFaulted)),
        ("it was faulted before it came back", online(vec![status(1, "Faulted"), own_status("Faulted"), connected(2)]), claim(1, 1), Ok(vec![claimed(1, 1)])),
        // The order of refusals: online, the connector, who holds it, how it is.
        ("offline and unknown", online(vec![disconnected(1)]), claim(3, 1), Err(Refusal::ChargerOffline)),
        ("offline and held", online(vec![claimed(1, 1), disconnected(1)]), claim(1, 2), Err(Refusal::ChargerOffline)),
        ("offline and faulted", online(vec![status(1, "Faulted"), disconnected(1)]), claim(1, 1), Err(Refusal::ChargerOffline)),
        ("held and faulted", online(vec![claimed(1, 1), status(1, "Faulted")]), claim(1, 2), Err(Refusal::ConnectorOccupied)),
    ];
    check::<ChargePoint>(table);
}

#[test]
fn transactions_hold_their_evse() {
    let moved = EvseClaimed {
        evse_id: EvseId(2),
        session_id: id(1),
        command_id: Some(id(101)),
        driver_id: Some(id(201)),
        remote_tag: Some("TAG1".into()),
    };
    #[rustfmt::skip]
    let table: Vec<Row<ChargePoint>> = vec![
        ("as it was asked", online(vec![claimed(1, 1)]), occupy(1, 1), Ok(vec![])),
        ("by itself", online(vec![]), occupy(1, 9), Ok(vec![occupied(1, 9)])),
        ("offline chargers report too", vec![registered(2)], occupy(1, 9), Ok(vec![occupied(1, 9)])),
        ("overtaken", online(vec![occupied(1, 8)]), occupy(1, 9), Ok(vec![released(1, 8), occupied(1, 9)])),
        ("begun on another EVSE than asked", online(vec![claimed(1, 1)]), occupy(2, 1), Ok(vec![released(1, 1), moved.clone()])),
        ("there it overtakes", online(vec![claimed(1, 1), occupied(2, 8)]), occupy(2, 1), Ok(vec![released(2, 8), released(1, 1), moved])),
        ("on an EVSE that nobody described", online(vec![]), occupy(7, 9), Ok(vec![occupied(7, 9)])),
        ("stopped", online(vec![claimed(1, 1)]), Release { session_id: id(1) }, Ok(vec![released(1, 1)])),
        ("stopped twice", online(vec![claimed(1, 1), released(1, 1)]), Release { session_id: id(1) }, Ok(vec![])),
        ("what was overtaken stops late", online(vec![occupied(1, 8), released(1, 8), occupied(1, 9)]), Release { session_id: id(8) }, Ok(vec![])),
    ];
    check::<ChargePoint>(table);
}

#[test]
fn what_is_held_has_an_end() {
    let full = online((1..=64).map(|n| occupied(n, u128::from(n))).collect());
    assert_eq!(state::<ChargePoint>(full.clone()).claims.len(), 64);
    check::<ChargePoint>(vec![
        ("one more EVSE", full.clone(), occupy(65, 65), Ok(vec![])),
        ("one that is known", full, occupy(64, 65), Ok(vec![released(64, 64), occupied(64, 65)])),
    ]);
}

#[test]
fn tags_of_requests_are_remembered() {
    let holding = state::<ChargePoint>(online(vec![claimed(1, 1)]));
    let (evse, claim) = holding.claim_by_tag("tag1").expect("known in another letter case");
    assert_eq!((evse, claim.session_id, holding.claim_of(id(1))), (EvseId(1), id(1), Some(EvseId(1))));
    assert_eq!(holding.past_request_by_tag("TAG1"), None);

    let failed = state::<ChargePoint>(online(vec![claimed(1, 1), released(1, 1)]));
    assert!(failed.claim_by_tag("TAG1").is_none());
    assert_eq!(failed.past_request_by_tag("tag1"), Some(id(1)));

    let many = (1..=40).flat_map(|n| [claimed(1, n), released(1, n)]).collect();
    let later = state::<ChargePoint>(online(many));
    assert_eq!((later.past_requests.len(), later.past_request_by_tag("TAG1")), (32, None));
    assert_eq!(later.past_request_by_tag("TAG40"), Some(id(40)));
}

/// Of an EVSE with two connectors, the other one's being free is no sign.
#[test]
fn a_car_lingers_on_its_own_connector() {
    let of = |connector: u32| Outlet { evse_id: EvseId(1), connector_id: ConnectorId(connector) };
    let reports = |reports: &[(u32, &str)]| {
        let reports = reports.iter().map(|(n, status)| reported(Some(of(*n)), status, false)).collect();
        let events = [online(vec![occupied(1, 1), released(1, 1)]), reports].concat();
        state::<ChargePoint>(events).lingering.contains_key(&EvseId(1))
    };
    assert!(reports(&[(1, "Finishing"), (2, "Available")]));
    assert!(!reports(&[(1, "Finishing"), (2, "Available"), (1, "Available")]));
}

#[test]
fn a_car_lingers_until_it_is_seen_to_have_left() {
    let session = Some(id(1));
    #[rustfmt::skip]
    let table = [
        ("charging", vec![occupied(1, 1), status(1, "Charging")], None),
        ("stopped", vec![occupied(1, 1), status(1, "Charging"), released(1, 1)], session),
        ("nothing was ever reported", vec![occupied(1, 1), released(1, 1)], session),
        ("finishing", vec![occupied(1, 1), released(1, 1), status(1, "Finishing")], session),
        ("left", vec![occupied(1, 1), released(1, 1), status(1, "Available")], None),
        ("the next one came", vec![occupied(1, 1), released(1, 1), occupied(1, 2)], None),
        ("left before the stop arrived", vec![occupied(1, 1), status(1, "Available"), released(1, 1)], None),
        ("that was over an older connection", vec![status(1, "Available"), connected(2), occupied(1, 1), released(1, 1)], session),
    ];
    for (case, then, expected) in table {
        let state = state::<ChargePoint>(online(then));
        assert_eq!(state.lingering.get(&EvseId(1)).copied(), expected, "{case}");
    }
}
