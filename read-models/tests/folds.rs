//! What every read model owes, over random networks.

use std::collections::HashMap;

use domain::aggregate::Payload;
use domain::envelope::ActorKind;
use domain::session::SessionEvent;
use domain::station_command::CommandState;
use read_models::testing::{MemoryLog, Network};
use read_models::{Fact, fold_all, may_touch, passed_over, retention, touched};
use schema::view::{Model, Row};
use uuid::Uuid;

const SEEDS: u64 = 20;
const STEPS: usize = 400;

fn log_of(seed: u64) -> MemoryLog {
    let mut network = Network::new(seed);
    let mut log = MemoryLog::default();
    for _ in 0..STEPS {
        log.append(network.step());
    }
    log
}

#[test]
fn no_row_is_written_by_events_of_two_partition_keys() {
    for seed in 0..SEEDS {
        let log = log_of(seed);
        let mut writers: HashMap<(Model, String), Uuid> = HashMap::new();
        for event in log.events() {
            for touch in touched(&Fact::of(event).unwrap()) {
                let writer = *writers.entry((touch.model, touch.key.clone())).or_insert(event.partition_key);
                assert_eq!(writer, event.partition_key, "seed {seed}: {touch:?} at {}", event.position);
            }
        }
    }
}

#[test]
fn what_begins_a_row_is_the_first_to_touch_it() {
    for seed in 0..SEEDS {
        let log = log_of(seed);
        let mut seen = std::collections::HashSet::new();
        for event in log.events() {
            for touch in touched(&Fact::of(event).unwrap()) {
                let first = seen.insert((touch.model, touch.key.clone()));
                assert!(first || !touch.begins, "seed {seed}: {touch:?} at {}", event.position);
            }
        }
    }
}

#[test]
fn read_models_name_the_retention_classes_they_are_built_from() {
    for seed in 0..SEEDS {
        for event in log_of(seed).events() {
            for touch in touched(&Fact::of(event).unwrap()) {
                assert!(retention(touch.model).contains(&event.retention), "{touch:?} of {}", event.event_type);
            }
        }
    }
}

#[test]
fn no_event_that_a_rebuild_passes_over_touches_a_row() {
    let mut passed = 0;
    for seed in 0..SEEDS {
        for event in log_of(seed).events() {
            let (aggregate, event_type) = (event.stream.aggregate, event.event_type.as_str());
            for touch in touched(&Fact::of(event).unwrap()) {
                assert!(may_touch(touch.model, aggregate, event_type), "seed {seed}: {touch:?} of {event_type}");
            }
            passed += Model::ALL.iter().filter(|model| !may_touch(**model, aggregate, event_type)).count();
        }
    }
    assert!(passed > 0);
    for model in Model::ALL {
        for (aggregate, event_type) in passed_over(model) {
            let types = aggregate.event_types();
            assert!(types.iter().any(|(name, _)| name == event_type), "{} passes over {event_type}", model.name());
        }
    }
}

#[test]
fn every_read_model_has_rows_that_survive_their_json() {
    let mut of_model: HashMap<Model, usize> = HashMap::new();
    for seed in 0..SEEDS {
        for ((model, key), change) in fold_all(log_of(seed).events().iter().map(AsRef::as_ref)).unwrap() {
            *of_model.entry(model).or_default() += 1;
            let again = Row::from_json(model, &change.row.to_json()).unwrap();
            assert_eq!(again.to_json(), change.row.to_json(), "seed {seed}: {key}");
        }
    }
    assert_eq!(of_model.len(), Model::ALL.len(), "{of_model:?}");
}

#[test]
fn a_session_shows_what_it_costs_while_it_runs_and_what_it_cost_in_the_end() {
    let (mut running, mut settled) = (0, 0);
    for seed in 0..SEEDS {
        let log = log_of(seed);
        let rows = fold_all(log.events().iter().map(AsRef::as_ref)).unwrap();
        for change in rows.values() {
            let Row::Sessions(row) = &change.row else { continue };
            match (&row.cost, &row.session.final_price) {
                (Some(cost), Some(priced)) => {
                    assert_eq!((&cost.priced, cost.revision), (priced, row.session.price_revision));
                    assert!(cost.revision > 0);
                    settled += 1;
                }
                (cost, None) => {
                    assert_eq!(cost.as_ref().map(|cost| &cost.priced), row.session.price().as_ref());
                    assert!(cost.as_ref().is_none_or(|cost| cost.revision == 0));
                    running += usize::from(cost.is_some());
                }
                (None, Some(_)) => panic!("seed {seed}: {} was priced and shows nothing", change.key),
            }
        }
    }
    assert!(running > 0 && settled > 0, "{running} running, {settled} settled");
}

#[test]
fn a_cancelled_start_is_a_command_that_is_done() {
    let mut cancelled = 0;
    for seed in 0..SEEDS {
        let log = log_of(seed);
        let rows = fold_all(log.events().iter().map(AsRef::as_ref)).unwrap();
        for event in log.events() {
            let Some(SessionEvent::SessionFailed { .. }) = SessionEvent::from_event(event.event.as_ref().unwrap())
            else {
                continue;
            };
            if event.envelope.actor.kind != ActorKind::Driver {
                continue;
            }
            let key = event.envelope.causation_id.unwrap().to_string();
            let Row::Commands(row) = &rows[&(Model::Commands, key)].row else { panic!("no command") };
            assert_eq!((row.kind.as_str(), row.state), ("stop_charging", CommandState::Done));
            assert_eq!(row.session_id.map(|id| id.0), Some(event.stream.id));
            cancelled += 1;
        }
    }
    assert!(cancelled > 0);
}

#[test]
fn every_command_of_a_person_has_a_row_that_says_who_asked() {
    for seed in 0..SEEDS {
        let log = log_of(seed);
        let rows = fold_all(log.events().iter().map(AsRef::as_ref)).unwrap();
        for event in log.events() {
            let actor = &event.envelope.actor;
            if !matches!(actor.kind, ActorKind::Driver | ActorKind::Operator) {
                continue;
            }
            let command = event.envelope.causation_id.unwrap();
            let Some(change) = rows.get(&(Model::Commands, command.to_string())) else {
                panic!("seed {seed}: {} at {} has no command", event.event_type, event.position)
            };
            let Row::Commands(row) = &change.row else { panic!("no command") };
            assert_eq!(&row.requested_by, actor);
        }
    }
}
