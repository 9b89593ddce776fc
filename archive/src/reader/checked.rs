//! Events that were decoded are looked at before anybody has them.

use domain::envelope::Retention;
use schema::digest::payload_hash;
use schema::stored::StoredEvent;

/// The same events: of this class, at ascending positions within the span, each with a payload of its hash.
///
/// # Errors
/// What is wrong with the first one that isn't.
pub(super) fn checked(
    events: Vec<StoredEvent>,
    (first, last): (i64, i64),
    class: Retention,
) -> Result<Vec<StoredEvent>, String> {
    let mut before = first - 1;
    for event in &events {
        let position = event.position;
        if position.0 <= before || position.0 > last {
            return Err(format!("the event at {position} stands where it should not"));
        }
        before = position.0;
        if event.retention != class.code() {
            return Err(format!("the event at {position} is of class {}", event.retention));
        }
        if payload_hash(&event.payload) != event.payload_hash {
            return Err(format!("the payload of the event at {position} is not the one that was appended"));
        }
    }
    Ok(events)
}
