//! The commands of drivers and operators, one file each.

mod accepted;
mod activate_plan;
mod block_token;
mod pricing;
mod publish_plan;
mod publish_tariff;
mod register_charger;
mod register_driver;
mod register_site;
mod register_token;
mod remote;
mod send_station_command;
mod start_charging;
mod stop_charging;

pub use accepted::Accepted;
pub use activate_plan::{ActivatePlan, activate_plan};
pub use block_token::{BlockToken, block_token};
pub use publish_plan::{PublishPlan, publish_plan};
pub use publish_tariff::{PublishTariff, publish_tariff};
pub use register_charger::{RegisterCharger, register_charger};
pub use register_driver::register_driver;
pub use register_site::{RegisterSite, register_site};
pub use register_token::{RegisterToken, register_token};
pub use remote::{RemoteStart, RemoteStop, remote_start, remote_stop};
pub use send_station_command::{SendStationCommand, parse_action, send_station_command};
pub use start_charging::{StartCharging, start_charging};
pub use stop_charging::{StopCharging, stop_charging};

pub(crate) use pricing::pricing_at;
pub(crate) use stop_charging::{Stop, stop_session};
