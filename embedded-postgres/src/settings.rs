//! How the server is tuned. Given on its command line, so that an existing cluster follows the program's version.

use std::path::Path;

/// A share of the machine's memory, within these bounds (MiB).
const SHARED_BUFFERS_MIB: std::ops::RangeInclusive<u64> = 128..=1024;
const SHARED_BUFFERS_SHARE: u64 = 8;

pub(crate) struct Tuning<'a> {
    pub(crate) port: u16,
    pub(crate) socket: Option<&'a Path>,
    pub(crate) durable: bool,
    pub(crate) connections_max: u16,
}

impl Tuning<'_> {
    /// Each as `name=value`, for `-c`.
    pub(crate) fn settings(&self) -> Vec<String> {
        let socket = self.socket.map(|path| path.display().to_string()).unwrap_or_default();
        let mut settings = vec![
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={socket}"),
            format!("max_connections={}", self.connections_max),
            format!("shared_buffers={}MB", shared_buffers_mib()),
            // The log is written all day: checkpoints by time and not by volume keep full-page images rare.
            "max_wal_size=4GB".to_owned(),
            "min_wal_size=512MB".to_owned(),
            "checkpoint_timeout=15min".to_owned(),
            "wal_buffers=16MB".to_owned(),
            // Statements touch many partitions and take microseconds: more locks, no compiling, cheap random reads.
            "max_locks_per_transaction=256".to_owned(),
            "jit=off".to_owned(),
            // A client that stopped amid its handshake would keep a DROP DATABASE waiting for a minute. On a busy machine a
            // handshake takes seconds.
            "authentication_timeout=10s".to_owned(),
            "random_page_cost=1.1".to_owned(),
            "timezone=UTC".to_owned(),
            "log_timezone=UTC".to_owned(),
            "log_line_prefix=%m [%p] ".to_owned(),
        ];
        // On in any case: without a sync it costs nothing, and what is committed outlives the server's own crash.
        settings.push("synchronous_commit=on".to_owned());
        let durable = if self.durable { "on" } else { "off" };
        settings.extend(["fsync", "full_page_writes"].map(|name| format!("{name}={durable}")));
        settings
    }
}

fn shared_buffers_mib() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total_kib: u64 = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    (total_kib / 1024 / SHARED_BUFFERS_SHARE).clamp(*SHARED_BUFFERS_MIB.start(), *SHARED_BUFFERS_MIB.end())
}
