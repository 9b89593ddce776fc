//! Whatever comes over the socket: nothing panics, what may not be refused is not, and what is written can be read.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::frame::{self, ErrorCode, Frame};
use crate::handshake::{BasicAuth, ChargerIdentity, negotiate};
use crate::json::Node;
use crate::v16::action::ACTIONS;
use crate::v16::from_charger::Request;
use crate::v16::to_charger::{Command, GetConfiguration};

/// Names that mean something, so that values of any kind get behind them.
const NAMES: [&str; 22] = [
    "connectorId",
    "idTag",
    "meterStart",
    "meterStop",
    "timestamp",
    "transactionId",
    "transactionData",
    "meterValue",
    "sampledValue",
    "value",
    "unit",
    "measurand",
    "context",
    "status",
    "errorCode",
    "info",
    "vendorId",
    "reason",
    "key",
    "type",
    "configurationKey",
    "unknownKey",
];

/// Real frames, to be damaged.
const FRAMES: [&str; 4] = [
    r#"[2,"1","StartTransaction",{"connectorId":1,"idTag":"A","meterStart":10,"timestamp":"2026-03-01T12:00:00Z"}]"#,
    r#"[2,"é","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-03-01T12:00:00","sampledValue":[{"value":"\u00e9\ud83d\ude00"}]}]}]"#,
    r#"[3,"1",{"status":"Accepted"}]"#,
    r#"[4,"1","NotSupported","",{}]"#,
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
        prop::sample::select(&["2026-03-01T12:00:00Z", "10", "10.0", "-1e9", "Accepted", ""][..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let name = prop_oneof![
            8 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_as_a_frame(text in any::<String>()) {
        if let Err(error) = frame::read(&text) {
            error.reply();
        }
    }

    #[test]
    fn any_json_as_a_frame(value in any_json()) {
        let _ = frame::read(&value.to_string());
    }

    #[test]
    fn a_damaged_frame(original in prop::sample::select(&FRAMES[..]), at in any::<prop::sample::Index>(), cut in 0..9_usize, put in ".{0,3}") {
        let mut chars: Vec<char> = original.chars().collect();
        let start = at.index(chars.len());
        let end = (start + cut).min(chars.len());
        chars.splice(start..end, put.chars());
        let text: String = chars.into_iter().collect();
        match frame::read(&text) {
            Ok(Frame::Call(call)) => {
                let _ = Request::parse(&call.action, call.payload);
            }
            Ok(_) => {}
            Err(error) => {
                if let Some((id, code)) = error.reply() {
                    let answer = frame::write::error(id, code, &error.to_string());
                    prop_assert!(matches!(frame::read(&answer), Ok(Frame::Error(_))));
                }
            }
        }
    }

    #[test]
    fn any_payload_of_any_action(payload in any_json(), action in prop::sample::select(&ACTIONS[..])) {
        let payload = payload.to_string();
        let node = Node::parse(&payload).unwrap();
        let parsed = Request::parse(action.name, node);
        if matches!(action.name, "StopTransaction" | "MeterValues" | "Heartbeat" | "DataTransfer" | "BootNotification") {
            prop_assert!(parsed.is_ok());
        }
        let _ = Command::parse(action.name, &payload);
        Command::GetConfiguration(GetConfiguration::default()).read_answer(node);
    }

    #[test]
    fn a_written_call_is_read_back(id in any::<String>(), action in any::<String>(), payload in any_json()) {
        let text = frame::write::call(&id, &action, &payload).unwrap();
        let Ok(Frame::Call(call)) = frame::read(&text) else {
            return Err(TestCaseError::fail(text));
        };
        prop_assert_eq!(call.id.text(), id);
        prop_assert_eq!(&call.action, &action);
        prop_assert_eq!(call.payload.raw().get(), payload.to_string());

        let answer = frame::write::result(call.id, &payload).unwrap();
        prop_assert!(matches!(frame::read(&answer), Ok(Frame::Result(result)) if result.id.text() == call.id.text()));

        let error = frame::write::error(call.id, ErrorCode::InternalError, &action);
        prop_assert!(matches!(frame::read(&error), Ok(Frame::Error(error)) if error.id.text() == call.id.text()));
    }

    #[test]
    fn any_opening_request(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        negotiate([text.as_str()]);
        let _ = ChargerIdentity::from_path(&text);
        let _ = BasicAuth::parse(&bytes);
    }

    #[test]
    fn an_encoded_identity_is_read_back(identity in "[^\\p{C}\\s]([^\\p{C}]{0,46}[^\\p{C}\\s])?") {
        let encoded: String = identity.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for path in [format!("/{encoded}"), format!("/ocpp/{encoded}")] {
            prop_assert_eq!(ChargerIdentity::from_path(&path).map(|id| id.to_string()), Ok(identity.clone()));
        }
    }
}
