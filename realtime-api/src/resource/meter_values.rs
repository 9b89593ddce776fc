use schema::api::query;
use schema::view::MeterValuesRow;

use super::At;

/// The readings of one report, in the charger's order.
pub fn compose(row: At<'_, MeterValuesRow>) -> impl Iterator<Item = query::MeterValues> {
    row.row.readings.iter().map(move |recorded| {
        let measured = recorded.reading.measured();
        query::MeterValues {
            occurred_at: recorded.occurred_at.map(Into::into),
            received_at: row.row.received_at.into(),
            timestamp: recorded.reading.timestamp.clone(),
            import_register_wh: measured.import_register_wh.map(Into::into),
            export_register_wh: measured.export_register_wh.map(Into::into),
            power_w: measured.power_w.map(Into::into),
            soc_percent: measured.soc_percent.map(Into::into),
            sampled: serde_json::to_value(&recorded.reading.sampled).expect("texts and numbers"),
            position: row.position.0,
        }
    })
}
