//! The platform as several processes of each role, on one database, behind balancers.

use embedded_postgres::testing::TestDatabase;
use tokio::task::JoinSet;

use crate::balancer::{Balancer, Upstream};
use crate::network::{MASTER_KEY, Network, configured};
use crate::program::{Program, ProgramBuilder, free_port};
use crate::shared::logs;

/// Of each process: all of them have to find room in one server.
const CONNECTIONS: &str = "10";

/// How many processes of each role there are, and what is set for them.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Of the log files.
    pub name: &'static str,
    pub edges: usize,
    pub commands: usize,
    pub projections: usize,
    pub realtimes: usize,
    pub settings: Vec<(&'static str, String)>,
    pub log: LogBy,
}

/// How processes learn of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogBy {
    #[default]
    Postgres,
    /// Through Kafka, with two relays.
    Kafka,
}

impl ClusterConfig {
    /// One of each.
    pub fn new(name: &'static str) -> Self {
        Self { name, edges: 1, commands: 1, projections: 1, realtimes: 1, settings: vec![], log: LogBy::Postgres }
    }

    pub fn by(self, log: LogBy) -> Self {
        Self { log, ..self }
    }

    pub fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }
}

/// One process, as it can be started again.
pub struct Node {
    pub builder: ProgramBuilder,
    pub upstream: Upstream,
    program: Option<Program>,
}

impl Node {
    /// # Panics
    /// When it does not run.
    pub fn program(&self) -> &Program {
        self.program.as_ref().expect("it runs")
    }

    /// The process, to be ended by whoever takes it.
    ///
    /// # Panics
    /// When it does not run.
    pub fn take(&mut self) -> Program {
        self.program.take().expect("it runs")
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.program.take().expect("it runs").kill();
    }

    /// SIGTERM, and waits until it has ended well.
    pub async fn stop(&mut self) {
        let program = self.program.take().expect("it runs");
        tokio::task::spawn_blocking(|| program.stop()).await.expect("it ends well");
    }

    pub async fn start(&mut self) {
        assert!(self.program.is_none(), "it runs already");
        self.program = Some(self.builder.start().await);
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }
}

/// Everything, running.
pub struct Cluster {
    /// Through the balancers.
    pub network: Network,
    pub edges: Vec<Node>,
    pub commands: Vec<Node>,
    pub projections: Vec<Node>,
    pub realtimes: Vec<Node>,
    pub relays: Vec<Node>,
    /// Before command-services and realtime-apis.
    pub front: Balancer,
    /// Before the edges.
    pub chargers: Balancer,
    /// Last: it goes when nobody uses it.
    pub database: TestDatabase,
}

impl Cluster {
    pub async fn start(config: ClusterConfig) -> Self {
        let database = migrated(config.name).await;
        let mut settings: Vec<(String, String)> = vec![("DATABASE_URL".to_owned(), database.url().to_owned())];
        if config.log == LogBy::Kafka {
            settings.push(("KAFKA_BROKERS".to_owned(), embedded_kafka::testing::brokers().await.to_owned()));
            // Of this database alone.
            settings.push(("COULOMB_KAFKA_TOPIC_PREFIX".to_owned(), embedded_kafka::testing::topic_prefix()));
        }
        settings.extend(config.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let node = |role: &'static str, number: usize| {
            let http = free_port();
            let mut builder = alone(role, http, &format!("{}-{role}-{number}", config.name));
            let mut port = http;
            if role == "ocpp-edge" {
                port = free_port();
                builder = builder.env("COULOMB_OCPP_LISTEN", port.to_string());
            }
            for (name, value) in &settings {
                builder = builder.env(name, value);
            }
            Node { builder, upstream: Upstream { port, admin_port: http }, program: None }
        };
        let nodes = |role, count| (1..=count).map(|number| node(role, number)).collect::<Vec<_>>();
        let relays = nodes("relay", if config.log == LogBy::Postgres { 0 } else { 2 });
        let (edges, commands) = (nodes("ocpp-edge", config.edges), nodes("command-service", config.commands));
        let projections = nodes("projection-service", config.projections);
        let realtimes = nodes("realtime-api", config.realtimes);

        let front = Balancer::platform(&upstreams(&commands), &upstreams(&realtimes)).await;
        let chargers = Balancer::start(&upstreams(&edges)).await;
        let network = Network::at(front.port(), chargers.port(), database.url());
        let [relays, edges, commands, projections, realtimes] =
            started([relays, edges, commands, projections, realtimes]).await;
        Self { network, edges, commands, projections, realtimes, relays, front, chargers, database }
    }

    /// The platform with chargers at one edge alone.
    pub fn at_edge(&self, edge: usize) -> Network {
        self.network.with_chargers_at(self.edges[edge].upstream.port)
    }
}

pub fn upstreams(nodes: &[Node]) -> Vec<Upstream> {
    nodes.iter().map(|node| node.upstream).collect()
}

/// All at once.
async fn started<const N: usize>(groups: [Vec<Node>; N]) -> [Vec<Node>; N] {
    let mut starting = JoinSet::new();
    for (group, nodes) in groups.into_iter().enumerate() {
        for (number, mut node) in nodes.into_iter().enumerate() {
            starting.spawn(async move {
                node.start().await;
                (group, number, node)
            });
        }
    }
    let mut all = starting.join_all().await;
    all.sort_by_key(|(group, number, _)| (*group, *number));
    let mut groups = [const { Vec::new() }; N];
    for (group, _, node) in all {
        groups[group].push(node);
    }
    groups
}

/// A database with all migrations.
pub async fn migrated(name: &str) -> TestDatabase {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let migrate = ProgramBuilder::new(&["migrate"], 0, logs(&format!("{name}-migrate")));
    migrate.env("DATABASE_URL", database.url()).env("COULOMB_MASTER_KEY", MASTER_KEY).run().await;
    database
}

/// A role that does not know yet which database it is on.
pub fn alone(role: &str, http: u16, name: &str) -> ProgramBuilder {
    let builder = configured(ProgramBuilder::new(&[role, "--http", &http.to_string()], http, logs(name)));
    builder.env("COULOMB_MASTER_KEY", MASTER_KEY).env("COULOMB_DATABASE_CONNECTIONS", CONNECTIONS)
}
