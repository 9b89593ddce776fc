//! What meters report, and the energy of a session that follows from it.
//!
//! A [`MeterReading`] keeps what a charger sent, verbatim. [`Measured`] is what could be understood of it, in base units.
//! [`EnergyMeter`] derives the energy of a session by a stated rule that survives resets, implausible starts and
//! readings out of order.

mod energy_meter;
mod measurand;
mod measured;
mod reading;
mod register;

pub use energy_meter::{EnergyMeter, MeterFlag};
pub use measured::Measured;
pub use reading::{MeterReading, SampledValue};
pub use register::RegisterTracker;
