use std::sync::atomic::AtomicUsize;

use application::Application;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::mailbox::Mailboxes;
use crate::passwords::Passwords;
use crate::pulse::Pulse;
use crate::refresh::Untriggerable;

/// What the connections of an edge share.
pub struct Edge {
    pub config: Config,
    pub app: Application,
    pub mailboxes: Mailboxes,
    pub passwords: Passwords,
    /// Turns for openings, so that a storm of them leaves the database to those that are connected.
    pub openings: Semaphore,
    pub untriggerable: Untriggerable,
    pub pulse: Pulse,
    /// Chargers that were told to go and are not recorded as disconnected.
    pub handed_over: AtomicUsize,
}

impl Edge {
    pub fn new(config: Config, app: Application) -> Self {
        Self {
            openings: Semaphore::new(config.limits.openings_max),
            config,
            app,
            mailboxes: Mailboxes::default(),
            passwords: Passwords::new(),
            untriggerable: Untriggerable::default(),
            pulse: Pulse::new(),
            handed_over: AtomicUsize::new(0),
        }
    }
}
