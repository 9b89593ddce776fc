//! How a process is ended.

use std::time::Duration;

use nix::sys::signal::Signal;

/// For the kernel to take away what got SIGKILL.
pub(crate) const KILL_WAIT_MAX: Duration = Duration::from_secs(10);

/// Signals, one after another, each with the time that the process has to end by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending(Vec<(Signal, Duration)>);

impl Ending {
    /// One signal.
    pub fn by(signal: Signal, within: Duration) -> Self {
        Self(vec![(signal, within)])
    }

    /// And for what has not ended by then, another.
    #[must_use]
    pub fn then(mut self, signal: Signal, within: Duration) -> Self {
        self.0.push((signal, within));
        self
    }

    /// SIGTERM, and SIGKILL for what has not ended within that time.
    pub fn terminate(within: Duration) -> Self {
        Self::by(Signal::SIGTERM, within).then(Signal::SIGKILL, KILL_WAIT_MAX)
    }

    /// SIGKILL at once.
    pub fn kill() -> Self {
        Self::by(Signal::SIGKILL, KILL_WAIT_MAX)
    }

    pub(crate) fn steps(&self) -> &[(Signal, Duration)] {
        &self.0
    }

    /// For `guardian.sh`: name of the signal and tenths of a second, by turns.
    pub(crate) fn words(&self) -> impl Iterator<Item = String> {
        let step = |(signal, within): &(Signal, Duration)| {
            [signal.as_str().trim_start_matches("SIG").to_owned(), (within.as_millis() / 100).to_string()]
        };
        self.0.iter().flat_map(step)
    }
}
