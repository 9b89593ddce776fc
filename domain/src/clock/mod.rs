//! When something happened at a charger.
//!
//! A charger's clock may be unset, off by a time zone, or reset by each boot, and what it reports may have waited for
//! hours in its queue. So a report's time is a decision with a named source: [`DeviceTime`] is what the charger
//! wrote, [`DeviceClock`] what is known about its clock, [`OccurredAt`] the decision.

mod device_clock;
mod device_time;

pub use device_clock::{Delivery, DeviceClock, OccurredAt, TimeSource};
pub use device_time::DeviceTime;
