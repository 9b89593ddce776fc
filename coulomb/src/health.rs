//! Asking a process of this machine how it is: for containers, whose image has no other client.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use service_host::config::listen_address;

use crate::up::reachable;

/// Above what `/ready` gives one of its checks.
const ANSWER_WAIT_MAX: Duration = Duration::from_millis(2_500);

#[derive(Args, Clone, Debug)]
pub struct HealthArgs {
    /// Where the process listens for HTTP, or its admin port: a port, or address:port
    #[arg(long, env = "COULOMB_HTTP_LISTEN", value_parser = listen_address, default_value = "127.0.0.1:8080",
        value_name = "[ADDRESS:]PORT")]
    pub http: SocketAddr,

    /// Whether it should get work (/ready), not only whether it is alive (/health)
    #[arg(long)]
    pub ready: bool,
}

/// The command `coulomb health`: fails unless the process answers that it is well.
pub async fn run(args: &HealthArgs) -> anyhow::Result<()> {
    let url = format!("http://{}{}", reachable(args.http), if args.ready { "/ready" } else { "/health" });
    // A proxy of the environment is for what is elsewhere.
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WAIT_MAX).build()?;
    let answer = client.get(&url).send().await.with_context(|| format!("no answer from {url}"))?;
    let status = answer.status();
    let body = answer.text().await.with_context(|| format!("half an answer from {url}"))?;
    if !status.is_success() {
        bail!("{url} answers {status}: {body}");
    }
    say!("{body}");
    Ok(())
}
