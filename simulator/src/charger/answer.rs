//! What the charger answers to what it is asked.

use std::time::Duration;

use serde_json::{Value, json};

use super::config::Answers;
use super::outbox::Outgoing;
use super::outlet::Moment;
use super::station::Station;
use super::witness::Asked;

/// How long a change of a configuration may be, in seconds.
const INTERVAL_MAX_S: u64 = 24 * 60 * 60;

/// An answer, or none.
pub(super) enum Answer {
    Result(Value),
    /// With the code of the CALLERROR.
    Error(&'static str),
    Silence,
}

impl Station {
    pub fn asked(&mut self, action: &str, payload: &Value, now: Moment) -> Answer {
        if let Some(witness) = self.config.witness.as_ref().filter(|_| Asked::is_physical(action)) {
            let (charger_id, action) = (self.config.id.clone(), action.to_owned());
            witness.asked(Asked { charger_id, action, payload: payload.clone(), at: self.right(now) });
        }
        match self.config.answers {
            Answers::Mute => return Answer::Silence,
            Answers::Rejecting => return status("Rejected"),
            Answers::AsItCan => {}
        }
        let answer = match action {
            "RemoteStartTransaction" => self.remote_start(payload, now),
            "RemoteStopTransaction" => self.remote_stop(payload, now),
            "UnlockConnector" => self.unlock(payload, now),
            "ChangeAvailability" => self.change_availability(payload),
            "Reset" => {
                let reason = if payload["type"] == "Hard" { "HardReset" } else { "SoftReset" };
                self.reset(reason, now);
                status("Accepted")
            }
            "GetConfiguration" => self.configuration(payload),
            "ChangeConfiguration" => self.change_configuration(payload),
            "TriggerMessage" => self.trigger(payload, now),
            "ClearCache" => status("Accepted"),
            "DataTransfer" => status("UnknownVendorId"),
            _ => Answer::Error("NotImplemented"),
        };
        self.announce(now);
        answer
    }

    /// The outlet that a payload names by `connectorId`.
    fn named(&self, payload: &Value) -> Option<usize> {
        self.outlets.iter().position(|outlet| payload["connectorId"] == outlet.number)
    }

    fn remote_start(&mut self, payload: &Value, now: Moment) -> Answer {
        let index = match payload.get("connectorId") {
            Some(_) => self.named(payload),
            None => self.outlets.iter().position(|outlet| outlet.may_start()),
        };
        let tag = payload["idTag"].as_str();
        let (Some(index), Some(tag)) = (index.filter(|index| self.outlets[*index].may_start()), tag) else {
            return status("Rejected");
        };
        if self.config.authorizes_remote_starts {
            self.outlets[index].asking = Some(tag.to_owned());
            self.outbox.push(Outgoing::of_the_moment("Authorize", json!({"idTag": tag})));
        } else {
            self.permit(index, tag.to_owned(), None, now);
        }
        status("Accepted")
    }

    fn remote_stop(&mut self, payload: &Value, now: Moment) -> Answer {
        let wanted = payload["transactionId"].as_i64();
        let found = self.outlets.iter().position(|outlet| {
            outlet.transaction.as_ref().is_some_and(|transaction| transaction.id.is_some() && transaction.id == wanted)
        });
        let Some(index) = found else { return status("Rejected") };
        self.end(index, "Remote", None, now);
        status("Accepted")
    }

    fn unlock(&mut self, payload: &Value, now: Moment) -> Answer {
        let Some(index) = self.named(payload) else { return status("NotSupported") };
        self.end(index, "UnlockCommand", None, now);
        status("Unlocked")
    }

    fn change_availability(&mut self, payload: &Value) -> Answer {
        let operative = payload["type"] == "Operative";
        let wanted = payload["connectorId"].as_i64().unwrap_or_default();
        let mut scheduled = false;
        for outlet in self.outlets.iter_mut().filter(|outlet| wanted == 0 || outlet.number == wanted) {
            outlet.retires = !operative && outlet.transaction.is_some();
            outlet.operative = operative || outlet.retires;
            scheduled |= outlet.retires;
        }
        status(if scheduled { "Scheduled" } else { "Accepted" })
    }

    fn configuration(&self, payload: &Value) -> Answer {
        let config = &self.config;
        let all = [
            ("HeartbeatInterval", config.heartbeat_interval.as_secs().to_string(), false),
            ("MeterValueSampleInterval", config.sample_interval.as_secs().to_string(), false),
            ("ConnectionTimeOut", config.plug_wait.as_secs().to_string(), false),
            ("AuthorizeRemoteTxRequests", config.authorizes_remote_starts.to_string(), false),
            ("NumberOfConnectors", self.outlets.len().to_string(), true),
            ("SupportedFeatureProfiles", "Core,RemoteTrigger".to_owned(), true),
        ];
        let asked: Vec<&str> = payload["key"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let unknown: Vec<&&str> = asked.iter().filter(|key| all.iter().all(|known| known.0 != **key)).collect();
        let known = all.iter().filter(|(key, _, _)| asked.is_empty() || asked.contains(key));
        let known: Vec<Value> =
            known.map(|(key, value, readonly)| json!({"key": key, "value": value, "readonly": readonly})).collect();
        Answer::Result(json!({"configurationKey": known, "unknownKey": unknown}))
    }

    fn change_configuration(&mut self, payload: &Value) -> Answer {
        let value = payload["value"].as_str().unwrap_or_default();
        let seconds =
            value.parse().ok().filter(|seconds| (1..=INTERVAL_MAX_S).contains(seconds)).map(Duration::from_secs);
        let setting = match payload["key"].as_str() {
            Some("HeartbeatInterval") => &mut self.config.heartbeat_interval,
            Some("MeterValueSampleInterval") => &mut self.config.sample_interval,
            Some("ConnectionTimeOut") => &mut self.config.plug_wait,
            Some("AuthorizeRemoteTxRequests") => {
                self.config.authorizes_remote_starts = value == "true";
                return status("Accepted");
            }
            Some("NumberOfConnectors" | "SupportedFeatureProfiles") => return status("Rejected"),
            _ => return status("NotSupported"),
        };
        match seconds {
            Some(seconds) => {
                *setting = seconds;
                status("Accepted")
            }
            None => status("Rejected"),
        }
    }

    fn trigger(&mut self, payload: &Value, now: Moment) -> Answer {
        let named = self.named(payload);
        let indexes: Vec<usize> =
            (0..self.outlets.len()).filter(|index| named.is_none_or(|named| named == *index)).collect();
        match payload["requestedMessage"].as_str() {
            Some("BootNotification") => {
                self.outbox.push(Outgoing::of_the_moment("BootNotification", self.boot()));
            }
            Some("Heartbeat") => self.outbox.push(Outgoing::of_the_moment("Heartbeat", json!({}))),
            Some("StatusNotification") => indexes.into_iter().for_each(|index| self.report(index, now)),
            Some("MeterValues") => indexes.into_iter().for_each(|index| self.sample(index, "Trigger", now)),
            _ => return status("NotImplemented"),
        }
        status("Accepted")
    }
}

fn status(word: &str) -> Answer {
    Answer::Result(json!({"status": word}))
}
