//! Older versions of events, read by the code that reads all events: a field that was renamed, one that was split, one that
//! was added, and several of it in a row.
//!
//! No event has a second version yet. So the catalogue of these tests says that today's versions of three events are
//! later ones, and has the steps that lead to them.

use domain::event::{AggregateType, Event};
use domain::token::TokenEvent;
use schema::catalogue::Catalogue;
use schema::digest::{BlockDigest, payload_hash};
use schema::golden;
use schema::log::{Position, RawEvent};
use schema::upcast::Step;
use serde_json::{Map, Value, json};

const STEPS: &[Step] = &[
    // Out of order, as they may stand.
    Step {
        aggregate: AggregateType::Token,
        event_type: "TokenRegistered",
        from: "2",
        to: "3",
        says: "`group` is added",
        change: group_is_added,
    },
    Step {
        aggregate: AggregateType::Token,
        event_type: "TokenRegistered",
        from: "1",
        to: "2",
        says: "`uid` is called `value`",
        change: uid_is_value,
    },
    Step {
        aggregate: AggregateType::Site,
        event_type: "SiteRegistered",
        from: "1",
        to: "2",
        says: "`place` is split into the members of `coordinates`",
        change: place_is_split,
    },
    Step {
        aggregate: AggregateType::ChargePoint,
        event_type: "ConnectorStatusReported",
        from: "1",
        to: "2",
        says: "`repeated` is added",
        change: repeated_is_added,
    },
];

const CATALOGUE: Catalogue<'static> = Catalogue::new(newest, STEPS);

fn newest(aggregate: AggregateType, event_type: &str) -> Option<&'static str> {
    match (aggregate, event_type) {
        (AggregateType::Token, "TokenRegistered") => Some("3"),
        (AggregateType::Site, "SiteRegistered") | (AggregateType::ChargePoint, "ConnectorStatusReported") => Some("2"),
        (AggregateType::Token, "TokenBlocked") => Some("1"),
        _ => None,
    }
}

/// Renamed: `uid` is `value`.
fn uid_is_value(members: &mut Map<String, Value>) -> Result<(), String> {
    let uid = members.remove("uid").ok_or("it has no uid")?;
    members.insert("value".to_owned(), uid);
    Ok(())
}

/// Added: before groups there were none.
fn group_is_added(members: &mut Map<String, Value>) -> Result<(), String> {
    members.insert("group".to_owned(), Value::Null);
    Ok(())
}

/// Split: the text `<latitude>,<longitude>` is an object of two numbers.
fn place_is_split(members: &mut Map<String, Value>) -> Result<(), String> {
    let coordinates = match members.remove("place").ok_or("it has no place")? {
        Value::Null => Value::Null,
        Value::String(place) => {
            let (latitude, longitude) = place.split_once(',').ok_or_else(|| format!("{place:?} is no place"))?;
            let number = |text: &str| text.parse::<f64>().map_err(|error| format!("{text:?}: {error}"));
            json!({"latitude": number(latitude)?, "longitude": number(longitude)?})
        }
        other => return Err(format!("{other} is no place")),
    };
    members.insert("coordinates".to_owned(), coordinates);
    Ok(())
}

/// Added: as long as nobody looked, nothing was a repetition.
fn repeated_is_added(members: &mut Map<String, Value>) -> Result<(), String> {
    members.insert("repeated".to_owned(), Value::Bool(false));
    Ok(())
}

/// What the first version stored, made from today's sample by undoing the changes.
fn stored(event_type: &str, undo: impl FnOnce(&mut Map<String, Value>)) -> String {
    let mut payload: Value = serde_json::from_str(golden::find(event_type, "1").unwrap().payload).unwrap();
    undo(payload[event_type].as_object_mut().unwrap());
    payload.to_string()
}

fn of_today(event_type: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Value {
    serde_json::from_str(&stored(event_type, change)).unwrap()
}

fn decode(aggregate: &str, event_type: &str, event_version: &str, payload: &str) -> Result<Event, String> {
    let raw = RawEvent { aggregate_type: aggregate, event_type, event_version, payload };
    CATALOGUE.decode(&raw).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    })
}

#[track_caller]
fn assert_reads(aggregate: &str, event_type: &str, event_version: &str, payload: &str, expected: &Value) {
    let event = decode(aggregate, event_type, event_version, payload).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&event.to_json()).unwrap(), *expected);
}

fn first_token() -> String {
    stored("TokenRegistered", |members| {
        let value = members.remove("value").unwrap();
        members.insert("uid".to_owned(), value);
        members.remove("group");
    })
}

#[test]
fn a_field_was_renamed() {
    let second = stored("TokenRegistered", |members| {
        let value = members.remove("value").unwrap();
        members.insert("uid".to_owned(), value);
    });
    let Event::Token(TokenEvent::TokenRegistered(details)) = decode("Token", "TokenRegistered", "1", &second).unwrap()
    else {
        panic!("another event")
    };
    let sample: Value = serde_json::from_str(&second).unwrap();
    assert_eq!(json!(details.value), sample["TokenRegistered"]["uid"]);
}

#[test]
fn a_field_was_split() {
    let first = stored("SiteRegistered", |members| {
        members.remove("coordinates");
        members.insert("place".to_owned(), "52.520008,13.404954".into());
    });
    assert_reads("Site", "SiteRegistered", "1", &first, &of_today("SiteRegistered", |_| ()));
    let nowhere = stored("SiteRegistered", |members| {
        members.remove("coordinates");
        members.insert("place".to_owned(), Value::Null);
    });
    let expected = of_today("SiteRegistered", |members| {
        members.insert("coordinates".to_owned(), Value::Null);
    });
    assert_reads("Site", "SiteRegistered", "1", &nowhere, &expected);
}

#[test]
fn a_field_was_added() {
    let first = stored("ConnectorStatusReported", |members| {
        members.remove("repeated");
    });
    // Without the step it can't be read.
    let of_today_only = RawEvent {
        aggregate_type: "ChargePoint",
        event_type: "ConnectorStatusReported",
        event_version: "1",
        payload: &first,
    };
    of_today_only.decode().unwrap_err();
    let expected = of_today("ConnectorStatusReported", |members| {
        members.insert("repeated".to_owned(), false.into());
    });
    assert_reads("ChargePoint", "ConnectorStatusReported", "1", &first, &expected);
}

#[test]
fn versions_are_gone_through_one_after_the_other() {
    let expected = of_today("TokenRegistered", |members| {
        members.insert("group".to_owned(), Value::Null);
    });
    assert_reads("Token", "TokenRegistered", "1", &first_token(), &expected);
    let second = stored("TokenRegistered", |members| {
        members.remove("group");
    });
    assert_reads("Token", "TokenRegistered", "2", &second, &expected);
    let third = of_today("TokenRegistered", |_| ());
    assert_reads("Token", "TokenRegistered", "3", &third.to_string(), &third);
    // What did not change is read as ever.
    assert_reads("Token", "TokenBlocked", "1", r#"{"TokenBlocked":{}}"#, &json!({"TokenBlocked": {}}));
}

#[test]
fn what_leads_nowhere_is_refused() {
    let refused = |version, payload: &str| decode("Token", "TokenRegistered", version, payload).unwrap_err();
    assert_eq!(
        refused("4", "{}"),
        "TokenRegistered was stored in version 4, and this program knows it up to version 3: a newer program wrote it, \
         update this one"
    );
    assert_eq!(refused("0", "{}"), "Token has no event TokenRegistered of version 0");
    let cannot = "TokenRegistered of version 1 can't be brought to the newest version: ";
    assert_eq!(refused("1", "{}"), format!("{cannot}its payload is not an object under its type's name"));
    assert_eq!(refused("1", r#"{"TokenRegistered":{}}"#), format!("{cannot}from version 1 to 2: it has no uid"));
    // Steps in a circle end.
    let (aggregate, event_type) = (AggregateType::Token, "TokenBlocked");
    let step = |from, to| Step { aggregate, event_type, from, to, says: "nothing", change: |_| Ok(()) };
    let circle = [step("7", "8"), step("8", "7")];
    let raw = RawEvent { aggregate_type: "Token", event_type: "TokenBlocked", event_version: "7", payload: "{}" };
    Catalogue::new(newest, &circle).decode(&raw).unwrap_err();
}

/// Proofs are over what is stored: reading it in another version changes none of it.
#[test]
fn hashes_and_digests_are_of_what_is_stored() {
    let payload = first_token();
    let digest = |hash| {
        let mut digest = BlockDigest::of(0);
        digest.take(Position(1), hash);
        digest.hex()
    };
    let before = digest(payload_hash(&payload));
    let event = decode("Token", "TokenRegistered", "1", &payload).unwrap();
    assert_eq!(digest(payload_hash(&payload)), before);
    assert_ne!(digest(payload_hash(&event.to_json())), before);
}
