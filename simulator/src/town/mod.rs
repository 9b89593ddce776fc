//! A small network that lives on its own: people who drive to chargers, charge and leave, and a network that fails now and
//! then. Everything follows from the seed, except for what the other side and the scheduler make of it.

mod pace;
mod places;
mod resident;
mod trouble;

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::charger::{Charger, ChargerConfig, ChargerHandle};
use crate::phone::{Accepted, Person};
pub use pace::Pace;
use places::Places;
use resident::Resident;

/// Who lives in the town.
#[derive(Debug, Clone)]
pub struct ResidentConfig {
    pub person: Person,
    /// The number of their card, if they have one.
    pub card: Option<String>,
}

pub struct TownConfig {
    /// Without a trailing slash.
    pub http: String,
    pub ws: String,
    pub chargers: Vec<ChargerConfig>,
    pub residents: Vec<ResidentConfig>,
    pub pace: Pace,
    /// Told of every command of a resident that was taken.
    pub witness: Option<Arc<dyn CommandWitness>>,
    pub seed: u64,
}

/// Told of every command that was taken: what must not be lost from then on.
pub trait CommandWitness: Send + Sync + 'static {
    fn accepted(&self, command: &Accepted);
}

/// The town, alive until it is dropped or put to rest.
pub struct Town {
    chargers: Vec<ChargerHandle>,
    people: JoinSet<()>,
    evening: CancellationToken,
}

impl Town {
    pub fn spawn(config: TownConfig) -> Self {
        let evening = CancellationToken::new();
        let chargers: Vec<ChargerHandle> = config.chargers.into_iter().map(Charger::spawn).collect();
        let places = Places::new(chargers.clone());
        let mut people = JoinSet::new();
        let client = reqwest::Client::new();
        for (number, resident) in config.residents.into_iter().enumerate() {
            let resident = Resident {
                http: config.http.clone(),
                ws: config.ws.clone(),
                client: client.clone(),
                config: resident,
                places: places.clone(),
                pace: config.pace.clone(),
                witness: config.witness.clone(),
                evening: evening.clone(),
                rng: SmallRng::seed_from_u64(config.seed.wrapping_add(number as u64 + 1)),
            };
            people.spawn(resident.live());
        }
        let rng = SmallRng::seed_from_u64(config.seed);
        people.spawn(trouble::happen(chargers.clone(), config.pace, evening.clone(), rng));
        Self { chargers, people, evening }
    }

    pub fn chargers(&self) -> &[ChargerHandle] {
        &self.chargers
    }

    /// Lets everybody finish what they have begun, and go home. The chargers stay on.
    pub async fn rest(&mut self) {
        self.evening.cancel();
        while self.people.join_next().await.is_some() {}
    }
}
