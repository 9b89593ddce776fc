//! A charge point: who it is, how it is, and who holds its EVSEs.

mod decide;
mod event;
mod numbers;
mod state;

pub use decide::{ChargePointCommand, Claimant, StatusReport};
pub use event::{Authorization, AuthorizationStatus, BootReport, ChargePointEvent, Limits, RegisteredChargePoint};
pub use numbers::ConnectorNumbers;
pub use state::{ChargePoint, Claim, OutletReport, PastRequest};
