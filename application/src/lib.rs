//! What can be done: one function for each command of a person, and one for each report of a charger.
//!
//! Each authorises, loads, decides and appends; only then is anyone answered. No HTTP, no sockets.

pub mod argon;
pub mod auth;
pub mod authorize;
pub mod command;
mod context;
pub mod credential;
pub mod erasure;
mod error;
pub mod problem;
pub mod registry;
pub mod report;
mod settings;
pub mod settle;
pub mod vault;
mod work;

use std::sync::Arc;

use event_store::EventStore;
use pool::Pool;
use schema::view::ViewStore;

pub use context::{CommandContext, Idempotency};
pub use error::Error;
pub use settings::Settings;

use auth::{Signer, Verifier};
use registry::{Chargers, Tokens, Transactions};
use vault::{MasterKey, Vault};

/// The handle of the application: cheap to clone, the same for every task of a process.
#[derive(Clone)]
pub struct Application(Arc<Inner>);

struct Inner {
    store: EventStore,
    vault: Vault,
    signer: Signer,
    verifier: Verifier,
    chargers: Chargers,
    tokens: Tokens,
    transactions: Transactions,
    settings: Settings,
    erasures: erasure::Erasures,
    views: ViewStore,
}

impl Application {
    /// On a database to which `schema::MIGRATOR` was applied.
    pub fn new(store: EventStore, pool: impl Into<Pool>, master_key: MasterKey, settings: Settings) -> Self {
        let pool = pool.into();
        let vault = Vault::new(pool.clone(), master_key.clone());
        Self(Arc::new(Inner {
            store,
            signer: Signer::new(pool.clone(), master_key),
            verifier: Verifier::new(pool.clone()),
            chargers: Chargers::new(pool.clone()),
            tokens: Tokens::new(pool.clone(), vault.clone()),
            transactions: Transactions::new(pool.clone()),
            erasures: erasure::Erasures::new(pool.clone()),
            views: ViewStore::new(pool),
            vault,
            settings,
        }))
    }

    pub fn store(&self) -> &EventStore {
        &self.0.store
    }

    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    pub fn signer(&self) -> &Signer {
        &self.0.signer
    }

    pub fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    pub fn chargers(&self) -> &Chargers {
        &self.0.chargers
    }

    pub fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    pub fn transactions(&self) -> &Transactions {
        &self.0.transactions
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }
}
