//! The processes below a process.

/// The process itself, its children, their children and so on. A server's processes may have groups and sessions of their
/// own: only their parents tell whose they are.
pub fn descendants(root: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, parent_of(pid)?))).collect();
    let mut all = vec![root];
    let mut looked_at = 0;
    while let Some(parent) = all.get(looked_at).copied() {
        all.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        looked_at += 1;
    }
    all
}

fn parent_of(pid: u32) -> Option<u32> {
    crate::word::field(pid, crate::word::PARENT)?.parse().ok()
}
