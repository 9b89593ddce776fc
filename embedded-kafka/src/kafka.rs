//! Starting, disturbing and stopping a cluster.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use futures_util::future::{join_all, try_join_all};
use owned_process::{Ending, Guardian, OwnerLock, State, Watch};
use tokio::sync::Mutex;

use crate::error::Error;
use crate::layout::Layout;
use crate::node::{Heap, Node, STOP_WAIT_MAX};
use crate::secured::Secured;
use crate::{java, libraries, properties};

/// Memory of Java's heap: of a node alone, and of each of three.
const HEAP_AT_START_MIB: u32 = 64;
const HEAP_ALONE_MIB: u32 = 384;
const HEAP_OF_THREE_MIB: u32 = 256;

#[derive(Clone, Debug)]
pub struct Options {
    /// Everything is kept below it; made when missing. A start that finds a cluster there goes on with it.
    pub directory: PathBuf,
    /// 1 or 3.
    pub nodes: u16,
    /// Whether `directory` is removed when the cluster ends.
    pub ephemeral: bool,
    /// Also listen with TLS and SASL: [`EmbeddedKafka::secured`]. Decided when a cluster is made.
    pub secured: bool,
    /// Heap of each node, all of it from the start; none: as little as it needs, up to 384 MiB for one and 256 MiB each for three.
    /// With little, a node under load stands still for a tenth of a second every few seconds, to collect garbage.
    pub heap_mib: Option<u32>,
    /// Further lines of `server.properties`, which win.
    pub properties: Vec<(String, String)>,
}

impl Options {
    /// One node.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self { directory, nodes: 1, ephemeral: false, secured: false, heap_mib: None, properties: vec![] }
    }
}

/// A running cluster, and the ownership of its directory. Nodes are numbered from 1.
///
/// When dropped without [`EmbeddedKafka::stop`], the guardian stops the nodes.
#[derive(Debug)]
pub struct EmbeddedKafka {
    nodes: Vec<Mutex<Node>>,
    layout: Layout,
    secured: Option<Secured>,
    ephemeral: bool,
    // Fields are dropped in this order: the guardian learns of the end before the directory is free for another owner.
    guardian: Guardian,
    _lock: OwnerLock,
}

impl EmbeddedKafka {
    /// Starts all nodes, making the cluster the first time, and waits until they take part.
    ///
    /// # Errors
    /// When Java is missing, Kafka can't be fetched, another process owns the directory, or a node does not start.
    pub async fn start(options: Options) -> Result<Self, Error> {
        if !matches!(options.nodes, 1 | 3) {
            return Err(Error::NodeCount(options.nodes));
        }
        let java = java::find()?;
        let libraries = libraries::ensure().await?;
        let home = &options.directory;
        DirBuilder::new().recursive(true).mode(0o700).create(home).map_err(Error::file("can't create", home))?;
        let home = home.canonicalize().map_err(Error::file("can't find", home))?;
        let lock = OwnerLock::take(&home)?;
        let layout = Layout::load_or_create(&home, options.nodes)?;
        let secured = if options.secured { Some(Secured::prepare(&layout)?) } else { None };
        let pids = layout.pids();
        std::fs::create_dir_all(&pids).map_err(Error::file("can't create", &pids))?;
        // What is removed anyway need not end well.
        let ending = if options.ephemeral { Ending::kill() } else { Ending::terminate(STOP_WAIT_MAX) };
        let remove = options.ephemeral.then_some(home.as_path());
        let guardian = Guardian::watch(Watch { name: "kafka", pids: &pids, ending: &ending, remove, user: None })?;

        let heap = if options.nodes == 1 { HEAP_ALONE_MIB } else { HEAP_OF_THREE_MIB };
        let heap = options.heap_mib.map_or(Heap { first_mib: HEAP_AT_START_MIB, most_mib: heap }, Heap::all);
        let nodes = (1..=options.nodes).map(|number| {
            let node = Node::new(&layout, number, java.clone(), &libraries, heap);
            let properties = properties::of_node(&layout, number, secured.as_ref(), &options.properties);
            (node, properties)
        });
        let nodes: Vec<(Node, String)> = nodes.collect();
        let users = || secured.as_ref().map(Secured::format_arguments).unwrap_or_default();
        let preparing = nodes.iter().map(|(node, text)| node.prepare(text, &layout.cluster_id, users()));
        try_join_all(preparing).await?;

        let nodes = nodes.into_iter().map(|(node, _)| Mutex::new(node)).collect();
        let kafka = Self { nodes, layout, secured, ephemeral: options.ephemeral, guardian, _lock: lock };
        kafka.start_stopped().await?;
        Ok(kafka)
    }

    /// Where clients begin: `host:port` of every node, separated by commas.
    pub fn brokers(&self) -> String {
        self.layout.addresses(|ports| ports.clients)
    }

    /// The ways in by TLS and SASL, where `Options::secured` was set.
    pub fn secured(&self) -> Option<&Secured> {
        self.secured.as_ref()
    }

    /// The numbers of all nodes.
    pub fn nodes(&self) -> std::ops::RangeInclusive<u16> {
        1..=self.nodes.len() as u16
    }

    /// Where a node writes what it says.
    pub fn log(&self, number: u16) -> PathBuf {
        self.layout.node(number).join("server.log")
    }

    /// SIGKILL: as if the node's machine had lost its power, but for the kernel's cache. It is gone when this returns.
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::NotRunning`].
    pub async fn kill(&self, number: u16) -> Result<(), Error> {
        if self.node(number)?.lock().await.process.kill().await { Ok(()) } else { Err(Error::NotRunning(number)) }
    }

    /// SIGSTOP: the node keeps its connections and does nothing.
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::NotRunning`].
    pub async fn freeze(&self, number: u16) -> Result<(), Error> {
        if self.node(number)?.lock().await.process.freeze() { Ok(()) } else { Err(Error::NotRunning(number)) }
    }

    /// SIGCONT: a frozen node goes on.
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::NotRunning`].
    pub async fn thaw(&self, number: u16) -> Result<(), Error> {
        if self.node(number)?.lock().await.process.thaw() { Ok(()) } else { Err(Error::NotRunning(number)) }
    }

    /// Starts a node that was killed, on its old port and its old data, and waits until it takes part; a running one is
    /// stopped in good order first. One of three takes part only beside a second: to start several that were killed,
    /// [`EmbeddedKafka::start_stopped`].
    ///
    /// # Errors
    /// [`Error::NoNode`], or when it does not start.
    pub async fn restart(&self, number: u16) -> Result<(), Error> {
        let mut node = self.node(number)?.lock().await;
        node.process.stop().await;
        node.launch().await?;
        node.until_ready().await
    }

    /// Stops one node in good order: its partitions have other leaders first.
    ///
    /// # Errors
    /// [`Error::NoNode`].
    pub async fn stop_node(&self, number: u16) -> Result<(), Error> {
        self.node(number)?.lock().await.process.stop().await;
        Ok(())
    }

    /// Starts all nodes that do not run, and waits until they take part.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start_stopped(&self) -> Result<(), Error> {
        try_join_all(self.nodes.iter().map(async |node| {
            let mut node = node.lock().await;
            if node.process.pid().is_some() {
                return Ok(());
            }
            node.launch().await?;
            node.until_ready().await
        }))
        .await?;
        Ok(())
    }

    /// # Errors
    /// [`Error::NoNode`].
    pub async fn state(&self, number: u16) -> Result<State, Error> {
        Ok(self.node(number)?.lock().await.process.state())
    }

    /// A node's process; none when it does not run.
    ///
    /// # Errors
    /// [`Error::NoNode`].
    pub async fn pid(&self, number: u16) -> Result<Option<u32>, Error> {
        Ok(self.node(number)?.lock().await.process.pid())
    }

    /// The guardian's process.
    pub fn guardian_pid(&self) -> u32 {
        self.guardian.pid()
    }

    /// Stops all nodes. Where the directory is not kept, they are killed.
    pub async fn stop(self) {
        let ephemeral = self.ephemeral;
        let stopping = self.nodes.iter().map(async |node| {
            let mut node = node.lock().await;
            if ephemeral {
                node.process.kill().await;
            } else {
                node.process.stop().await;
            }
        });
        join_all(stopping).await;
        self.guardian.dismiss().await;
    }

    fn node(&self, number: u16) -> Result<&Mutex<Node>, Error> {
        let index = number.checked_sub(1).ok_or(Error::NoNode(number))?;
        self.nodes.get(usize::from(index)).ok_or(Error::NoNode(number))
    }
}
