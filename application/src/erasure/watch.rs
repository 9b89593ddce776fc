//! Every process learns of erasures, and drops what it has of the person in memory.

use std::collections::HashSet;
use std::time::Duration;

use crate::Application;
use crate::auth::ACCESS_TOKEN_LIFE_S;

/// How often a process asks: one look at an index of the last quarter of an hour.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Beyond the life of an access token, for clocks that differ.
const MARGIN_S: i64 = 60;

impl Application {
    /// Follows erasures for ever. Where the database can't be reached, keys in memory end by their age
    /// ([`crate::vault::KEY_AGE_MAX`]) and access tokens by theirs.
    pub async fn follow_erasures(&self) {
        let mut known = HashSet::new();
        loop {
            match self.0.erasures.recent(ACCESS_TOKEN_LIFE_S + MARGIN_S).await {
                Ok(recent) => {
                    let recent: HashSet<_> = recent.into_iter().collect();
                    if !recent.is_subset(&known) {
                        self.vault().forget();
                        self.tokens().forget();
                    }
                    self.verifier().refuse(recent.clone());
                    known = recent;
                }
                Err(error) => tracing::debug!(%error, "erasures can't be followed right now"),
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}
