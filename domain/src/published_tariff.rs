//! A tariff as it is published: versions of a price list. A session copies the version it is priced by.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decide, aggregate, event_names};
use crate::event::AggregateType;
use crate::id::TariffId;
use crate::refusal::Refusal;
use crate::tariff::Tariff;

/// The versions of a price list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TariffEvent {
    /// A version of the tariff was published: sessions that begin from now on are priced by it.
    TariffPublished {
        /// The number of the version, from 1.
        version: u32,
        /// What the tariff is called.
        name: String,
        /// The prices.
        tariff: Tariff,
    },
}

event_names!(TariffEvent { TariffPublished => "1" });

#[derive(Debug, Clone)]
pub enum TariffCommand {
    Publish { name: String, tariff: Tariff },
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedTariff {
    /// 0 before the first.
    pub version: u32,
    pub name: String,
    pub tariff: Option<Tariff>,
}

/// What a session is priced by: a version of a tariff, copied, and the zone its times of day are in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pricing {
    /// The tariff.
    pub tariff_id: TariffId,
    /// Which version of it, from 1.
    pub version: u32,
    /// The content of that version.
    pub tariff: Tariff,
    /// IANA name of the site's time zone: the tariff's times of day are in it.
    pub time_zone: chrono_tz::Tz,
}

impl Decide for PublishedTariff {
    const AGGREGATE: AggregateType = AggregateType::Tariff;
    const FOLD_VERSION: i32 = 1;

    fn decide(&self, command: TariffCommand) -> Result<Vec<TariffEvent>, Refusal> {
        let TariffCommand::Publish { name, tariff } = command;
        if name.trim().is_empty() {
            return Err(Refusal::invalid("name", "must not be empty"));
        }
        if let Err(error) = tariff.validate() {
            return Err(Refusal::invalid("tariff", error.to_string()));
        }
        if self.name == name && self.tariff.as_ref() == Some(&tariff) {
            return Ok(vec![]);
        }
        Ok(vec![TariffEvent::TariffPublished { version: self.version + 1, name, tariff }])
    }
}

impl PublishedTariff {
    fn apply_event(&mut self, event: TariffEvent) {
        let TariffEvent::TariffPublished { version, name, tariff } = event;
        *self = Self { version, name, tariff: Some(tariff) };
    }
}

aggregate!(PublishedTariff, TariffCommand, TariffEvent, Tariff);
