//! An event must not change without a new version: what each version takes and writes is kept in `schema/fingerprints`, one
//! file for each golden file.
//!
//! Any change of the structure counts, an added member that may be absent too: the version is what tells readers (columns
//! of analysts, archives, programs of another version) which members there are. `COULOMB_WRITE_GOLDEN=1` writes what is
//! missing and never touches what is there.

use std::fs;
use std::path::PathBuf;

use domain::event::AggregateType;
use serde_json::{Value, json};

use crate::shape::{Shape, of, of_event};
use crate::{golden, write_missing};

fn file(aggregate: AggregateType, event_type: &str, version: &str) -> PathBuf {
    let name = format!("{event_type}.v{version}.txt");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fingerprints").join(aggregate.as_str()).join(name)
}

/// Alternatives that the golden file does not hold: a file holds one.
fn others(event_type: &str, sample: &Value) -> Vec<Value> {
    if event_type != "StationCommandRequested" {
        return vec![];
    }
    let outlet = &sample[event_type]["action"]["RemoteStart"]["outlet"];
    let actions = [
        json!({"RemoteStop": {"transaction_id": "17"}}),
        json!({"Reset": {"hard": true}}),
        json!({"UnlockConnector": {"outlet": outlet}}),
        json!({"ChangeAvailability": {"outlet": outlet, "operative": true}}),
        json!({"GetConfiguration": {"keys": ["HeartbeatInterval"]}}),
        json!({"ChangeConfiguration": {"key": "HeartbeatInterval", "value": "300"}}),
        json!({"TriggerMessage": {"requested_message": "Heartbeat", "outlet": outlet}}),
        json!({"ClearCache": {}}),
    ];
    let with = |action| {
        let mut other = sample.clone();
        other[event_type]["action"] = action;
        other
    };
    actions.into_iter().map(with).collect()
}

fn text(shape: &Shape) -> String {
    shape.iter().map(|(path, told)| if path.is_empty() { String::new() } else { format!("{path}: {told}\n") }).collect()
}

/// What differs, a line each; none where nothing does.
fn differences(kept: &str, found: &str) -> Option<String> {
    let only = |these: &str, those: &str, mark| -> Vec<String> {
        these.lines().filter(|line| !those.lines().any(|other| other == *line)).map(|l| format!("{mark} {l}")).collect()
    };
    let all = [only(kept, found, '-'), only(found, kept, '+')].concat();
    (!all.is_empty()).then(|| all.join("\n"))
}

fn complaint(event_type: &str, version: &str, differences: &str) -> String {
    let next = version.parse::<u32>().expect("versions are whole numbers") + 1;
    format!(
        "{event_type} changed: raise its version to {next} (event_names!), keep its golden file v{version}, write a step \
         from {version} to {next} in schema/src/upcast.rs, and run this once with COULOMB_WRITE_GOLDEN=1.\n{differences}"
    )
}

#[test]
fn no_event_changes_without_a_new_version() {
    write_missing();
    let mut complaints = vec![];
    for golden in golden().into_iter().filter(crate::Golden::is_newest) {
        let (event_type, version) = (golden.event_type.as_str(), golden.version.as_str());
        let sample: Value = serde_json::from_str(&golden.payload).unwrap();
        let mut shape = of_event(golden.aggregate.as_str(), event_type, version, &sample);
        for other in others(event_type, &sample) {
            shape.extend(of_event(golden.aggregate.as_str(), event_type, version, &other));
        }
        for (path, told) in &shape {
            for word in told.strip_prefix("object of one of: ").into_iter().flat_map(|words| words.split(", ")) {
                let alternative = format!("{path}.{}", word.split(" or null").next().unwrap());
                assert!(shape.contains_key(&alternative), "{event_type}: no sample has {alternative} (see `others`)");
            }
        }
        let file = file(golden.aggregate, event_type, version);
        if !file.exists() && std::env::var_os("COULOMB_WRITE_GOLDEN").is_some() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text(&shape)).unwrap();
        }
        let kept = fs::read_to_string(&file)
            .unwrap_or_else(|_| panic!("{} is missing (COULOMB_WRITE_GOLDEN=1 writes it)", file.display()));
        complaints.extend(differences(&kept, &text(&shape)).map(|lines| complaint(event_type, version, &lines)));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

/// What the test above is there for, on an event of which everything is known.
mod what_is_noticed {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Kept {
        #[serde(rename = "id")]
        _id: uuid::Uuid,
        #[serde(rename = "place")]
        _place: Place,
        #[serde(rename = "readings")]
        _readings: Vec<Place>,
    }

    #[derive(Deserialize)]
    struct Place {
        #[serde(rename = "name")]
        _name: Option<String>,
        #[serde(rename = "number")]
        _number: i64,
        #[serde(rename = "kind")]
        _kind: Kind,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Public,
        Private,
    }

    fn sample() -> Value {
        let place = json!({"name": "Market", "number": 1, "kind": "public"});
        json!({"Kept": {"id": "00000000-0000-0000-0000-000000000001", "place": place, "readings": [place]}})
    }

    fn shape<T: for<'de> Deserialize<'de>>(sample: &Value) -> String {
        text(&of(sample, &|payload| T::deserialize(&payload["Kept"]).map(|_| ()).map_err(|error| error.to_string())))
    }

    /// Of an event whose places are of another type.
    fn changed<P: for<'de> Deserialize<'de>>(place: Value) -> String {
        #[derive(Deserialize)]
        struct With<P> {
            #[serde(rename = "id")]
            _id: uuid::Uuid,
            #[serde(rename = "place")]
            _place: P,
            #[serde(rename = "readings")]
            _readings: Vec<Place>,
        }
        let mut sample = sample();
        sample["Kept"]["place"] = place;
        differences(&shape::<Kept>(&self::sample()), &shape::<With<P>>(&sample)).unwrap_or_default()
    }

    #[test]
    fn nothing_is_found_where_nothing_changed() {
        let shape = shape::<Kept>(&sample());
        assert_eq!(differences(&shape, &shape), None);
        assert_eq!(changed::<Place>(sample()["Kept"]["place"].clone()), "");
        assert!(shape.contains("readings[].number: integer\n"), "{shape}");
        assert!(shape.contains("id: UUID\n"), "{shape}");
    }

    #[test]
    fn removed_renamed_added_and_other_types() {
        #[derive(Deserialize)]
        struct Removed {
            #[serde(rename = "name")]
            _name: Option<String>,
            #[serde(rename = "kind")]
            _kind: Kind,
        }
        #[derive(Deserialize)]
        struct Other<N, T, K> {
            #[serde(rename = "name")]
            _name: N,
            #[serde(rename = "number")]
            _number: T,
            #[serde(rename = "kind")]
            _kind: K,
        }
        #[derive(Deserialize)]
        struct Added {
            #[serde(flatten)]
            _place: Place,
            #[serde(rename = "extra")]
            _extra: i64,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum MoreWords {
            Public,
            Private,
            Shared,
        }
        let place = || json!({"name": "Market", "number": 1, "kind": "public"});
        assert_eq!(changed::<Removed>(json!({"name": "Market", "kind": "public"})), "- place.number: integer");
        assert_eq!(
            changed::<Added>(json!({"name": "Market", "number": 1, "kind": "public", "extra": 1})),
            "+ place.extra: integer"
        );
        let words = changed::<Other<Option<String>, i64, MoreWords>>(place());
        assert!(words.contains("+ place.kind: one of: public, private, shared"), "{words}");
        assert_eq!(
            changed::<Other<Option<String>, u16, Kind>>(place()),
            "- place.number: integer\n+ place.number: integer from 0 of 32 bits at most"
        );
        assert_eq!(
            changed::<Other<String, i64, Kind>>(place()),
            "- place.name: text or null, may be absent\n+ place.name: text"
        );
        let renamed = complaint("Kept", "1", "…");
        assert!(renamed.starts_with("Kept changed: raise its version to 2"), "{renamed}");
        let _ = (MoreWords::Public, MoreWords::Private, MoreWords::Shared, Kind::Public, Kind::Private);
    }
}
