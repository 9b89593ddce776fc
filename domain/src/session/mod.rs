//! A charging session: requested → active → transaction ended → departed → billed. Each is an event and may be missing.

mod decide;
mod event;
mod state;

pub use decide::{SessionCommand, TransactionEnd};
pub use event::{
    RecordedReading, RecordedReadings, SessionEvent, SessionRequest, TransactionEnded, TransactionStarted,
};
pub use state::{ChargingSession, Failure, SessionState};
