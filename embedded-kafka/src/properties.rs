//! `server.properties` of a node.

use crate::layout::Layout;
use crate::secured::Secured;

/// What holds for every node. Small, since tests make many topics; quick to notice that a node is gone.
const COMMON: &[(&str, &str)] = &[
    ("process.roles", "broker,controller"),
    ("controller.listener.names", "CONTROLLER"),
    ("inter.broker.listener.name", "CLIENTS"),
    ("auto.create.topics.enable", "false"),
    ("unclean.leader.election.enable", "false"),
    ("group.initial.rebalance.delay.ms", "0"),
    // A node that says nothing for so long is fenced, and its partitions get other leaders.
    ("broker.heartbeat.interval.ms", "500"),
    ("broker.session.timeout.ms", "4000"),
    ("replica.lag.time.max.ms", "6000"),
    ("offsets.topic.num.partitions", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
    ("background.threads", "2"),
    ("log.segment.bytes", "16777216"),
    // Of each segment that is written to, so much is mapped; by default 10 MiB.
    ("log.index.size.max.bytes", "131072"),
    // By default the cleaner of compacted topics takes 128 MiB of the heap.
    ("log.cleaner.dedupe.buffer.size", "4194304"),
];

/// The properties of node `number` in a cluster; `more` come last and win.
pub(crate) fn of_node(layout: &Layout, number: u16, secured: Option<&Secured>, more: &[(String, String)]) -> String {
    let ports = layout.nodes[usize::from(number - 1)];
    let nodes = layout.nodes.len();
    let (replicas, in_sync) = if nodes == 1 { ("1", "1") } else { ("3", "2") };
    let voters = (1..).zip(&layout.nodes).map(|(id, ports)| format!("{id}@127.0.0.1:{}", ports.controller));
    let voters = voters.collect::<Vec<_>>().join(",");

    let mut listeners = vec![("CLIENTS", "PLAINTEXT", ports.clients), ("CONTROLLER", "PLAINTEXT", ports.controller)];
    if secured.is_some() {
        listeners.extend([("TLS", "SSL", ports.tls), ("SASL", "SASL_PLAINTEXT", ports.sasl)]);
        listeners.push(("SASLTLS", "SASL_SSL", ports.sasl_tls));
    }
    type Listener = (&'static str, &'static str, u16);
    let joined =
        |text: &dyn Fn(&Listener) -> Option<String>| listeners.iter().filter_map(text).collect::<Vec<_>>().join(",");
    let address = |(name, _, port): &Listener| Some(format!("{name}://127.0.0.1:{port}"));
    let advertised = |listener: &Listener| address(listener).filter(|_| listener.0 != "CONTROLLER");

    let mut all: Vec<(String, String)> = vec![
        ("node.id".into(), number.to_string()),
        ("controller.quorum.voters".into(), voters),
        ("listeners".into(), joined(&address)),
        ("advertised.listeners".into(), joined(&advertised)),
        (
            "listener.security.protocol.map".into(),
            joined(&|(name, protocol, _): &Listener| Some(format!("{name}:{protocol}"))),
        ),
        ("log.dirs".into(), layout.node(number).join("data").display().to_string()),
    ];
    let replicated = [
        ("default.replication.factor", replicas),
        ("min.insync.replicas", in_sync),
        ("offsets.topic.replication.factor", replicas),
        ("transaction.state.log.replication.factor", replicas),
        ("transaction.state.log.min.isr", in_sync),
        ("share.coordinator.state.topic.replication.factor", replicas),
        ("share.coordinator.state.topic.min.isr", in_sync),
    ];
    all.extend(COMMON.iter().chain(&replicated).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    all.extend(secured.map(Secured::properties).into_iter().flatten());
    all.extend(more.iter().cloned());
    all.iter().map(|(name, value)| format!("{name}={}\n", escaped(value))).collect()
}

/// A backslash begins an escape in a file of properties.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\")
}
