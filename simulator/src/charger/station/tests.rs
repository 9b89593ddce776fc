use chrono::Utc;
use serde_json::{Value, json};

use super::*;
use crate::charger::answer::Answer;
use crate::charger::view::Status;

/// A station with a network that always answers.
struct Bench {
    station: Station,
    now: Moment,
    said: Vec<(&'static str, Value)>,
    next_transaction_id: i64,
}

impl Bench {
    fn new() -> Self {
        let now = Moment { instant: Instant::now(), at: Utc::now() };
        let station = Station::new(ChargerConfig::new("ws://127.0.0.1:1", "T"), 1_000.0, now);
        Self { station, now, said: vec![], next_transaction_id: 41 }
    }

    fn online() -> Self {
        let mut bench = Self::new();
        bench.station.connected(bench.now);
        bench.exchange();
        bench.said.clear();
        bench
    }

    fn after(&mut self, seconds: u64) {
        let duration = Duration::from_secs(seconds);
        self.now = Moment { instant: self.now.instant + duration, at: self.now.at + duration };
        self.station.tick(self.now);
    }

    /// Lets it say everything, and acknowledges it.
    fn exchange(&mut self) {
        while let Some(message) = self.station.next_message(self.now) {
            self.said.push((message.action, message.payload.clone()));
            let answer = match message.action {
                "BootNotification" => json!({"status": "Accepted", "interval": 300}),
                "StartTransaction" => {
                    self.next_transaction_id += 1;
                    json!({"transactionId": self.next_transaction_id, "idTagInfo": {"status": "Accepted"}})
                }
                "Authorize" => json!({"idTagInfo": {"status": "Accepted"}}),
                _ => json!({}),
            };
            self.station.acknowledged(message, &answer, self.now);
        }
    }

    /// The first message of a connection alone.
    fn exchange_boot(&mut self) {
        let boot = self.station.next_message(self.now).unwrap();
        self.said.push((boot.action, boot.payload.clone()));
        self.station.acknowledged(boot, &json!({"status": "Accepted", "interval": 300}), self.now);
    }

    fn asked(&mut self, action: &str, payload: Value) -> Value {
        match self.station.asked(action, &payload, self.now) {
            Answer::Result(answer) => answer,
            Answer::Error(code) => json!(code),
            Answer::Silence => Value::Null,
        }
    }

    fn actions(&self) -> Vec<&'static str> {
        self.said.iter().map(|(action, _)| *action).collect()
    }

    fn status(&self) -> Status {
        self.station.view().outlets[0].status
    }
}

#[test]
fn it_boots_before_it_says_anything_else() {
    let mut bench = Bench::new();
    bench.station.connected(bench.now);
    bench.exchange();
    assert_eq!(bench.actions(), ["BootNotification", "StatusNotification", "StatusNotification"]);
}

#[test]
fn reports_of_the_same_in_one_moment_can_be_told_apart() {
    let mut bench = Bench::online();
    bench.said.clear();
    bench.station.plug(1, Car::default(), bench.now).unwrap();
    let ask = json!({"requestedMessage": "StatusNotification", "connectorId": 1});
    assert_eq!(bench.asked("TriggerMessage", ask), json!({"status": "Accepted"}));
    bench.exchange();
    let [(_, first), (_, second)] = &bench.said[..] else { panic!("{:?}", bench.said) };
    assert_eq!((&first["status"], &second["status"]), (&json!("Preparing"), &json!("Preparing")));
    assert_ne!(first["timestamp"], second["timestamp"]);
}

#[test]
fn a_start_from_afar_waits_for_a_car_and_not_for_ever() {
    let mut bench = Bench::online();
    let start = json!({"connectorId": 1, "idTag": "AB"});
    assert_eq!(bench.asked("RemoteStartTransaction", start.clone()), json!({"status": "Accepted"}));
    assert_eq!(bench.asked("RemoteStartTransaction", start.clone()), json!({"status": "Rejected"}), "it is taken");
    assert_eq!(bench.status(), Status::Preparing);
    bench.after(121);
    assert_eq!(bench.status(), Status::Available);

    assert_eq!(bench.asked("RemoteStartTransaction", start), json!({"status": "Accepted"}));
    bench.station.plug(1, Car::default(), bench.now).unwrap();
    bench.exchange();
    assert_eq!(bench.status(), Status::Charging);
    assert_eq!(bench.station.view().outlets[0].transaction_id, Some(42));
    bench.after(60);
    assert_eq!(bench.asked("RemoteStopTransaction", json!({"transactionId": 7})), json!({"status": "Rejected"}));
    assert_eq!(bench.asked("RemoteStopTransaction", json!({"transactionId": 42})), json!({"status": "Accepted"}));
    bench.exchange();
    let stop = &bench.said.iter().find(|(action, _)| *action == "StopTransaction").unwrap().1;
    assert_eq!((&stop["transactionId"], &stop["reason"]), (&json!(42), &json!("Remote")));
    assert!(stop["meterStop"].as_i64() > Some(1_000), "{stop}");
    assert_eq!(bench.status(), Status::Finishing);
    bench.station.unplug(1, bench.now).unwrap();
    assert_eq!(bench.status(), Status::Available);
}

#[test]
fn what_happens_offline_is_said_later_in_order_and_with_the_id_that_it_gets() {
    let mut bench = Bench::online();
    bench.station.disconnected();
    bench.station.plug(1, Car::default(), bench.now).unwrap();
    bench.station.swipe(1, "CARD".to_owned(), bench.now).unwrap();
    let began = bench.now.timestamp();
    bench.after(30);
    bench.station.swipe(1, "CARD".to_owned(), bench.now).unwrap();
    assert_eq!(bench.status(), Status::Finishing);
    let ended = bench.now.timestamp();

    bench.after(3_600);
    bench.station.connected(bench.now);
    // The first answer is lost: the same is said again.
    bench.exchange_boot();
    let lost = bench.station.next_message(bench.now).unwrap();
    assert_eq!(lost.payload["timestamp"], began);
    bench.station.unanswered(lost.clone());
    bench.exchange();
    assert_eq!(bench.said[1], (lost.action, lost.payload), "the same content");
    let of_the_session: Vec<&str> = bench
        .actions()
        .into_iter()
        .filter(|action| !["BootNotification", "StatusNotification", "Heartbeat"].contains(action))
        .collect();
    assert_eq!(of_the_session, ["StartTransaction", "MeterValues", "StopTransaction"]);
    let (_, stop) = bench.said.iter().find(|(action, _)| *action == "StopTransaction").unwrap();
    assert_eq!((&stop["transactionId"], &stop["timestamp"]), (&json!(42), &json!(ended)));
}

#[test]
fn what_is_refused_is_said_a_few_times_and_then_given_up_with_all_that_depends_on_it() {
    let mut bench = Bench::online();
    bench.station.plug(1, Car::default(), bench.now).unwrap();
    bench.asked("RemoteStartTransaction", json!({"connectorId": 1, "idTag": "AB"}));
    let mut refused = 0;
    for _ in 0..100 {
        bench.after(10);
        while let Some(message) = bench.station.next_message(bench.now) {
            if message.action == "StartTransaction" {
                refused += 1;
                bench.station.refused(message, "InternalError", bench.now);
            } else {
                assert_ne!(message.payload.get("transactionId"), Some(&Value::Null), "{message:?}");
                bench.station.acknowledged(message, &json!({}), bench.now);
            }
        }
    }
    assert_eq!(refused, REFUSALS_MAX);
    assert!(!bench.station.view().outlets[0].in_transaction);
}
