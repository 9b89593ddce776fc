//! A plan: what a driver subscribes to.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decide, aggregate, event_names};
use crate::event::AggregateType;
use crate::id::TariffId;
use crate::refusal::Refusal;

/// What a plan offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDetails {
    /// What it is called.
    pub name: String,
    /// What charging costs on this plan, wherever it is in the tariff's currency; null: the site's tariff.
    pub tariff_id: Option<TariffId>,
}

/// The versions of what drivers subscribe to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanEvent {
    /// A version of the plan was published.
    PlanPublished {
        /// The number of the version, from 1.
        version: u32,
        /// What it offers.
        details: PlanDetails,
    },
}

event_names!(PlanEvent { PlanPublished => "1" });

#[derive(Debug, Clone)]
pub enum PlanCommand {
    Publish(PlanDetails),
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// 0 before the first.
    pub version: u32,
    pub details: Option<PlanDetails>,
}

impl Decide for Plan {
    const AGGREGATE: AggregateType = AggregateType::Plan;
    const FOLD_VERSION: i32 = 1;

    fn decide(&self, command: PlanCommand) -> Result<Vec<PlanEvent>, Refusal> {
        let PlanCommand::Publish(details) = command;
        if details.name.trim().is_empty() {
            return Err(Refusal::invalid("name", "must not be empty"));
        }
        if self.details.as_ref() == Some(&details) {
            return Ok(vec![]);
        }
        Ok(vec![PlanEvent::PlanPublished { version: self.version + 1, details }])
    }
}

impl Plan {
    fn apply_event(&mut self, event: PlanEvent) {
        let PlanEvent::PlanPublished { version, details } = event;
        *self = Self { version, details: Some(details) };
    }
}

aggregate!(Plan, PlanCommand, PlanEvent, Plan);
