use chrono::{DateTime, Utc};
use domain::envelope::{Actor, Envelope, ReportTimes, Retention, TimeSource};
use domain::id::TenantId;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::*;
use crate::columns::{ENVELOPE, row};
use crate::digest::payload_hash;
use crate::golden::GOLDEN;
use crate::metadata;
use crate::partition::partition;
use crate::stored::StoredEvent;

const LOG: Uuid = Uuid::from_u128(10);

fn full_envelope() -> Envelope {
    let at = |micros: i64| DateTime::<Utc>::from_timestamp_micros(1_700_000_000_000_000 + micros).expect("in range");
    Envelope {
        tenant_id: TenantId::DEFAULT,
        actor: Actor::system("start \"process\" \\ \u{1F50C} \n"),
        reason: Some("because\t\"so\", \u{0} {\"a\":1}".into()),
        causation_id: Some(Uuid::from_u128(7)),
        correlation_id: Some(Uuid::from_u128(8)),
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
        times: Some(ReportTimes {
            received_at: at(123_456),
            device_at: Some("2020-01-01 00:00:00".into()),
            occurred_at: Some(at(1)),
            source: TimeSource::DeviceCorrected,
        }),
    }
}

fn stored(event_type: &str, payload: &str, metadata: String) -> StoredEvent {
    let key = Uuid::from_u128(0x0190_163d_8694_739a_b1c2_d3e4_f506_1728);
    StoredEvent {
        position: Position(1234),
        sequence: 5,
        generation: Generation(2),
        recorded_at: DateTime::from_timestamp_micros(1_700_000_000_000_056).expect("in range"),
        event_id: Uuid::from_u128(1),
        partition_key: key,
        retention: Retention::Ledger.code(),
        partition: partition(key).number(),
        aggregate_type: "ChargePoint".to_owned(),
        aggregate_id: Uuid::from_u128(4),
        event_type: event_type.to_owned(),
        event_version: "1".to_owned(),
        payload: payload.to_owned(),
        metadata,
        payload_hash: payload_hash(payload),
    }
}

struct Written {
    headers: Vec<(&'static str, String)>,
    key: String,
    value: String,
}

fn write(event: &StoredEvent, prev: i64) -> Written {
    let mut headers = vec![];
    let mut encoder = Encoder::of_log(LOG);
    // What the one before left is not in the next.
    encoder.encode(
        &stored("Longer", "{\"Longer\":{\"a\":\"............................\"}}", "{}".into()).as_ref(),
        Position(9),
        |_, _| {},
    );
    let encoded = encoder.encode(&event.as_ref(), Position(prev), |name, text| headers.push((name, text.to_owned())));
    let (key, value) = (encoded.key.to_owned(), encoded.value.to_owned());
    Written { headers, key, value }
}

fn read(written: &Written) -> StoredEvent {
    let headers = written.headers.iter().map(|(name, text)| (*name, Some(text.as_bytes())));
    let head = head(headers).expect("a head");
    decode(head.position(), written.value.as_bytes()).expect("an event")
}

fn assert_comes_back(event: &StoredEvent) -> Written {
    let written = write(event, 1200);
    assert_eq!(&read(&written), event);
    assert!(!written.value.contains('\n'), "one line");
    written
}

/// Every version that was ever stored, with the fullest and the emptiest envelope.
#[test]
fn every_golden_event_comes_back_to_the_byte() {
    for golden in GOLDEN {
        // The samples are written for people; the log has them on one line.
        let value: Value = serde_json::from_str(golden.payload).expect("JSON");
        let emptiest = Envelope::new(TenantId::DEFAULT, Actor::system("test"));
        for payload in [value.to_string(), golden.payload.to_owned()] {
            for envelope in [&emptiest, &full_envelope()] {
                let mut event = stored(golden.event_type, &payload, metadata::to_json(envelope));
                event.event_version = golden.version.to_owned();
                event.aggregate_type = golden.aggregate.to_owned();
                let written = assert_comes_back(&event);
                let line: Value = serde_json::from_str(&written.value).expect("JSON");
                let expected = if line.get(STORED_PAYLOAD).is_some() { &value } else { &value[golden.event_type] };
                assert_eq!(&line["payload"], expected, "{}", golden.event_type);
                assert_eq!(line.get(STORED_PAYLOAD).is_some(), payload.contains('\n'), "{}", golden.event_type);
            }
        }
    }
}

/// What is written by hand here is what exports write from the table of the envelope.
#[test]
fn a_line_has_the_members_of_the_envelope() {
    let metadata = metadata::to_json(&full_envelope());
    let event = stored("TokenBlocked", r#"{"TokenBlocked":{}}"#, metadata);
    let line: Value = serde_json::from_str(&write(&event, 0).value).expect("JSON");
    let cells = row::envelope(&event);
    let mut expected: Map<String, Value> =
        ENVELOPE.iter().zip(&cells).map(|(column, cell)| (column.name.to_owned(), cell.to_json())).collect();
    assert!(expected.values().all(|value| !value.is_null()), "all of it is filled");
    expected.insert("payload".to_owned(), Value::Object(Map::new()));
    assert_eq!(line, Value::Object(expected));
}

#[test]
fn the_headers_are_text() {
    let event = stored("TokenBlocked", r#"{"TokenBlocked":{}}"#, metadata::to_json(&full_envelope()));
    let written = write(&event, 1200);
    let expected = [
        ("position", "1234"),
        ("prev", "1200"),
        ("generation", "2"),
        ("type", "TokenBlocked"),
        ("version", "1"),
        ("event_id", "00000000-0000-0000-0000-000000000001"),
        ("log", "00000000-0000-0000-0000-00000000000a"),
        ("trace", "0af7651916cd43dd8448eb211c80319c"),
    ];
    assert_eq!(written.headers, expected.map(|(name, text)| (name, text.to_owned())));
    assert_eq!(written.key, event.partition_key.to_string());
    let head = head(written.headers.iter().map(|(name, text)| (*name, Some(text.as_bytes())))).expect("a head");
    let (position, prev, generation) = (Position(1234), Position(1200), Generation(2));
    let expected = Head::Event { position, prev, generation, log: Some(LOG) };
    assert_eq!(head, expected);
}

#[test]
fn a_watermark_is_told_by_its_headers() {
    let headers = watermark_headers(Position(77), Generation(3), LOG);
    let read = head(headers.iter().map(|(name, text)| (*name, Some(text.as_bytes())))).expect("a head");
    assert_eq!(read, Head::Watermark { upto: Position(77), generation: Generation(3), log: Some(LOG) });
    assert_eq!((read.position(), read.generation()), (Position(77), Generation(3)));
}

/// Stored text that nobody writes today, and that a log may hold all the same.
#[test]
fn stored_text_of_any_shape_comes_back() {
    let usual = metadata::to_json(&full_envelope());
    let payloads = [
        r#"{"TokenBlocked":{},"more":1}"#,
        r#"{"TokenBlocked": {}}"#,
        r#"{"TokenBlocked":{} }"#,
        r#"{"TokenBlocked":{"a":{}},"b":{}}"#,
        "{\"TokenBlocked\":{\n}}",
        r#"{"Other":{}}"#,
        r#"{}"#,
        r#"[1,2]"#,
        r#"{"TokenBlocked":null}"#,
        r#"{"TokenBlocked":{"n":1.0000000000000000000001,"e":1e400,"u":"\u0041","d":1,"d":2}}"#,
    ];
    for payload in payloads {
        assert_comes_back(&stored("TokenBlocked", payload, usual.clone()));
    }
    let metadata = [
        "{}",
        r#"{"tenant_id": "x"}"#,
        r#"{"tenant_id":"x","later":"y"}"#,
        r#"{"tenant_id":"x","actor_id":"y"}"#,
        r#"{"actor_id":"x","actor_id":"y"}"#,
        r#"{"actor_id":1}"#,
        r#"{"actor_id":"x",}"#,
        r#"{"actor_id":"x""tenant_id":"y"}"#,
        r#"[]"#,
        "",
    ];
    for metadata in metadata {
        assert_comes_back(&stored("TokenBlocked", r#"{"TokenBlocked":{}}"#, metadata.to_owned()));
    }
    let mut event = stored("a \"new\"\ntype", r#"{}"#, usual);
    event.aggregate_type = "\\".to_owned();
    event.retention = 9;
    event.payload_hash = Uuid::nil();
    assert_comes_back(&event);
}

#[test]
fn what_is_no_record_is_told() {
    let number = |text: &'static str| {
        head([("generation", Some(b"1".as_slice())), ("prev", Some(b"0")), ("position", Some(text.as_bytes()))])
    };
    assert!(matches!(number("5"), Ok(Head::Event { position: Position(5), .. })));
    assert!(matches!(number("-5"), Err(Error::Header { name: "position", .. })));
    let log = |text: &'static [u8]| {
        head([("generation", Some(b"1".as_slice())), ("watermark", Some(b"5")), ("log", Some(text))])
            .map(|head| head.log())
    };
    assert!(matches!(log(b"00000000-0000-0000-0000-00000000000a"), Ok(Some(LOG))));
    assert!(matches!(log(b"ours"), Err(Error::Log(text)) if text == "ours"));
    assert!(matches!(number("5").map(|head| head.log()), Ok(None)), "of an older program");
    assert!(matches!(number("five"), Err(Error::Header { name: "position", .. })));
    assert!(matches!(head([("position", Some(b"5".as_slice()))]), Err(Error::NoHeader("generation"))));
    assert!(matches!(head([("generation", None)]), Err(Error::NoHeader("generation"))));
    assert!(matches!(decode(Position(1), b"{}"), Err(Error::Value(_))));
    assert!(matches!(decode(Position(1), b"\xff"), Err(Error::Value(_))));
    let event = stored("TokenBlocked", r#"{"TokenBlocked":{}}"#, "{}".into());
    let written = write(&event, 0);
    assert!(matches!(decode(Position(1), written.value.as_bytes()), Err(Error::OtherPosition { .. })));
    let other = written.value.replace(r#""partition":36"#, r#""partition":64"#);
    assert!(matches!(decode(Position(1234), other.as_bytes()), Err(Error::Member("partition"))));
    let other = written.value.replace("2023-11-14T", "2023-11-34T");
    assert!(matches!(decode(Position(1234), other.as_bytes()), Err(Error::Member("recorded_at"))));
    let later = written.value.replacen('{', r#"{"of_a_newer_program":[1],"#, 1);
    assert_eq!(decode(Position(1234), later.as_bytes()).expect("readable"), event);
}
