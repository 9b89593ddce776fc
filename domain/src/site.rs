//! A site: where charge points stand, in whose time and money.

use serde::{Deserialize, Serialize};

use crate::aggregate::{Decide, aggregate, event_names};
use crate::event::AggregateType;
use crate::id::TariffId;
use crate::money::Currency;
use crate::refusal::Refusal;

/// A postal address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Street and number.
    pub street: String,
    /// The postal code; null where there is none.
    pub postal_code: Option<String>,
    /// The town.
    pub city: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// A place on earth (WGS 84), in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coordinates {
    /// Degrees north of the equator, −90 to 90.
    pub latitude: f64,
    /// Degrees east of Greenwich, −180 to 180.
    pub longitude: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteDetails {
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// Where it is on a map; null where nobody said.
    pub coordinates: Option<Coordinates>,
    /// IANA name of its time zone: tariffs' times of day are in it.
    pub time_zone: chrono_tz::Tz,
    /// The currency of the site (ISO 4217).
    pub currency: Currency,
    /// What charging costs here to those whose plan says nothing else; null: nothing.
    pub tariff_id: Option<TariffId>,
}

/// What is known of a site: where charge points stand, in whose time and money.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SiteEvent {
    /// An operator registered a site.
    SiteRegistered(SiteDetails),
    /// A site is described anew, as a whole.
    SiteChanged(SiteDetails),
}

event_names!(SiteEvent { SiteRegistered => "1", SiteChanged => "1" });

#[derive(Debug, Clone)]
pub enum SiteCommand {
    Register(SiteDetails),
    Change(SiteDetails),
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    pub details: Option<SiteDetails>,
}

impl Decide for Site {
    const AGGREGATE: AggregateType = AggregateType::Site;
    const FOLD_VERSION: i32 = 1;

    fn decide(&self, command: SiteCommand) -> Result<Vec<SiteEvent>, Refusal> {
        match (command, &self.details) {
            (SiteCommand::Register(details), None) => Ok(vec![SiteEvent::SiteRegistered(details.checked()?)]),
            (SiteCommand::Register(_), Some(_)) => Err(Refusal::AlreadyExists("The site exists already.")),
            (SiteCommand::Change(_), None) => Err(Refusal::invalid("site_id", "there is no such site")),
            (SiteCommand::Change(details), Some(present)) if details == *present => Ok(vec![]),
            (SiteCommand::Change(details), Some(_)) => Ok(vec![SiteEvent::SiteChanged(details.checked()?)]),
        }
    }
}

impl Site {
    fn apply_event(&mut self, event: SiteEvent) {
        match event {
            SiteEvent::SiteRegistered(details) | SiteEvent::SiteChanged(details) => self.details = Some(details),
        }
    }
}

impl SiteDetails {
    fn checked(self) -> Result<Self, Refusal> {
        let filled = |field, text: &str| match text.trim() {
            "" => Err(Refusal::invalid(field, "must not be empty")),
            text if text.chars().count() > 200 => Err(Refusal::invalid(field, "has at most 200 characters")),
            _ => Ok(()),
        };
        filled("name", &self.name)?;
        filled("address.street", &self.address.street)?;
        filled("address.city", &self.address.city)?;
        if self.address.country.len() != 2 || !self.address.country.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(Refusal::invalid("address.country", "is two capital letters (ISO 3166-1 alpha-2)"));
        }
        if let Some(Coordinates { latitude, longitude }) = self.coordinates {
            if !(-90.0..=90.0).contains(&latitude) {
                return Err(Refusal::invalid("coordinates.latitude", "is between -90 and 90 degrees"));
            }
            if !(-180.0..=180.0).contains(&longitude) {
                return Err(Refusal::invalid("coordinates.longitude", "is between -180 and 180 degrees"));
            }
        }
        Ok(self)
    }
}

aggregate!(Site, SiteCommand, SiteEvent, Site);
