//! A charger without a network: what happens to it, and what it wants to say of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::car::Car;
use super::config::ChargerConfig;
use super::handle::Impossible;
use super::outbox::{Keep, Outbox, Outgoing};
use super::outlet::{Moment, Outlet, Permit};
use super::view::ChargerView;
use super::witness::Acknowledged;

/// After so many CALLERRORs a message of a transaction is given up (TransactionMessageAttempts).
const REFUSALS_MAX: u32 = 5;
/// Between them, times their number (TransactionMessageRetryInterval).
const REFUSAL_WAIT: Duration = Duration::from_secs(1);
/// When the edge does not say when to boot again, or says 0.
const BOOT_WAIT: Duration = Duration::from_secs(10);

/// What its owner must do with the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interruption {
    /// Say nothing for so long.
    Offline(Duration),
    /// Come back at once.
    Reconnect,
}

pub(super) struct Station {
    pub(super) config: ChargerConfig,
    pub(super) outlets: Vec<Outlet>,
    pub(super) outbox: Outbox,
    pub(super) connected: bool,
    pub(super) booted: bool,
    boot_due: Instant,
    next_heartbeat: Instant,
    /// Until then nothing is said: the edge has refused the last message.
    held_until: Option<Instant>,
    pub(super) interruption: Option<Interruption>,
    transactions: u64,
}

impl Station {
    pub fn new(config: ChargerConfig, register_wh: f64, now: Moment) -> Self {
        let outlets = config.outlets.iter().zip(1..).map(|(outlet, number)| Outlet::new(number, *outlet, register_wh));
        Self {
            outlets: outlets.collect(),
            outbox: Outbox::default(),
            connected: false,
            booted: false,
            boot_due: now.instant,
            next_heartbeat: now.instant + config.heartbeat_interval,
            held_until: None,
            interruption: None,
            transactions: 0,
            config,
        }
    }

    pub fn view(&self) -> ChargerView {
        ChargerView {
            connected: self.connected,
            booted: self.booted,
            outlets: self.outlets.iter().map(Outlet::view).collect(),
            waiting: self.outbox.len(),
            dropped: self.outbox.dropped,
        }
    }

    pub fn connected(&mut self, now: Moment) {
        self.connected = true;
        self.boot_due = now.instant;
        self.held_until = None;
        if self.config.boots_on_reconnect {
            self.booted = false;
        }
        self.announce(now);
    }

    pub fn disconnected(&mut self) {
        self.connected = false;
        self.outbox.disconnected();
        for outlet in &mut self.outlets {
            outlet.reported = outlet.acknowledged;
            outlet.asking = None;
        }
    }

    /// When it has something to do by itself.
    pub fn due(&self) -> Instant {
        let outlets = self.outlets.iter().flat_map(|outlet| {
            let sample = outlet.transaction.as_ref().map(|transaction| transaction.next_sample);
            sample.into_iter().chain(outlet.permit.as_ref().map(|permit| permit.until))
        });
        let speaks = if self.booted { self.next_heartbeat } else { self.boot_due };
        let speaks = self.held_until.map_or(speaks, |held| held.min(speaks));
        outlets.chain([speaks]).min().unwrap_or(speaks)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Moment) {
        for index in 0..self.outlets.len() {
            self.sample_if_due(index, now);
            let outlet = &mut self.outlets[index];
            outlet.permit.take_if(|permit| permit.until <= now.instant);
        }
        if self.next_heartbeat <= now.instant {
            self.next_heartbeat = now.instant + self.config.heartbeat_interval;
            if self.connected && self.booted {
                self.outbox.push(Outgoing::of_the_moment("Heartbeat", json!({})));
            }
        }
        self.held_until.take_if(|held| *held <= now.instant);
        self.announce(now);
    }

    fn sample_if_due(&mut self, index: usize, now: Moment) {
        let interval = self.config.sample_interval;
        let outlet = &mut self.outlets[index];
        let Some(transaction) =
            outlet.transaction.as_mut().filter(|transaction| transaction.next_sample <= now.instant)
        else {
            return;
        };
        transaction.next_sample = now.instant + interval;
        self.sample(index, "Sample.Periodic", now);
    }

    /// MeterValues of the transaction on the outlet.
    pub(super) fn sample(&mut self, index: usize, context: &str, now: Moment) {
        let outlet = &mut self.outlets[index];
        outlet.meter(now);
        let reading = outlet.reading(context, now);
        let message = match &outlet.transaction {
            Some(transaction) => {
                let payload =
                    json!({"connectorId": outlet.number, "transactionId": transaction.id, "meterValue": [reading]});
                Outgoing::of_transaction("MeterValues", payload, transaction.number)
            }
            None => {
                let payload = json!({"connectorId": outlet.number, "meterValue": [reading]});
                Outgoing::of_the_moment("MeterValues", payload)
            }
        };
        self.outbox.push(message);
    }

    /// The message to be said now.
    pub fn next_message(&mut self, now: Moment) -> Option<Outgoing> {
        if !self.booted {
            if self.boot_due > now.instant {
                return None;
            }
            self.boot_due = now.instant + BOOT_WAIT;
            return Some(Outgoing::of_the_moment("BootNotification", self.boot()));
        }
        if self.held_until.is_some() { None } else { self.outbox.take() }
    }

    pub(super) fn boot(&self) -> Value {
        let config = &self.config;
        json!({
            "chargePointVendor": config.vendor, "chargePointModel": config.model,
            "chargePointSerialNumber": format!("SN-{}", config.id), "firmwareVersion": "3.1.4",
        })
    }

    /// The edge has acknowledged what was said.
    pub fn acknowledged(&mut self, message: Outgoing, answer: &Value, now: Moment) {
        let status = || answer["idTagInfo"]["status"].as_str().unwrap_or("Invalid");
        let parent = || answer["idTagInfo"]["parentIdTag"].as_str().map(str::to_owned);
        match (message.action, message.keep) {
            ("BootNotification", _) => {
                let interval = answer["interval"].as_u64().filter(|interval_s| *interval_s > 0);
                let interval = interval.map(Duration::from_secs);
                if answer["status"] == "Accepted" {
                    self.booted = true;
                    self.config.heartbeat_interval = interval.unwrap_or(self.config.heartbeat_interval);
                    self.next_heartbeat = now.instant + self.config.heartbeat_interval;
                    self.outlets.iter_mut().for_each(|outlet| outlet.reported = None);
                } else {
                    self.boot_due = now.instant + interval.unwrap_or(BOOT_WAIT);
                }
            }
            ("StatusNotification", _) => {
                let outlet = self.outlets.iter_mut().find(|outlet| message.payload["connectorId"] == outlet.number);
                if let Some(outlet) = outlet {
                    let said = outlet.reported.filter(|reported| message.payload["status"] == reported.word());
                    outlet.acknowledged = said.or(outlet.acknowledged);
                }
            }
            ("Authorize", _) => {
                let tag = message.payload["idTag"].as_str().unwrap_or_default();
                self.authorized(tag, status() == "Accepted", parent(), now);
            }
            ("StartTransaction", Keep::Transaction(number)) => {
                if let Some(id) = answer["transactionId"].as_i64() {
                    self.outbox.name(number, id);
                    let transaction = self.outlets.iter_mut().filter_map(|outlet| outlet.transaction.as_mut());
                    for transaction in transaction.filter(|transaction| transaction.number == number) {
                        transaction.id = Some(id);
                        transaction.parent = parent().or(transaction.parent.take());
                    }
                }
                if status() != "Accepted" {
                    self.end_number(number, "DeAuthorized", now);
                }
            }
            _ => {}
        }
        if let Some(witness) = &self.config.witness {
            let answered_at = self.right(now);
            witness.acknowledged(Acknowledged {
                charger_id: self.config.id.clone(),
                action: message.action,
                payload: message.payload,
                answer: answer.clone(),
                said_at: message.said_at.unwrap_or(answered_at),
                answered_at,
            });
        }
        self.announce(now);
    }

    /// The edge has answered with a CALLERROR: what belongs to a transaction is said again, a few times.
    pub fn refused(&mut self, mut message: Outgoing, code: &str, now: Moment) {
        if let Some(witness) = &self.config.witness {
            witness.refused(&self.config.id, message.action, &message.payload, code);
        }
        let Keep::Transaction(number) = message.keep else { return };
        message.refusals += 1;
        if message.refusals < REFUSALS_MAX {
            self.held_until = Some(now.instant + REFUSAL_WAIT * message.refusals);
            self.outbox.push_first(message);
        } else if message.action == "StartTransaction" {
            // Nobody will ever know it.
            for outlet in &mut self.outlets {
                if outlet.transaction.as_ref().is_some_and(|transaction| transaction.number == number) {
                    outlet.end(now);
                }
            }
            self.outbox.forget(number);
            self.announce(now);
        }
    }

    /// Nothing was answered: it is said again as it was.
    pub fn unanswered(&mut self, message: Outgoing) {
        match message.keep {
            Keep::Transaction(_) => self.outbox.push_first(message),
            Keep::No => {}
        }
    }

    pub fn plug(&mut self, number: usize, car: Car, now: Moment) -> Result<(), Impossible> {
        let index = self.index(number)?;
        let outlet = &mut self.outlets[index];
        if outlet.car.is_some() {
            return Err(Impossible::Occupied);
        }
        outlet.car = Some(car);
        self.begin_if_ready(index, now);
        self.announce(now);
        Ok(())
    }

    /// Pulls the plug; what charges there ends.
    pub fn unplug(&mut self, number: usize, now: Moment) -> Result<Car, Impossible> {
        let index = self.index(number)?;
        self.end(index, "EVDisconnected", None, now);
        let outlet = &mut self.outlets[index];
        outlet.finishing = false;
        let car = outlet.car.take().ok_or(Impossible::NoCar)?;
        self.announce(now);
        Ok(car)
    }

    /// Shows a card: it starts, or stops what it has started.
    pub fn swipe(&mut self, number: usize, tag: String, now: Moment) -> Result<(), Impossible> {
        let index = self.index(number)?;
        let outlet = &mut self.outlets[index];
        if outlet.transaction.as_ref().is_some_and(|transaction| transaction.tag == tag) {
            self.end(index, "Local", Some(&tag), now);
            self.announce(now);
            return Ok(());
        }
        if outlet.transaction.is_none() && !outlet.may_start() {
            return Err(Impossible::OutOfService);
        }
        if self.connected && self.booted {
            outlet.asking = Some(tag.clone());
            self.outbox.push(Outgoing::of_the_moment("Authorize", json!({"idTag": tag})));
        } else {
            // Nobody can be asked: it is better to charge than to refuse (AllowOfflineTxForUnknownId).
            self.permit(index, tag, None, now);
            self.announce(now);
        }
        Ok(())
    }

    pub fn set_fault(&mut self, number: usize, code: Option<String>, now: Moment) -> Result<(), Impossible> {
        let index = self.index(number)?;
        self.outlets[index].meter(now);
        if code.is_some() {
            self.end(index, "Other", None, now);
        }
        self.outlets[index].fault = code;
        self.announce(now);
        Ok(())
    }

    fn authorized(&mut self, tag: &str, accepted: bool, parent: Option<String>, now: Moment) {
        let asking = self.outlets.iter().position(|outlet| outlet.asking.as_deref() == Some(tag));
        let Some(index) = asking else { return };
        let outlet = &mut self.outlets[index];
        outlet.asking = None;
        if !accepted {
            return;
        }
        match &outlet.transaction {
            // A card of the same group stops it.
            Some(transaction) if transaction.parent.is_some() && transaction.parent == parent => {
                self.end(index, "Local", Some(tag), now);
            }
            Some(_) => {}
            None => self.permit(index, tag.to_owned(), parent, now),
        }
    }

    /// From now on a car may be charged here.
    pub(super) fn permit(&mut self, index: usize, tag: String, parent: Option<String>, now: Moment) {
        let until = now.instant + self.config.plug_wait;
        self.outlets[index].permit = Some(Permit { tag, parent, until });
        self.begin_if_ready(index, now);
    }

    fn begin_if_ready(&mut self, index: usize, now: Moment) {
        let next_sample = now.instant + self.config.sample_interval;
        let outlet = &mut self.outlets[index];
        if outlet.car.is_none() || outlet.transaction.is_some() {
            return;
        }
        let Some(permit) = outlet.permit.take() else { return };
        self.transactions += 1;
        let start = json!({
            "connectorId": outlet.number, "idTag": permit.tag, "meterStart": outlet.register_wh(),
            "timestamp": now.timestamp(),
        });
        outlet.begin(self.transactions, permit, now, next_sample);
        self.outbox.push(Outgoing::of_transaction("StartTransaction", start, self.transactions));
    }

    pub(super) fn end(&mut self, index: usize, reason: &str, tag: Option<&str>, now: Moment) {
        let outlet = &mut self.outlets[index];
        outlet.meter(now);
        let reading = outlet.reading("Transaction.End", now);
        let Some(ended) = outlet.end(now) else { return };
        let mut stop = json!({
            "transactionId": ended.id, "meterStop": outlet.register_wh(), "timestamp": now.timestamp(),
            "reason": reason, "transactionData": [reading],
        });
        if let Some(tag) = tag {
            stop["idTag"] = tag.into();
        }
        self.outbox.push(Outgoing::of_transaction("StopTransaction", stop, ended.number));
    }

    fn end_number(&mut self, number: u64, reason: &str, now: Moment) {
        let of = |outlet: &Outlet| outlet.transaction.as_ref().is_some_and(|transaction| transaction.number == number);
        if let Some(index) = self.outlets.iter().position(of) {
            self.end(index, reason, None, now);
        }
    }

    /// Switches it off and on: what charges ends.
    pub(super) fn reset(&mut self, reason: &str, now: Moment) {
        for index in 0..self.outlets.len() {
            self.end(index, reason, None, now);
            self.outlets[index].permit = None;
        }
        self.booted = false;
        self.interruption = Some(Interruption::Offline(self.config.reboot));
    }

    /// Says what the edge does not know yet of the outlets.
    pub(super) fn announce(&mut self, now: Moment) {
        if !self.connected || !self.booted {
            return;
        }
        for index in 0..self.outlets.len() {
            let status = self.outlets[index].status();
            if self.outlets[index].reported != Some(status) {
                self.report(index, now);
            }
        }
    }

    pub(super) fn report(&mut self, index: usize, now: Moment) {
        let outlet = &mut self.outlets[index];
        let status = outlet.status();
        outlet.reported = Some(status);
        let error_code = outlet.fault.as_deref().unwrap_or("NoError");
        let mut payload = json!({
            "connectorId": outlet.number, "status": status.word(), "errorCode": error_code,
            "timestamp": outlet.reported_at(now),
        });
        if let Some(info) = self.config.fault_info.as_ref().filter(|_| outlet.fault.is_some()) {
            payload["info"] = info.as_str().into();
        }
        self.outbox.push(Outgoing::of_the_moment("StatusNotification", payload));
    }

    /// The moment by a right clock.
    pub(super) fn right(&self, now: Moment) -> DateTime<Utc> {
        now.at - self.config.clock_skew
    }

    /// Of an outlet that is counted from 1.
    fn index(&self, number: usize) -> Result<usize, Impossible> {
        (1..=self.outlets.len()).contains(&number).then(|| number - 1).ok_or(Impossible::NoSuchOutlet)
    }
}

#[cfg(test)]
mod tests;
