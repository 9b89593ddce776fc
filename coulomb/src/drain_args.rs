//! How a process ends: how long balancers are told before, and over which time sockets are closed.

use std::time::Duration;

use clap::Args;

/// For parts to finish what is under way, beyond the time over which sockets are closed. Longer than any part's own limit.
const FINISH_WAIT_MAX: Duration = Duration::from_secs(30);

#[derive(Args, Clone, Copy, Debug)]
pub struct DrainArgs {
    /// Seconds from SIGTERM until nothing new is taken. /ready answers 503 meanwhile, so that balancers send nothing more;
    /// with a private Postgres there are none, and it does not wait
    #[arg(long, env = "COULOMB_DRAIN_NOTICE_S", value_name = "SECONDS", default_value_t = 1, global = true,
        value_parser = clap::value_parser!(u64).range(0..=300))]
    pub drain_notice_s: u64,

    /// Seconds over which sockets are closed at the end, so that phones and chargers don't come back all at once
    #[arg(long, env = "COULOMB_DRAIN_S", value_name = "SECONDS", default_value_t = 5, global = true,
        value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub drain_s: u64,
}

impl DrainArgs {
    pub fn notice(self) -> Duration {
        Duration::from_secs(self.drain_notice_s)
    }

    /// Over which time sockets are closed.
    pub fn over(self) -> Duration {
        Duration::from_secs(self.drain_s)
    }

    /// After which a process ends that is not drained.
    pub fn wait_max(self) -> Duration {
        self.over() + FINISH_WAIT_MAX
    }
}
