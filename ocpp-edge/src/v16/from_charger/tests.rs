//! What chargers in the field have been seen to send, message by message, and that what we answer is as specified.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::*;
use crate::lenient::{Reading, Words};

fn parse<'a>(action: &str, payload: &'a str) -> Result<(Request<'a>, Vec<String>), Error> {
    let node = Node::parse(payload).expect("the test's payload is JSON");
    Request::parse(action, node).map(|parsed| {
        let deviations = parsed.deviations.iter().map(ToString::to_string).collect();
        (parsed.message, deviations)
    })
}

fn deviations(action: &str, payload: &str) -> Vec<String> {
    parse(action, payload).expect(payload).1
}

/// What was tolerated, by message.
#[test]
fn tolerated_and_named() {
    for (action, payload, expected) in [
        ("Heartbeat", "{}", &[][..]),
        ("Heartbeat", "null", &["payload is empty"]),
        ("Heartbeat", "[1]", &["payload cannot be read"]),
        ("BootNotification", r#"{"chargePointVendor":"V","chargePointModel":"M"}"#, &[]),
        (
            "BootNotification",
            r#"{"chargePointVendor":"V","chargePointModel":"M","chargePointSerialNumber":"1234567890123456789012345678901234","iccid":"","imsi":null}"#,
            &["chargePointSerialNumber has more than 25 characters", "iccid is empty", "imsi is empty"],
        ),
        (
            "BootNotification",
            "null",
            &["payload is empty", "chargePointVendor is missing", "chargePointModel is missing"],
        ),
        ("Authorize", r#"{"idTag":"123456789012345678901"}"#, &["idTag has more than 20 characters"]),
        ("Authorize", r#"{"idTag":12345678}"#, &["idTag is of another type"]),
        ("Authorize", r#"{"idtag":"A"}"#, &["idTag is in another case"]),
        (
            "StatusNotification",
            r#"{"connectorId":"1","errorCode":"NoError","status":"available","info":"","vendorErrorCode":17}"#,
            &[
                "connectorId is of another type",
                "status is in another case",
                "info is empty",
                "vendorErrorCode is of another type",
            ],
        ),
        (
            "StatusNotification",
            r#"{"connectorId":1.0,"status":"Occupied","timestamp":"2026-03-01T12:00:00"}"#,
            &[
                "errorCode is missing",
                "connectorId is not an integer",
                "status is an unknown word",
                "timestamp has no time zone",
            ],
        ),
        (
            "StartTransaction",
            r#"{"connectorId":1,"idTag":"04AA_serial","meterStart":10.0,"timestamp":"2026-03-01T12:00:00Z","reservationId":null}"#,
            &["meterStart is not an integer", "reservationId is empty"],
        ),
        (
            "StartTransaction",
            r#"{"idTag":"A","meterStart":"10","timestamp":"yesterday"}"#,
            &["connectorId is missing", "meterStart is of another type", "timestamp is no time"],
        ),
        (
            "StartTransaction",
            r#"{"connectorId":-1,"idTag":"A","meterStart":1,"timestamp":"1970-01-01T00:00:07Z"}"#,
            &["connectorId cannot be read"],
        ),
        (
            "MeterValues",
            r#"{"connectorId":1,"transactionId":-1,"meterValue":[{"timestamp":"2026-03-01T12:00:00Z","sampledValue":[{"value":"1","context":"","measurand":"Vendor.Thing","unit":"Celcius"}]}]}"#,
            &["sampledValue.context is empty", "sampledValue.measurand is an unknown word"],
        ),
        (
            "MeterValues",
            r#"{"connectorId":1,"meterValue":{"timestamp":"2026-03-01T12:00:00Z","sampledValue":{"value":12.50}}}"#,
            &[
                "meterValue is not a list",
                "meterValue.sampledValue is not a list",
                "sampledValue.value is of another type",
            ],
        ),
        (
            "StopTransaction",
            r#"{"transactionId":7,"meterStop":5,"timestamp":"2026-03-01T12:00:00Z","reason":"Gremlins","transactionData":null}"#,
            &["reason is an unknown word", "transactionData is empty"],
        ),
        ("DataTransfer", r#"{"data":{"a":1}}"#, &["vendorId is missing", "data is of another type"]),
        ("FirmwareStatusNotification", r#"{"status":"Rebooting"}"#, &["status is an unknown word"]),
        ("DiagnosticsStatusNotification", r#"{"status":"Idle","extra":1}"#, &[]),
    ] {
        assert_eq!(deviations(action, payload), expected, "{action} {payload}");
    }
}

#[test]
fn refused_only_if_nothing_can_be_done() {
    use ErrorCode::{FormationViolation, OccurenceConstraintViolation, TypeConstraintViolation};
    for (action, payload, code, text) in [
        ("Authorize", "{}", OccurenceConstraintViolation, "idTag: is missing"),
        ("Authorize", r#"{"idTag":""}"#, TypeConstraintViolation, "idTag: cannot be read"),
        ("Authorize", "[7]", FormationViolation, "idTag: the payload is not of the message's shape"),
        ("StatusNotification", r#"{"status":"Available"}"#, OccurenceConstraintViolation, "connectorId: is missing"),
        ("StatusNotification", r#"{"connectorId":"one"}"#, TypeConstraintViolation, "connectorId: cannot be read"),
        ("StartTransaction", "null", OccurenceConstraintViolation, "connectorId: is missing"),
        ("FirmwareStatusNotification", "{}", OccurenceConstraintViolation, "status: is missing"),
        ("DiagnosticsStatusNotification", "{}", OccurenceConstraintViolation, "status: is missing"),
        ("SecurityEventNotification", "{}", ErrorCode::NotSupported, "the action is not supported"),
        ("NotifyReport", "{}", ErrorCode::NotImplemented, "the action is not known"),
    ] {
        let error = parse(action, payload).expect_err(payload);
        assert_eq!((error.code(), error.to_string().as_str()), (code, text), "{action} {payload}");
    }
}

#[test]
fn what_is_needed_twice_is_verbatim() {
    let (request, _) = parse(
        "MeterValues",
        r#"{"connectorId":0,"meterValue":[{"timestamp":"2026-03-01T12:00:00","sampledValue":[
            {"value":"AP;0;3;\/\u00e9","format":"SignedData"},{"value":10.10,"unit":"kWh"},{"unit":"V"},7]}]}"#,
    )
    .unwrap();
    let Request::MeterValues(values) = request else {
        panic!("{request:?}");
    };
    assert_eq!((values.connector_id, values.transaction_id), (Some(0), None));
    let meter_value = &values.meter_values[0];
    let timestamp = meter_value.timestamp.as_ref().unwrap();
    assert_eq!(timestamp.text, "2026-03-01T12:00:00");
    assert!(matches!(timestamp.reading, Reading::Zoneless(_)));
    let texts: Vec<_> = meter_value.sampled_values.iter().map(|v| v.value.as_ref()).collect();
    assert_eq!(texts, ["AP;0;3;/é", "10.10"]);
}

#[test]
fn unknown_words_are_kept() {
    let (request, _) =
        parse("StatusNotification", r#"{"connectorId":2,"status":"Occupied","errorCode":"noerror"}"#).unwrap();
    let Request::StatusNotification(status) = request else {
        panic!("{request:?}");
    };
    let word = status.status.unwrap();
    assert_eq!((word.text.as_ref(), word.known), ("Occupied", None));
    assert_eq!(status.error_code.unwrap().known, Some(ChargePointErrorCode::NoError));
}

/// A CALLERROR makes chargers repeat it for ever: there is none to a StopTransaction.
#[test]
fn a_stop_is_always_taken() {
    for (payload, transaction_id) in [
        (r#"{"transactionId":7,"meterStop":1,"timestamp":"2026-03-01T12:00:00Z"}"#, Some(7)),
        (r#"{"transactionId":"7"}"#, Some(7)),
        (r#"{"transactionId":7.0}"#, Some(7)),
        (r#"{"transactionId":0}"#, Some(0)),
        (r#"{"transactionId":-1}"#, Some(-1)),
        (r#"{"transactionid":7}"#, Some(7)),
        (r#"{"transactionId":"abc","meterStop":[]}"#, None),
        (r#"{"transactionId":null}"#, None),
        ("{}", None),
        ("null", None),
        ("[1,2]", None),
        ("7", None),
    ] {
        let found = match parse("StopTransaction", payload) {
            Ok((Request::StopTransaction(StopTransaction::Of { transaction_id, .. }), _)) => Some(transaction_id),
            Ok((Request::StopTransaction(StopTransaction::Unmatched(_)), _)) => None,
            other => panic!("{payload}: {other:?}"),
        };
        assert_eq!(found, transaction_id, "{payload}");
    }
}

#[test]
fn a_long_sessions_stop_is_read_whole_and_borrowed() {
    let reading = r#"{"timestamp":"2026-03-01T12:00:00Z","sampledValue":[{"value":"12345","measurand":"Energy.Active.Import.Register","unit":"Wh"},{"value":"230.1","measurand":"Voltage","phase":"L1"}]}"#;
    let readings = vec![reading; 3000].join(",");
    let payload = format!(
        r#"{{"transactionId":7,"meterStop":12345,"timestamp":"2026-03-01T12:00:00Z","transactionData":[{readings}]}}"#
    );
    assert!(payload.len() > 500_000);
    let (request, deviations) = parse("StopTransaction", &payload).unwrap();
    let Request::StopTransaction(StopTransaction::Of { stop, .. }) = request else {
        panic!("not a stop of a transaction");
    };
    assert!(deviations.is_empty());
    assert_eq!(stop.meter_values.len(), 3000);
    assert!(
        stop.meter_values
            .iter()
            .flat_map(|reading| &reading.sampled_values)
            .all(|value| matches!(value.value, std::borrow::Cow::Borrowed(_)))
    );
}

#[test]
fn a_start_is_the_same_however_its_meter_is_written() {
    let meter = |json: &str| match parse("StartTransaction", &format!(r#"{{"meterStart":{json}}}"#)).unwrap().0 {
        Request::StartTransaction(start) => start.meter_start_wh,
        other => panic!("{other:?}"),
    };
    for json in ["10", "10.0", "\"10\"", "1e1", "\"10.00\""] {
        assert_eq!(meter(json), Some(10.into()), "{json}");
        assert_eq!(meter(json).unwrap().to_string(), "10", "{json}");
    }
    assert_eq!(meter("1234.5").unwrap().to_string(), "1234.5");
}

#[test]
fn answers_are_written_as_specified() {
    let now: DateTime<Utc> = "2026-03-01T12:00:00.123456Z".parse().unwrap();
    let info = IdTagInfo {
        status: AuthorizationStatus::ConcurrentTx,
        expiry_date: Some(now),
        parent_id_tag: Some("GROUP".to_owned().try_into().unwrap()),
    };
    let written_info =
        json!({"status": "ConcurrentTx", "expiryDate": "2026-03-01T12:00:00.123Z", "parentIdTag": "GROUP"});
    let boot = BootNotificationResponse { status: RegistrationStatus::Pending, current_time: now, interval_s: 300 };
    for (written, expected) in [
        (
            serde_json::to_value(boot),
            json!({"status": "Pending", "currentTime": "2026-03-01T12:00:00.123Z", "interval": 300}),
        ),
        (
            serde_json::to_value(HeartbeatResponse { current_time: "2026-03-01T12:00:00Z".parse().unwrap() }),
            json!({"currentTime": "2026-03-01T12:00:00.000Z"}),
        ),
        (
            serde_json::to_value(AuthorizeResponse { id_tag_info: IdTagInfo::of(AuthorizationStatus::Invalid) }),
            json!({"idTagInfo": {"status": "Invalid"}}),
        ),
        (
            serde_json::to_value(StartTransactionResponse { id_tag_info: info.clone(), transaction_id: 42 }),
            json!({"idTagInfo": written_info, "transactionId": 42}),
        ),
        (serde_json::to_value(StopTransactionResponse::default()), json!({})),
        (serde_json::to_value(StopTransactionResponse { id_tag_info: Some(info) }), json!({"idTagInfo": written_info})),
        (
            serde_json::to_value(DataTransferResponse { status: DataTransferStatus::UnknownVendorId, data: None }),
            json!({"status": "UnknownVendorId"}),
        ),
        (serde_json::to_value(Acknowledged {}), json!({})),
    ] {
        assert_eq!(written.unwrap(), expected);
    }
}

#[test]
fn words_are_written_as_they_are_read() {
    fn check<E: Words + serde::Serialize + PartialEq + std::fmt::Debug>() {
        for word in E::ALL {
            assert_eq!(serde_json::to_value(word).unwrap(), word.as_str());
            assert_eq!(E::find(&word.as_str().to_uppercase()), Some(*word));
        }
    }
    check::<AuthorizationStatus>();
    check::<ChargePointErrorCode>();
    check::<ChargePointStatus>();
    check::<DataTransferStatus>();
    check::<DiagnosticsStatus>();
    check::<FirmwareStatus>();
    check::<RegistrationStatus>();
    check::<StopReason>();
}
