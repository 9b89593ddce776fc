//! One outlet with the car on it.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::car::Car;
use super::config::OutletConfig;
use super::view::{OutletView, Status};

/// The present, on both clocks: one that only goes forward, and the charger's, which may be wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub instant: Instant,
    pub at: DateTime<Utc>,
}

impl Moment {
    pub fn timestamp(&self) -> String {
        self.at.to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// Somebody may charge here, as soon as there is a car.
#[derive(Debug, Clone)]
pub(super) struct Permit {
    pub tag: String,
    /// The group whose cards may stop it.
    pub parent: Option<String>,
    pub until: Instant,
}

#[derive(Debug)]
pub(super) struct Transaction {
    /// The charger's own number.
    pub number: u64,
    /// What the edge calls it. None until the start was acknowledged.
    pub id: Option<i64>,
    pub tag: String,
    pub parent: Option<String>,
    pub began: Instant,
    pub next_sample: Instant,
    metered: Instant,
}

#[derive(Debug)]
pub(super) struct Outlet {
    /// From 1.
    pub number: i64,
    pub config: OutletConfig,
    pub car: Option<Car>,
    pub permit: Option<Permit>,
    /// A card was shown, and the edge was asked.
    pub asking: Option<String>,
    pub transaction: Option<Transaction>,
    /// The car that was charged is still there.
    pub finishing: bool,
    pub operative: bool,
    /// To be out of service once the transaction is over.
    pub retires: bool,
    pub fault: Option<String>,
    /// What the edge was told, and what it has acknowledged.
    pub reported: Option<Status>,
    pub acknowledged: Option<Status>,
    /// Of the newest report.
    reported_at: Option<DateTime<Utc>>,
    register_wh: f64,
}

impl Outlet {
    pub fn new(number: i64, config: OutletConfig, register_wh: f64) -> Self {
        Self {
            number,
            config,
            car: None,
            permit: None,
            asking: None,
            transaction: None,
            finishing: false,
            operative: true,
            retires: false,
            fault: None,
            reported: None,
            acknowledged: None,
            reported_at: None,
            register_wh,
        }
    }

    pub fn status(&self) -> Status {
        if self.fault.is_some() {
            return Status::Faulted;
        }
        match (&self.transaction, &self.car) {
            (Some(_), Some(car)) if car.is_full() => Status::SuspendedEv,
            (Some(_), _) => Status::Charging,
            (None, _) if !self.operative => Status::Unavailable,
            (None, Some(_)) if self.finishing => Status::Finishing,
            (None, Some(_)) => Status::Preparing,
            (None, None) if self.permit.is_some() => Status::Preparing,
            (None, None) => Status::Available,
        }
    }

    /// The moment of a report as it is told. No two reports have the same one, not even those of what happens while the edge
    /// asks for it: so it can be said of each whether it was recorded.
    pub fn reported_at(&mut self, now: Moment) -> String {
        let next = self.reported_at.map(|at| at + TimeDelta::milliseconds(1));
        let at = next.map_or(now.at, |next| next.max(now.at));
        self.reported_at = Some(at);
        Moment { at, ..now }.timestamp()
    }

    pub fn may_start(&self) -> bool {
        self.fault.is_none() && self.operative && self.transaction.is_none() && self.permit.is_none()
    }

    pub fn begin(&mut self, number: u64, permit: Permit, now: Moment, next_sample: Instant) {
        self.finishing = false;
        self.transaction = Some(Transaction {
            number,
            id: None,
            tag: permit.tag,
            parent: permit.parent,
            began: now.instant,
            next_sample,
            metered: now.instant,
        });
    }

    /// The transaction is over; the car may still be there.
    pub fn end(&mut self, now: Moment) -> Option<Transaction> {
        self.meter(now);
        let ended = self.transaction.take()?;
        self.finishing = self.car.is_some();
        if std::mem::take(&mut self.retires) {
            self.operative = false;
        }
        Some(ended)
    }

    /// Lets the car charge up to now.
    pub fn meter(&mut self, now: Moment) {
        if let (Some(transaction), Some(car)) = (&mut self.transaction, &mut self.car)
            && self.fault.is_none()
        {
            let since_s = transaction.metered.saturating_duration_since(transaction.began).as_secs_f64();
            let elapsed_s = now.instant.saturating_duration_since(transaction.metered).as_secs_f64();
            self.register_wh += car.charge_for(self.config.power_max_w, self.config.dc, since_s, elapsed_s);
            transaction.metered = now.instant;
        }
    }

    /// Whole Wh, as StartTransaction and StopTransaction have them.
    #[expect(clippy::cast_possible_truncation, reason = "a register is far below 2^63 Wh")]
    pub fn register_wh(&self) -> i64 {
        self.register_wh as i64
    }

    /// One `MeterValue` of OCPP 1.6, of this moment.
    pub fn reading(&self, context: &str, now: Moment) -> Value {
        let sampled = |measurand: &str, unit: &str, value: String| json!({"value": value, "context": context, "measurand": measurand, "unit": unit});
        let mut values = vec![sampled("Energy.Active.Import.Register", "Wh", format!("{:.1}", self.register_wh))];
        if let (Some(transaction), Some(car)) = (&self.transaction, &self.car) {
            let since_s = now.instant.saturating_duration_since(transaction.began).as_secs_f64();
            let power_w = car.power_w(self.config.power_max_w, self.config.dc, since_s);
            let (volts, phases) = if self.config.dc { (400.0, 1.0) } else { (230.0, 3.0) };
            values.push(sampled("Power.Active.Import", "W", format!("{power_w:.0}")));
            values.push(sampled("Current.Import", "A", format!("{:.1}", power_w / volts / phases)));
            values.push(sampled("Voltage", "V", format!("{volts:.0}")));
            if self.config.dc {
                values.push(sampled("SoC", "Percent", format!("{:.0}", car.charge * 100.0)));
            }
        }
        json!({"timestamp": now.timestamp(), "sampledValue": values})
    }

    pub fn view(&self) -> OutletView {
        OutletView {
            status: self.status(),
            has_car: self.car.is_some(),
            charge: self.car.as_ref().map(|car| car.charge),
            in_transaction: self.transaction.is_some(),
            transaction_id: self.transaction.as_ref().and_then(|transaction| transaction.id),
            waits_for_car: self.permit.is_some(),
        }
    }
}
