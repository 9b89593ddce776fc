//! What is shown of a cluster.

use std::time::Duration;

use cluster::{Cluster, Memory, Part, Replication};

/// Once, when all is there.
pub async fn welcome(cluster: &Cluster, took: Duration) {
    let login = cluster.operator();
    say!(
        r#"
The cluster is up after {:.0} s. Ctrl-C stops it.

  Read and try the API     {}/docs
  WebSocket                {}
  Chargers connect to      {}/<charger id>
  Operator                 {}  {}
  Addresses for scripts    {}
"#,
        took.as_secs_f64(),
        cluster.http(),
        cluster.ws(),
        cluster.ocpp(),
        login.email,
        login.password,
        cluster.directory().join("cluster.json").display(),
    );
    status(cluster).await;
    say!("\nType `help` to see what can happen to it.");
}

/// A line for each part.
pub async fn status(cluster: &Cluster) {
    let mut all: Vec<Memory> = vec![];
    say!("  {:<14} {:<8} {:>9}  where", "part", "state", "memory");
    for part in cluster.parts().await {
        if let Ok(line) = line(cluster, part, &mut all).await {
            say!("{line}");
        }
    }
    let sum: Memory = all.into_iter().sum();
    let replication = match cluster.replication().await {
        Replication::None => "no replica follows",
        Replication::Asynchronous => "the replica follows asynchronously: a promotion may lose what was acknowledged",
        Replication::Synchronous => "the replica follows synchronously: what is acknowledged is on both",
    };
    say!("  {:<14} {:<8} {:>9}  {replication}", "all", "", sum.to_string());
}

async fn line(cluster: &Cluster, part: Part, all: &mut Vec<Memory>) -> Result<String, cluster::Error> {
    let (state, memory) = (cluster.state(part).await?, cluster.memory(part).await?);
    let (address, log) = (cluster.address(part).await, cluster.log(part).await?);
    all.push(memory);
    let log = std::env::current_dir().ok().and_then(|here| log.strip_prefix(here).ok().map(Into::into)).unwrap_or(log);
    Ok(format!("  {part:<14} {state:<8} {memory:>9}  {address:<32} {}", log.display()))
}
