use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, oneshot, watch};

use super::car::Car;
use super::config::ChargerConfig;
use super::link::{self, Link};
use super::station::Station;
use super::view::ChargerView;

/// Orders of people beside a charger that it has not carried out yet.
const ORDERS_MAX: usize = 64;

/// What can't be done with a charger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    #[error("the charger has no such outlet")]
    NoSuchOutlet,
    #[error("there is a car on the outlet")]
    Occupied,
    #[error("there is no car on the outlet")]
    NoCar,
    #[error("the outlet is out of service, or somebody else's")]
    OutOfService,
    #[error("the charger is gone")]
    Gone,
}

pub(super) enum Order {
    Plug { outlet: usize, car: Car, done: oneshot::Sender<Result<(), Impossible>> },
    Unplug { outlet: usize, done: oneshot::Sender<Result<Car, Impossible>> },
    Swipe { outlet: usize, tag: String, done: oneshot::Sender<Result<(), Impossible>> },
    SetFault { outlet: usize, code: Option<String>, done: oneshot::Sender<Result<(), Impossible>> },
    GoOffline { duration: Duration, done: oneshot::Sender<Result<(), Impossible>> },
    Reconnect { done: oneshot::Sender<Result<(), Impossible>> },
}

/// A charger that is switched on.
pub struct Charger;

impl Charger {
    /// Switches it on; it connects by itself, and again whenever the connection is lost.
    pub fn spawn(config: ChargerConfig) -> ChargerHandle {
        let id = config.id.clone();
        let mut hasher = DefaultHasher::new();
        (config.seed, &id).hash(&mut hasher);
        let mut rng = SmallRng::seed_from_u64(hasher.finish());
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let now = link::now(&config);
        let station = Station::new(config, rng.random_range(1_000.0..9_000_000.0), now);
        let (sender, view) = watch::channel(station.view());
        tokio::spawn(Link::new(station, received, sender, rng).run());
        ChargerHandle { id, orders, view }
    }
}

/// What a person beside the charger can see and do. Outlets count from 1, as OCPP's connectors.
#[derive(Clone)]
pub struct ChargerHandle {
    id: String,
    orders: mpsc::Sender<Order>,
    view: watch::Receiver<ChargerView>,
}

impl ChargerHandle {
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn view(&self) -> ChargerView {
        self.view.borrow().clone()
    }

    /// Waits until the charger looks as wanted.
    ///
    /// # Errors
    /// [`Impossible::Gone`].
    pub async fn wait_for(&self, mut wanted: impl FnMut(&ChargerView) -> bool) -> Result<ChargerView, Impossible> {
        let mut view = self.view.clone();
        let seen = view.wait_for(|view| wanted(view)).await.map_err(|_| Impossible::Gone)?;
        Ok(seen.clone())
    }

    pub async fn plug(&self, outlet: usize, car: Car) -> Result<(), Impossible> {
        self.order(|done| Order::Plug { outlet, car, done }).await
    }

    /// Pulls the plug, and takes the car away.
    pub async fn unplug(&self, outlet: usize) -> Result<Car, Impossible> {
        self.order(|done| Order::Unplug { outlet, done }).await
    }

    /// Shows a card.
    pub async fn swipe(&self, outlet: usize, tag: impl Into<String>) -> Result<(), Impossible> {
        let tag = tag.into();
        self.order(|done| Order::Swipe { outlet, tag, done }).await
    }

    /// Breaks the outlet, with a `ChargePointErrorCode`.
    pub async fn break_outlet(&self, outlet: usize, code: impl Into<String>) -> Result<(), Impossible> {
        let code = Some(code.into());
        self.order(|done| Order::SetFault { outlet, code, done }).await
    }

    pub async fn repair_outlet(&self, outlet: usize) -> Result<(), Impossible> {
        self.order(|done| Order::SetFault { outlet, code: None, done }).await
    }

    /// Loses the network for so long. Cars go on charging.
    pub async fn go_offline(&self, duration: Duration) -> Result<(), Impossible> {
        self.order(|done| Order::GoOffline { duration, done }).await
    }

    /// Loses the connection, and comes back at once.
    pub async fn reconnect(&self) -> Result<(), Impossible> {
        self.order(|done| Order::Reconnect { done }).await
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, Impossible>>) -> Order,
    ) -> Result<T, Impossible> {
        let (done, answer) = oneshot::channel();
        self.orders.send(order(done)).await.map_err(|_| Impossible::Gone)?;
        answer.await.unwrap_or(Err(Impossible::Gone))
    }
}
