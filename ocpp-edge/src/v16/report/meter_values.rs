use std::borrow::Cow;

use application::report;
use chrono::{DateTime, Utc};
use domain::clock::Delivery;
use domain::id::TransactionId;
use domain::meter::{MeterReading, SampledValue};
use domain::session::RecordedReading;

use super::Reporter;
use crate::connection::ReportClock;
use crate::persist::{Failure, persist};
use crate::v16::from_charger::{self, Acknowledged, MeterValue, MeterValues};

/// Bytes of readings that are recorded together, roughly: an event has at most 512 KiB.
const RECORDED_BYTES_MAX: usize = 128 * 1024;
/// What a value takes in an event besides its texts.
const VALUE_OVERHEAD_BYTES: usize = 96;

impl Reporter<'_> {
    pub(super) async fn meter_values(&mut self, values: MeterValues<'_>) -> Result<Acknowledged, Failure> {
        // The newest reading is the one that the message was sent for; older ones in it had to wait for it.
        let newest = values
            .meter_values
            .iter()
            .enumerate()
            .max_by_key(|(_, value)| value.timestamp.as_ref().and_then(crate::lenient::DeviceTime::instant));
        let newest = newest.map(|(index, _)| index);
        let timed = self.time(newest.and_then(|index| values.meter_values[index].timestamp.as_ref()));
        let circumstances = self.circumstances(timed.times);
        let outlet = values.connector_id.and_then(|n| self.link.outlet_of(n));
        let transaction_id = values.transaction_id.map(|id| TransactionId(id.to_string()));
        let mut readings = values.meter_values.into_iter().enumerate().map(|(index, value)| {
            let delivery = if Some(index) == newest { timed.delivery } else { Delivery::Queued };
            recorded(self.clock, value, self.received_at, delivery)
        });
        loop {
            let readings = chunk(&mut readings);
            if readings.is_empty() {
                return Ok(Acknowledged {});
            }
            let values = report::MeterValues { outlet, transaction_id: transaction_id.clone(), readings };
            let attempt = || self.link.meter_values(&circumstances, values.clone());
            persist(self.edge.config.limits.report_retry_for, attempt).await?;
        }
    }
}

/// The next readings that fit into one event; always the same ones of the same message, so that a retry is known.
fn chunk(readings: &mut impl Iterator<Item = RecordedReading>) -> Vec<RecordedReading> {
    let (mut chunk, mut bytes) = (vec![], 0);
    while bytes < RECORDED_BYTES_MAX
        && let Some(reading) = readings.next()
    {
        let sampled = reading.reading.sampled.iter();
        bytes += sampled.map(|sampled| sampled.value.len() + VALUE_OVERHEAD_BYTES).sum::<usize>();
        chunk.push(reading);
    }
    chunk
}

/// A reading verbatim, with the moment that is decided for it.
pub(super) fn recorded(
    clock: &ReportClock,
    value: MeterValue<'_>,
    received_at: DateTime<Utc>,
    delivery: Delivery,
) -> RecordedReading {
    let device_at = value.timestamp.as_ref().map(|time| time.text.as_ref());
    let occurred_at = clock.occurred_at(device_at, received_at, delivery);
    let timestamp = device_at.unwrap_or_default().to_owned();
    let sampled = value.sampled_values.into_iter().map(sampled).collect();
    RecordedReading { occurred_at, reading: MeterReading::new(timestamp, sampled) }
}

fn sampled(value: from_charger::SampledValue<'_>) -> SampledValue {
    SampledValue {
        value: value.value.into_owned(),
        unit: value.unit.map(Cow::into_owned),
        multiplier: None,
        measurand: value.measurand.map(Cow::into_owned),
        context: value.context.map(Cow::into_owned),
        phase: value.phase.map(Cow::into_owned),
        location: value.location.map(Cow::into_owned),
        format: value.format.map(Cow::into_owned),
        signed: None,
    }
}
