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
        let tree = tree(root);
        let mut memory = Self::default();
        for pid in tree {
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

fn tree(root: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, parent_of(pid)?))).collect();
    let mut tree = vec![root];
    let mut looked_at = 0;
    while let Some(parent) = tree.get(looked_at).copied() {
        tree.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        looked_at += 1;
    }
    tree
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which is in parentheses and may hold anything: state, parent.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
