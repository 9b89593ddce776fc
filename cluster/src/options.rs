//! What a cluster is to be made of.

use std::path::PathBuf;

/// Everything has a default but where it is kept and which program is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything is kept below it; made when missing. A start that finds a cluster there goes on with its data and ports.
    pub directory: PathBuf,
    /// The program `coulomb` to run, of any build.
    pub program: PathBuf,
    /// 3 or 1; 0: no Kafka and no relay, the log is read from Postgres.
    pub kafka_nodes: u16,
    /// Whether there is a replica of Postgres, which is read from and can be promoted.
    pub replica: bool,
    /// Whether the primary acknowledges nothing that the replica has not.
    pub synchronous: bool,
    /// Whether the roles reach the primary through PgBouncer, in transaction mode.
    pub pgbouncer: bool,
    pub relays: u16,
    pub projections: u16,
    pub commands: u16,
    pub realtimes: u16,
    pub edges: u16,
    /// Where nginx takes HTTP and WebSockets, and chargers; none: free ports.
    pub http_port: Option<u16>,
    pub ocpp_port: Option<u16>,
    pub traffic: Traffic,
    /// Whether the directory is removed at the end.
    pub ephemeral: bool,
    /// Further variables of the program's processes, which win.
    pub environment: Vec<(String, String)>,
}

/// Who uses the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Nobody: a test brings its own.
    None,
    /// The chargers and drivers of `coulomb demo`.
    Demo,
}

impl Options {
    /// One Kafka, a synchronous replica, PgBouncer, two of each role and nobody who uses it.
    pub fn new(directory: impl Into<PathBuf>, program: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            program: program.into(),
            kafka_nodes: 1,
            replica: true,
            synchronous: true,
            pgbouncer: true,
            relays: 2,
            projections: 2,
            commands: 2,
            realtimes: 2,
            edges: 2,
            http_port: None,
            ocpp_port: None,
            traffic: Traffic::None,
            ephemeral: false,
            environment: vec![],
        }
    }
}
