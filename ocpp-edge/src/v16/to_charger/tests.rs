//! That nothing leaves that the specification does not allow, and that answers of any shape are understood.

use serde_json::json;

use super::*;
use crate::lenient::Message;

#[test]
fn commands_go_out_as_they_came() {
    let profile = json!({
        "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative", "validFrom": "2026-03-01T12:00:00Z",
        "chargingSchedule": {
            "duration": 3600, "chargingRateUnit": "A", "minChargingRate": 0.1,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8.1, "numberPhases": 3}],
        },
    });
    for (action, payload) in [
        ("ChangeAvailability", json!({"connectorId": 0, "type": "Inoperative"})),
        ("ChangeConfiguration", json!({"key": "HeartbeatInterval", "value": "300"})),
        ("ChangeConfiguration", json!({"key": "K", "value": ""})),
        ("ClearCache", json!({})),
        ("GetConfiguration", json!({})),
        ("GetConfiguration", json!({"key": ["HeartbeatInterval"]})),
        ("RemoteStartTransaction", json!({"idTag": "A"})),
        ("RemoteStartTransaction", json!({"idTag": "A", "connectorId": 2, "chargingProfile": profile})),
        ("RemoteStopTransaction", json!({"transactionId": -7})),
        ("Reset", json!({"type": "Soft"})),
        ("TriggerMessage", json!({"requestedMessage": "StatusNotification", "connectorId": 1})),
        ("UnlockConnector", json!({"connectorId": 1})),
    ] {
        let command = Command::parse(action, &payload.to_string()).unwrap();
        assert_eq!(command.action(), action);
        assert_eq!(serde_json::to_value(&command).unwrap(), payload);
    }
    assert_eq!(Command::parse("clearcache", "null").unwrap().action(), "ClearCache");
}

#[test]
fn what_is_not_allowed_is_named() {
    let tag = "x".repeat(21);
    let value = "x".repeat(501);
    for (action, payload, field) in [
        ("Reset", json!({"type": "Warm"}), "payload.type"),
        ("Reset", json!({}), "payload"),
        ("Reset", json!({"type": "Soft", "now": true}), "payload.now"),
        ("Reset", json!([]), "payload"),
        ("RemoteStartTransaction", json!({"idTag": tag}), "payload.idTag"),
        ("RemoteStartTransaction", json!({"idTag": ""}), "payload.idTag"),
        ("RemoteStartTransaction", json!({"idTag": "a\nb"}), "payload.idTag"),
        ("RemoteStartTransaction", json!({"idTag": "A", "connectorId": 0}), "payload.connectorId"),
        ("RemoteStopTransaction", json!({"transactionId": "7"}), "payload.transactionId"),
        ("RemoteStopTransaction", json!({"transactionId": 3_000_000_000_u32}), "payload.transactionId"),
        ("UnlockConnector", json!({"connectorId": 0}), "payload.connectorId"),
        ("ChangeAvailability", json!({"connectorId": -1, "type": "Operative"}), "payload.connectorId"),
        ("ChangeConfiguration", json!({"key": "K", "value": 5}), "payload.value"),
        ("ChangeConfiguration", json!({"key": "K", "value": value}), "payload.value"),
        ("GetConfiguration", json!({"key": ["A", tag.repeat(3)]}), "payload.key[1]"),
        ("TriggerMessage", json!({"requestedMessage": "StartTransaction"}), "payload.requestedMessage"),
    ] {
        match Command::parse(action, &payload.to_string()) {
            Err(Error::Field { field: named, detail }) => {
                assert_eq!(named, field, "{action} {payload}: {detail}");
                assert!(!detail.contains("line"), "{detail}");
            }
            other => panic!("{action} {payload}: {other:?}"),
        }
    }
    for action in ["Heartbeat", "GetDiagnostics", "Explode", ""] {
        assert_eq!(Command::parse(action, "{}"), Err(Error::Action(action.to_owned())));
    }
}

#[test]
fn a_profile_sent_with_a_start_is_for_its_transaction() {
    let payload = json!({"idTag": "A", "chargingProfile": {
        "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative", "chargingSchedule": {
            "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}],
        },
    }});
    assert!(matches!(
        Command::parse("RemoteStartTransaction", &payload.to_string()),
        Err(Error::Field { field, .. }) if field == "payload.chargingProfile.chargingProfilePurpose"
    ));
}

#[test]
fn tenths() {
    for tenths in 0..100_000 {
        let text = format!("{}.{}", tenths / 10, tenths % 10);
        let parsed: Tenths = serde_json::from_str(&text).expect(&text);
        assert_eq!(serde_json::to_string(&parsed).unwrap(), text);
    }
    for bad in ["8.11", "-0.1", "1e300", "\"8.1\""] {
        assert!(serde_json::from_str::<Tenths>(bad).is_err(), "{bad}");
    }
}

#[test]
fn answers_of_real_chargers() {
    let rejected = |word: &'static str| Verdict::Rejected { word: word.into() };
    let unclear = |word: Option<&'static str>| Verdict::Unclear { word: word.map(Into::into) };
    for (payload, verdict) in [
        (r#"{"status":"Accepted"}"#, Verdict::Accepted),
        (r#"{"status":"accepted"}"#, Verdict::Accepted),
        (r#"{"Status":"Accepted","extra":[]}"#, Verdict::Accepted),
        (r#""Accepted""#, Verdict::Accepted),
        (r#"{"status":"Unlocked"}"#, Verdict::Accepted),
        (r#"{"status":"Scheduled"}"#, Verdict::Scheduled),
        (r#"{"status":"RebootRequired"}"#, Verdict::RebootRequired),
        (r#"{"status":"Rejected"}"#, rejected("Rejected")),
        (r#"{"status":"NotSupported"}"#, rejected("NotSupported")),
        (r#"{"status":"NotImplemented"}"#, rejected("NotImplemented")),
        (r#"{"status":"UnlockFailed"}"#, rejected("UnlockFailed")),
        (r#"{"status":"Perhaps"}"#, unclear(Some("Perhaps"))),
        (r#"{"status":7}"#, unclear(Some("7"))),
        ("{}", unclear(None)),
        ("null", unclear(None)),
        ("[]", unclear(None)),
    ] {
        let command = Command::Reset(Reset { r#type: ResetType::Soft });
        let answer = command.read_answer(Node::parse(payload).unwrap());
        assert_eq!(answer.verdict, verdict, "{payload}");
        assert_eq!(answer.raw.get(), payload);
    }
}

#[test]
fn a_configuration_is_read_as_far_as_it_goes() {
    let payload = r#"{"configurationKey":[
        {"key":"HeartbeatInterval","readonly":false,"value":"300"},
        {"key":"NumberOfConnectors","readonly":"true","value":2},
        {"key":"AuthorizationKey"},
        {"value":"of nothing"}],"unknownKey":"Nonsense"}"#;
    let node = Node::parse(payload).unwrap();
    let command = Command::GetConfiguration(GetConfiguration::default());
    assert_eq!(command.read_answer(node).verdict, Verdict::Accepted);
    let configuration = Configuration::parse(node).unwrap().message;
    let keys: Vec<_> =
        configuration.keys.iter().map(|key| (key.key.as_ref(), key.readonly, key.value.as_deref())).collect();
    assert_eq!(
        keys,
        [
            ("HeartbeatInterval", Some(false), Some("300")),
            ("NumberOfConnectors", Some(true), Some("2")),
            ("AuthorizationKey", None, None),
        ]
    );
    assert_eq!(configuration.unknown_keys, ["Nonsense"]);
}
