//! How much memory a part holds.

use std::fmt;
use std::iter::Sum;

/// Resident memory in KiB: what its processes have each of their own, and once what they share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    own_kib: u64,
    shared_kib: u64,
}

impl Memory {
    /// Of a process and all below it.
    pub(crate) fn of_tree(root: u32) -> Self {
        let mut memory = Self::default();
        for pid in owned_process::descendants(root) {
            let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let kib = |name: &str| -> u64 {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
            };
            memory.own_kib += kib("RssAnon:");
            // Programs and shared buffers: the same for all processes of a server.
            memory.shared_kib = memory.shared_kib.max(kib("RssFile:") + kib("RssShmem:"));
        }
        memory
    }

    pub fn kib(self) -> u64 {
        self.own_kib + self.shared_kib
    }
}

impl Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            own_kib: sum.own_kib + one.own_kib,
            shared_kib: sum.shared_kib + one.shared_kib,
        })
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} MiB", self.kib().div_ceil(1024)))
    }
}
