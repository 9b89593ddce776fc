use application::Application;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::mailbox::Mailboxes;
use crate::passwords::Passwords;
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
        }
    }
}
