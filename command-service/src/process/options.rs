use std::time::Duration;

use chrono::TimeDelta;

/// For how long the managers wait. How long the business waits is in `application::Settings`.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a manager that is silent keeps its partitions.
    pub lease_ttl: Duration,
    /// How often partitions of which nothing came get their checkpoint, and the metrics are renewed.
    pub housekeeping_every: Duration,
    /// The edge that holds a charger ends what was not sent, or not answered, by itself; only so much later is it done
    /// here.
    pub expiry_grace: TimeDelta,
    pub answer_grace: TimeDelta,
    /// After which a cancelled session that could not be stopped is stopped again.
    pub stop_again_after: TimeDelta,
    /// After which an event is looked at again that this program could not understand, again and again.
    pub look_again_after: TimeDelta,
    /// How often the edges' leases are looked at.
    pub edges_every: Duration,
    /// How long an edge's lease holds without being renewed. After this process has lost the database, edges get as long
    /// to renew theirs.
    pub edge_ttl: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(4),
            housekeeping_every: Duration::from_secs(5),
            expiry_grace: TimeDelta::seconds(1),
            answer_grace: TimeDelta::seconds(5),
            stop_again_after: TimeDelta::seconds(30),
            look_again_after: TimeDelta::minutes(1),
            edges_every: Duration::from_secs(2),
            edge_ttl: Duration::from_secs(15),
        }
    }
}
