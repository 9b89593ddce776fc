use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use rand::seq::SliceRandom;

use crate::charger::{ChargerHandle, Status};

/// Where people can stand: one before each outlet.
#[derive(Clone)]
pub(super) struct Places {
    chargers: Arc<[ChargerHandle]>,
    taken: Arc<Mutex<HashSet<(usize, usize)>>>,
}

/// Somebody stands before an outlet. They leave when this is dropped.
pub(super) struct Place {
    pub charger: ChargerHandle,
    /// From 1.
    pub outlet: usize,
    places: Places,
    key: (usize, usize),
}

impl Places {
    pub fn new(chargers: Vec<ChargerHandle>) -> Self {
        Self { chargers: chargers.into(), taken: Arc::default() }
    }

    /// A free outlet that works, as far as one can see; none when all are taken.
    pub fn find(&self, rng: &mut impl Rng) -> Option<Place> {
        let all = self.chargers.iter().enumerate().flat_map(|(charger, handle)| {
            let outlets = handle.view().outlets.into_iter().zip(1..);
            let free = outlets.filter(|(outlet, _)| outlet.status == Status::Available);
            free.map(move |(_, number)| (charger, number))
        });
        let mut free: Vec<(usize, usize)> = all.collect();
        free.shuffle(rng);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let key = free.into_iter().find(|key| taken.insert(*key))?;
        Some(Place { charger: self.chargers[key.0].clone(), outlet: key.1, places: self.clone(), key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
