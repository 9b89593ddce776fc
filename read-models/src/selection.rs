//! Which events of the log a read model may be changed by, by what stands in their columns: what a rebuild need not read.

use domain::event::AggregateType;
use schema::view::Model;

/// Every event that [`touched`](crate::touched) names a row of the read model for is of one of these aggregates.
pub const fn aggregates(model: Model) -> &'static [AggregateType] {
    match model {
        Model::ChargePoints => &[AggregateType::ChargePoint],
        Model::Sessions | Model::MeterValues => &[AggregateType::ChargingSession],
        // What people ask for is about anything.
        Model::Commands => &[
            AggregateType::StationCommand,
            AggregateType::ChargePoint,
            AggregateType::ChargingSession,
            AggregateType::Site,
            AggregateType::Token,
            AggregateType::Driver,
            AggregateType::Plan,
            AggregateType::Tariff,
        ],
        Model::Drivers => &[AggregateType::Driver],
        Model::Tokens => &[AggregateType::Token],
        Model::Sites => &[AggregateType::Site],
        Model::Tariffs => &[AggregateType::Tariff],
        Model::Plans => &[AggregateType::Plan],
    }
}

/// Of these aggregates, the many events that it is not changed by. Names of today only: what was called otherwise once is
/// read, and then found not to matter.
pub const fn passed_over(model: Model) -> &'static [(AggregateType, &'static str)] {
    use AggregateType::{ChargePoint, ChargingSession};
    match model {
        Model::ChargePoints => &[
            (ChargePoint, "AuthorizationDecided"),
            (ChargePoint, "ReadingsReported"),
            (ChargePoint, "DataTransferred"),
            (ChargePoint, "ReportQuarantined"),
        ],
        Model::MeterValues => &[
            (ChargingSession, "SessionRequested"),
            (ChargingSession, "TransactionStarted"),
            (ChargingSession, "ChargingStateChanged"),
            (ChargingSession, "StopRequested"),
            (ChargingSession, "StopFailed"),
            (ChargingSession, "TransactionEnded"),
            (ChargingSession, "SessionPriced"),
            (ChargingSession, "Departed"),
            (ChargingSession, "SessionFailed"),
            (ChargingSession, "SessionFlagged"),
            (ChargingSession, "StartAnswered"),
        ],
        Model::Commands => &[
            (ChargePoint, "EvseClaimed"),
            (ChargePoint, "EvseReleased"),
            (ChargePoint, "CommandQueued"),
            (ChargePoint, "CommandSettled"),
            (ChargePoint, "ChargePointConnected"),
            (ChargePoint, "ChargePointDisconnected"),
            (ChargePoint, "ChargePointBooted"),
            (ChargePoint, "ConnectorStatusReported"),
            (ChargePoint, "AuthorizationDecided"),
            (ChargePoint, "ReadingsReported"),
            (ChargePoint, "FirmwareStatusReported"),
            (ChargePoint, "DiagnosticsStatusReported"),
            (ChargePoint, "DataTransferred"),
            (ChargePoint, "ReportQuarantined"),
            (ChargingSession, "SessionRequested"),
            (ChargingSession, "StopRequested"),
            (ChargingSession, "TransactionStarted"),
            (ChargingSession, "MeterValuesRecorded"),
            (ChargingSession, "ChargingStateChanged"),
            (ChargingSession, "StopFailed"),
            (ChargingSession, "TransactionEnded"),
            (ChargingSession, "SessionPriced"),
            (ChargingSession, "Departed"),
            (ChargingSession, "SessionFlagged"),
        ],
        Model::Sessions | Model::Drivers | Model::Tokens | Model::Sites | Model::Tariffs | Model::Plans => &[],
    }
}

/// Whether the read model may be changed by events of these columns. What another program's aggregate is about can't be
/// known: it may be about any.
pub fn may_touch(model: Model, aggregate: AggregateType, event_type: &str) -> bool {
    aggregate == AggregateType::Unknown
        || aggregates(model).contains(&aggregate)
            && !passed_over(model).iter().any(|(of, name)| *of == aggregate && *name == event_type)
}
