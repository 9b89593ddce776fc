//! One file for each version of each event that was ever stored, kept for ever in `golden/`: whoever reads the log must be
//! able to read all of them.
//!
//! A new event, or a new version of one, fails here until its file is written: run the tests once with
//! `COULOMB_WRITE_GOLDEN=1`, which writes what is missing and never touches what is there.

mod examples;
mod examples_of_charging;
mod fingerprints;
mod shape;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use domain::event::{AggregateType, Event};
use schema::catalogue::{DecodeError, decode};
use schema::log::RawEvent;
use serde_json::Value;

use examples::examples;

struct Golden {
    aggregate: AggregateType,
    event_type: String,
    version: String,
    payload: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn path(aggregate: AggregateType, event_type: &str, version: &str) -> PathBuf {
    folder().join(aggregate.as_str()).join(format!("{event_type}.v{version}.json"))
}

/// Every file, by its name `<Aggregate>/<EventType>.v<version>.json`.
fn golden() -> Vec<Golden> {
    let aggregates = AggregateType::ALL.iter();
    let of = |aggregate: &AggregateType| {
        let files = fs::read_dir(folder().join(aggregate.as_str())).expect("a folder for each aggregate");
        files.map(|file| file.unwrap().path()).map(|file| read(*aggregate, &file)).collect::<Vec<_>>()
    };
    aggregates.flat_map(of).collect()
}

fn read(aggregate: AggregateType, file: &Path) -> Golden {
    let name = file.file_name().unwrap().to_str().unwrap();
    let (event_type, version) = name.strip_suffix(".json").and_then(|name| name.split_once(".v")).expect(name);
    let payload = fs::read_to_string(file).unwrap();
    Golden { aggregate, event_type: event_type.to_owned(), version: version.to_owned(), payload }
}

impl Golden {
    fn decode(&self) -> Result<Event, DecodeError> {
        decode(&RawEvent {
            aggregate_type: self.aggregate.as_str(),
            event_type: &self.event_type,
            event_version: &self.version,
            payload: &self.payload,
        })
    }

    fn is_newest(&self) -> bool {
        self.aggregate.event_types().contains(&(self.event_type.as_str(), self.version.as_str()))
    }
}

fn write_missing() {
    static ONCE: Once = Once::new();
    if std::env::var_os("COULOMB_WRITE_GOLDEN").is_some() {
        ONCE.call_once(write);
    }
}

fn write() {
    for event in examples() {
        let file = path(event.aggregate(), event.event_type(), event.event_version());
        if file.exists() {
            continue;
        }
        let payload: Value = serde_json::from_str(&event.to_json()).unwrap();
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, format!("{payload:#}\n")).unwrap();
    }
}

/// Every event of the catalogue in its newest version has a file: an event that was added or changed without one fails.
#[test]
fn every_newest_version_has_its_file() {
    write_missing();
    for aggregate in AggregateType::ALL {
        for (event_type, version) in aggregate.event_types() {
            let file = path(*aggregate, event_type, version);
            assert!(file.exists(), "{} is missing (COULOMB_WRITE_GOLDEN=1 writes it)", file.display());
        }
    }
}

#[test]
fn every_stored_version_can_be_read() {
    write_missing();
    for golden in golden() {
        let Golden { event_type, version, .. } = &golden;
        let event = golden.decode().unwrap_or_else(|error| panic!("{event_type} v{version}: {error:?}"));
        if golden.is_newest() {
            assert_eq!(event.event_type(), event_type);
            let stored: Value = serde_json::from_str(&golden.payload).unwrap();
            let again: Value = serde_json::from_str(&event.to_json()).unwrap();
            assert_eq!(again, stored, "{event_type} v{version} is written otherwise than it was");
        }
    }
}

/// The files say what the examples say: an event whose shape changes without a new version fails.
#[test]
fn the_newest_versions_are_the_examples() {
    write_missing();
    for event in examples() {
        let file = path(event.aggregate(), event.event_type(), event.event_version());
        let stored: Value = serde_json::from_str(&fs::read_to_string(&file).expect("a file")).unwrap();
        let written: Value = serde_json::from_str(&event.to_json()).unwrap();
        assert_eq!(written, stored, "{}", file.display());
    }
}

/// Filled to the last optional field, so that the files hold all that can be stored.
#[test]
fn the_examples_are_complete() {
    let named: BTreeSet<_> = examples().iter().map(|event| (event.aggregate(), event.event_type())).collect();
    let all = AggregateType::ALL
        .iter()
        .flat_map(|aggregate| aggregate.event_types().iter().map(|(event_type, _)| (*aggregate, *event_type)));
    assert_eq!(named, all.collect());
    for event in examples() {
        assert!(!event.to_json().contains("null"), "{} has an empty field: {}", event.event_type(), event.to_json());
    }
}

#[test]
fn what_is_not_in_the_catalogue_is_named() {
    let payload = r#"{"TokenBlocked":{}}"#;
    let read = |aggregate_type, event_type, event_version, payload| {
        let raw = RawEvent { aggregate_type, event_type, event_version, payload };
        decode(&raw).expect_err("it can't be read").to_string()
    };
    assert_eq!(
        read("Unicorn", "TokenBlocked", "1", payload),
        "this program knows no aggregate Unicorn: a newer program wrote it, update this one"
    );
    assert_eq!(read("Token", "TokenEaten", "1", payload), "Token has no event TokenEaten of version 1");
    assert_eq!(
        read("Token", "TokenBlocked", "99", payload),
        "TokenBlocked was stored in version 99, and this program knows it up to version 1: a newer program wrote it, \
         update this one"
    );
    assert_eq!(read("Token", "TokenBlocked", "0", payload), "Token has no event TokenBlocked of version 0");
    assert_eq!(read("Site", "TokenBlocked", "1", payload), "Site has no event TokenBlocked of version 1");
    let malformed = "TokenBlocked of version 1 has another shape than expected";
    for payload in ["", "{}", r#"{"TokenEaten":{}}"#, r#"{"TokenUnblocked":{}}"#] {
        assert_eq!(read("Token", "TokenBlocked", "1", payload), malformed, "{payload}");
    }
}
