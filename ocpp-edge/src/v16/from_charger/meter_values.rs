use super::MeterValue;
use crate::lenient::{Fields, Message, Refused};

/// `MeterValues.req` (1.6 section 6.31). Never refused: readings that belong to nothing known are recorded as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterValues<'a> {
    /// 0 is the charge point's main meter.
    pub connector_id: Option<u32>,
    /// May be 0 or negative where a transaction was begun offline.
    pub transaction_id: Option<i64>,
    pub meter_values: Vec<MeterValue<'a>>,
}

impl<'a> Message<'a> for MeterValues<'a> {
    fn read(fields: &mut Fields<'a, '_>) -> Result<Self, Refused> {
        fields.expect(&["connectorId", "meterValue"]);
        Ok(Self {
            connector_id: fields.ordinal("connectorId"),
            transaction_id: fields.integer("transactionId"),
            meter_values: MeterValue::read_list(fields, "meterValue"),
        })
    }
}
