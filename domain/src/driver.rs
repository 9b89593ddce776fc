//! A driver: a customer, without anything personal. Names and addresses are in accounts, which are not history.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decide, aggregate, event_names};
use crate::event::AggregateType;
use crate::id::{DriverId, PlanId};
use crate::refusal::Refusal;

/// What is known of a driver, without anything personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DriverEvent {
    /// Somebody became a driver.
    DriverRegistered {
        /// The driver: the id of their stream, and of their account.
        driver_id: DriverId,
    },
    /// The driver charges on a plan from now on.
    PlanActivated {
        /// Which plan.
        plan_id: PlanId,
    },
    /// The driver charges on a plan no longer.
    PlanEnded {
        /// Which plan.
        plan_id: PlanId,
    },
    /// The person is gone: their account, and the keys of whatever personal was sealed. What was charged and paid stays,
    /// under an id that stands for nobody.
    DriverErased {
        /// The driver: the id stays, and stands for nobody.
        driver_id: DriverId,
    },
}

event_names!(DriverEvent { DriverRegistered => "1", PlanActivated => "1", PlanEnded => "1", DriverErased => "1" });

#[derive(Debug, Clone)]
pub enum DriverCommand {
    Register { driver_id: DriverId },
    ActivatePlan { plan_id: PlanId },
    EndPlan,
    Erase,
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Driver {
    pub driver_id: Option<DriverId>,
    pub plan_id: Option<PlanId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

impl Driver {
    /// Whether there is such a driver, still.
    pub fn is_known(&self) -> bool {
        self.driver_id.is_some() && !self.erased
    }

    /// The group of a driver's tokens, as chargers see it in `parentIdTag` (at most 20 characters): their card can stop
    /// what their phone started.
    pub fn group_tag(driver_id: DriverId) -> String {
        let mut tag = driver_id.0.simple().to_string();
        tag.replace_range(..12, "");
        tag
    }

    fn apply_event(&mut self, event: DriverEvent) {
        match event {
            DriverEvent::DriverRegistered { driver_id } => self.driver_id = Some(driver_id),
            DriverEvent::PlanActivated { plan_id } => self.plan_id = Some(plan_id),
            DriverEvent::PlanEnded { .. } => self.plan_id = None,
            DriverEvent::DriverErased { .. } => {
                self.plan_id = None;
                self.erased = true;
            }
        }
    }
}

impl Decide for Driver {
    const AGGREGATE: AggregateType = AggregateType::Driver;
    const FOLD_VERSION: i32 = 2;

    fn decide(&self, command: DriverCommand) -> Result<Vec<DriverEvent>, Refusal> {
        match (command, self.driver_id) {
            (DriverCommand::Register { driver_id }, None) => Ok(vec![DriverEvent::DriverRegistered { driver_id }]),
            (DriverCommand::Register { .. } | DriverCommand::ActivatePlan { .. }, Some(_)) if self.erased => {
                Err(Refusal::DriverUnknown)
            }
            (DriverCommand::Register { .. }, Some(_)) => Ok(vec![]),
            (_, None) => Err(Refusal::DriverUnknown),
            (DriverCommand::Erase, Some(_)) if self.erased => Ok(vec![]),
            (DriverCommand::Erase, Some(driver_id)) => {
                let ended = self.plan_id.map(|plan_id| DriverEvent::PlanEnded { plan_id });
                Ok(ended.into_iter().chain([DriverEvent::DriverErased { driver_id }]).collect())
            }
            (DriverCommand::ActivatePlan { plan_id }, Some(_)) if self.plan_id == Some(plan_id) => Ok(vec![]),
            (DriverCommand::ActivatePlan { plan_id }, Some(_)) => {
                let ended = self.plan_id.map(|plan_id| DriverEvent::PlanEnded { plan_id });
                Ok(ended.into_iter().chain([DriverEvent::PlanActivated { plan_id }]).collect())
            }
            (DriverCommand::EndPlan, Some(_)) => {
                Ok(self.plan_id.map(|plan_id| DriverEvent::PlanEnded { plan_id }).into_iter().collect())
            }
        }
    }
}

aggregate!(Driver, DriverCommand, DriverEvent, Driver);
