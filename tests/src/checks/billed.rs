//! No charger was billed twice.

use std::collections::HashMap;

use domain::event::Event;
use domain::id::ChargePointId;
use domain::session::SessionEvent;
use domain::word::Flag;
use rust_decimal::Decimal;
use schema::log::RecordedEvent;
use uuid::Uuid;

use crate::log::decoded;

/// What a session has of its outlet's register.
struct Metered {
    session: Uuid,
    from_wh: Decimal,
    upto_wh: Option<Decimal>,
}

/// A transaction of a charger is one session's, which ends once and has each revision of its price once. What began at an
/// outlet in one moment is one session, and what an outlet's register has counted is at most one session's.
///
/// # Panics
/// When one is not.
pub fn nobody_is_billed_twice(events: &[RecordedEvent]) {
    let mut session_of = HashMap::new();
    let mut began = HashMap::new();
    let mut outlets: HashMap<_, Vec<Metered>> = HashMap::new();
    let mut outlet_of = HashMap::new();
    let mut ended: HashMap<_, u32> = HashMap::new();
    let mut priced = HashMap::new();
    for recorded in events {
        let Event::ChargingSession(event) = decoded(recorded) else { continue };
        let session = recorded.stream.id;
        match event {
            SessionEvent::TransactionStarted(started) => {
                let transaction = (started.charge_point_id, started.transaction_id.0.clone());
                let other = session_of.insert(transaction, session);
                assert!(other.is_none_or(|other| other == session), "{started:?} is of {session} and of {other:?}");
                let Some(evse_id) = started.evse_id else { continue };
                let outlet = (started.charge_point_id, evse_id, started.connector_id);
                let device_at = recorded.envelope.times.as_ref().and_then(|times| times.device_at.clone());
                if let Some(device_at) = device_at {
                    let other = began.insert((outlet, device_at), session);
                    assert_eq!(other, None, "{started:?} of {session} is the start of another session, too");
                }
                if let Some(from_wh) = started.meter_start_wh {
                    outlet_of.insert(session, outlet);
                    outlets.entry(outlet).or_default().push(Metered { session, from_wh, upto_wh: None });
                }
            }
            // One that was presumed may be told of by the charger after all.
            SessionEvent::TransactionEnded(end) if !end.flags.contains(&Flag::PRESUMED_ENDED) => {
                *ended.entry(session).or_default() += 1;
                let outlet = outlet_of.get(&session).and_then(|outlet| outlets.get_mut(outlet));
                let metered = outlet.into_iter().flatten().filter(|metered| metered.session == session);
                metered.for_each(|metered| metered.upto_wh = end.meter_stop_wh);
            }
            SessionEvent::SessionPriced { revision, priced: price } => {
                let before = priced.insert(session, (*revision, price.clone()));
                let number = before.as_ref().map_or(0, |(revision, _)| *revision);
                assert_eq!(*revision, number + 1, "a price of {session}");
                assert!(before.is_none_or(|(_, before)| before != *price), "{session} has the same price twice");
            }
            _ => {}
        }
    }
    for (session, times) in ended {
        assert_eq!(times, 1, "the transaction of {session} ended {times} times");
    }
    for ((charge_point, ..), metered) in outlets {
        is_counted_once(charge_point, metered);
    }
}

fn is_counted_once(charge_point: ChargePointId, mut metered: Vec<Metered>) {
    metered.sort_by_key(|metered| (metered.from_wh, metered.upto_wh));
    for pair in metered.windows(2) {
        let [before, after] = pair else { unreachable!("windows of two") };
        let ends = before.upto_wh.unwrap_or(before.from_wh);
        assert!(
            ends <= after.from_wh,
            "{charge_point}: {} has the register up to {ends} Wh, and {} from {} Wh",
            before.session,
            after.session,
            after.from_wh
        );
    }
}

#[cfg(test)]
mod tests;
