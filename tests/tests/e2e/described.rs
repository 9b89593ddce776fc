//! The history is as `docs/events.asyncapi.json` and the reference of events say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use jsonschema::Validator;
use schema::reference::{EventReference, PartitionKey, events};
use serde_json::{Value, json};
use tests::shared;

use crate::history::{OPERATOR, a_session, lines, said};

/// The schemas of messages, each made when it is needed first.
pub struct Messages {
    document: Value,
    made: BTreeMap<String, Validator>,
}

impl Messages {
    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let text = fs::read_to_string(root.join("docs/events.asyncapi.json")).expect("the document");
        Self { document: serde_json::from_str(&text).expect("JSON"), made: BTreeMap::new() }
    }

    fn of(&mut self, name: &str) -> &Validator {
        self.at(&format!("/components/messages/{name}/payload"))
    }

    fn at(&mut self, place: &str) -> &Validator {
        let document = &self.document;
        self.made.entry(place.to_owned()).or_insert_with(|| {
            let mut schema = document.pointer(place).cloned().unwrap_or_default();
            assert!(schema.is_object(), "{place} is not in the document");
            schema["components"] = json!({"schemas": document["components"]["schemas"]});
            jsonschema::draft7::options().should_validate_formats(true).build(&schema).expect("a schema")
        })
    }

    /// # Panics
    /// When a line does not fit its message.
    #[track_caller]
    pub fn assert_line(&mut self, name: &str, line: &Value) {
        let errors: Vec<_> = self.of(name).iter_errors(line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line}\n{}", errors.join("\n"));
    }

    /// # Panics
    /// When a record of an event has other headers.
    #[track_caller]
    pub fn assert_headers(&mut self, headers: &Value) {
        let place = "/components/messageTraits/kafkaRecord/headers";
        let errors: Vec<_> = self.at(place).iter_errors(headers).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{headers}\n{}", errors.join("\n"));
    }

    /// What a channel holds.
    pub fn topic(&self, channel: &str) -> BTreeSet<String> {
        let messages = self.document["channels"][channel]["messages"].as_object();
        messages.unwrap_or_else(|| panic!("there is no {channel}")).keys().cloned().collect()
    }
}

#[tokio::test]
async fn every_line_of_the_history_fits_its_message() {
    let network = shared().await;
    a_session(network).await;
    let all = ["tail", "--from-position", "1", "--json"];
    let why = ["--with-personal-data", "--actor", OPERATOR, "--reason", "a test of lines"];
    let sealed = lines(&said(network, &all));
    let clear = lines(&said(network, &[&all[..], &why[..]].concat()));

    let mut messages = Messages::read();
    let mut types = BTreeSet::new();
    for line in sealed.iter().chain(&clear) {
        let event_type = line["event_type"].as_str().expect("a type");
        let name = if line["undecodable"].is_null() { event_type } else { "Undecodable" };
        messages.assert_line(name, line);
        types.insert(event_type);
    }
    assert!(types.len() > 20, "{types:?}");

    let of_chargers = sealed.iter().filter(|line| line["aggregate_type"] == "ChargePoint");
    let charge_points: BTreeSet<_> = of_chargers.map(|line| line["aggregate_id"].as_str()).collect();
    for line in &sealed {
        let event =
            events().iter().find(|event| line["event_type"] == event.event_type).expect("it is in the reference");
        let key = &line["partition_key"];
        let is_as_said = match event.partition_key {
            PartitionKey::Stream => *key == line["aggregate_id"],
            PartitionKey::ChargePoint => charge_points.contains(&key.as_str()),
            PartitionKey::ParkedKey => *key == line["payload"]["partition_key"],
        };
        assert!(is_as_said, "it is ordered otherwise than {:?}: {line}", event.partition_key);
        assert_eq!(line["retention"], class(event, line), "{line}");
    }
}

/// How the reference says that it is kept.
fn class(event: &EventReference, line: &Value) -> &'static str {
    let holds = |kept: &&schema::reference::Kept| {
        kept.depends_on.as_ref().is_none_or(|(member, is)| line["payload"][member] == *is)
    };
    event.retention.iter().find(holds).map_or("nothing", |kept| kept.class)
}
