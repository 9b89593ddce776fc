//! Readings as events: known by their content, and of a bounded size.

use domain::id::{Outlet, TransactionId};
use domain::meter::MeterReading;
use domain::session::{RecordedReading, RecordedReadings};

use super::{Circumstances, content_hash};

/// Bytes of readings in one event, near enough: a report may bring a whole session's, and an event has at most 512 KiB.
const READINGS_BYTES_MAX: usize = 128 * 1024;

/// The readings of one report, in as many events as they need; each with the hash by which its retry is known.
pub(super) fn recorded(
    circumstances: &Circumstances,
    transaction_id: Option<&TransactionId>,
    outlet: Option<Outlet>,
    readings: Vec<RecordedReading>,
) -> Vec<RecordedReadings> {
    let one = |readings: Vec<RecordedReading>| RecordedReadings {
        content_hash: hash(transaction_id, outlet, &readings),
        readings,
        seq_no: None,
        received_at: circumstances.times.received_at,
    };
    let mut events = vec![];
    let (mut gathered, mut gathered_bytes) = (vec![], 0);
    for reading in readings.into_iter().flat_map(pieces) {
        let bytes = size(&reading);
        if gathered_bytes + bytes > READINGS_BYTES_MAX && !gathered.is_empty() {
            events.push(one(std::mem::take(&mut gathered)));
            gathered_bytes = 0;
        }
        gathered.push(reading);
        gathered_bytes += bytes;
    }
    if !gathered.is_empty() {
        events.push(one(gathered));
    }
    events
}

/// One reading of a bounded number of values, or several of the same moment.
fn pieces(reading: RecordedReading) -> Vec<RecordedReading> {
    if size(&reading) <= READINGS_BYTES_MAX {
        return vec![reading];
    }
    let RecordedReading { occurred_at, reading: MeterReading { timestamp, device_at, sampled } } = reading;
    let piece = |sampled| RecordedReading {
        occurred_at,
        reading: MeterReading { timestamp: timestamp.clone(), device_at, sampled },
    };
    let mut pieces = vec![];
    let (mut gathered, mut gathered_bytes) = (vec![], 0);
    for value in sampled {
        let bytes = size(&value);
        if gathered_bytes + bytes > READINGS_BYTES_MAX && !gathered.is_empty() {
            pieces.push(piece(std::mem::take(&mut gathered)));
            gathered_bytes = 0;
        }
        gathered.push(value);
        gathered_bytes += bytes;
    }
    pieces.push(piece(gathered));
    pieces
}

fn size(value: &impl serde::Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.len())
}

fn hash(transaction_id: Option<&TransactionId>, outlet: Option<Outlet>, readings: &[RecordedReading]) -> String {
    let outlet = outlet.map_or_else(String::new, |outlet| format!("{}.{}", outlet.evse_id, outlet.connector_id));
    let values = readings.iter().flat_map(|reading| {
        let sampled = reading.reading.sampled.iter().flat_map(|sampled| {
            let words = [
                &sampled.measurand,
                &sampled.phase,
                &sampled.context,
                &sampled.location,
                &sampled.unit,
                &sampled.format,
            ];
            std::iter::once(sampled.value.as_str()).chain(words.map(|word| word.as_deref().unwrap_or_default()))
        });
        std::iter::once(reading.reading.timestamp.as_str()).chain(sampled)
    });
    content_hash([transaction_id.map_or("", |id| id.0.as_str()), outlet.as_str()].into_iter().chain(values))
}
