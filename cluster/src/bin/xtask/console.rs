//! What a developer does to a running cluster, line by line.

use std::future::Future;
use std::str::FromStr;
use std::time::Instant;

use cluster::{Cluster, Part};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::screen;

const HELP: &str = "\
  status           a line for each part
  kill PART        SIGKILL                      (kill edge-1, kill kafka-1, kill postgres-1)
  freeze PART      SIGSTOP: keeps its connections and does nothing
  thaw PART        SIGCONT
  stop PART        SIGTERM: drains and ends
  start PART       where it was, with what it had
  restart PART     stop and start
  promote          the replica becomes the primary; the old primary is killed, and follows when it is started
  quit             as Ctrl-C";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Status,
    Help,
    Quit,
    Promote,
    Kill(Part),
    Freeze(Part),
    Thaw(Part),
    Stop(Part),
    Start(Part),
    Restart(Part),
}

impl FromStr for Order {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let part = |name: &str| name.parse::<Part>().map_err(|error| error.to_string());
        match words[..] {
            ["status"] => Ok(Self::Status),
            ["help"] => Ok(Self::Help),
            ["quit"] => Ok(Self::Quit),
            ["promote"] => Ok(Self::Promote),
            ["kill", name] => part(name).map(Self::Kill),
            ["freeze", name] => part(name).map(Self::Freeze),
            ["thaw", name] => part(name).map(Self::Thaw),
            ["stop", name] => part(name).map(Self::Stop),
            ["start", name] => part(name).map(Self::Start),
            ["restart", name] => part(name).map(Self::Restart),
            _ => Err(format!("{line:?} is nothing that can be done; `help` tells what is")),
        }
    }
}

/// Carries out what is typed, until a signal comes or `quit` is typed. Without a terminal it is read too; its end is no
/// reason to stop.
pub async fn until_stopped(cluster: &Cluster, stopped: impl Future<Output = ()>) {
    tokio::pin!(stopped);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        let line = tokio::select! {
            () = &mut stopped => return,
            line = lines.next_line() => line,
        };
        let Ok(Some(line)) = line else { return stopped.await };
        if line.trim().is_empty() {
            continue;
        }
        let order = match line.parse::<Order>() {
            Ok(Order::Quit) => return,
            Ok(order) => order,
            Err(error) => {
                say!("{error}");
                continue;
            }
        };
        tokio::select! {
            () = &mut stopped => return,
            () = carry_out(cluster, order) => {}
        }
    }
}

async fn carry_out(cluster: &Cluster, order: Order) {
    let began = Instant::now();
    let done = match order {
        Order::Status => return screen::status(cluster).await,
        Order::Help => {
            say!("{HELP}");
            return;
        }
        Order::Quit => return,
        Order::Promote => cluster.promote().await,
        Order::Kill(part) => cluster.kill(part).await,
        Order::Freeze(part) => cluster.freeze(part).await,
        Order::Thaw(part) => cluster.thaw(part).await,
        Order::Stop(part) => cluster.stop_part(part).await,
        Order::Start(part) => cluster.start(part).await,
        Order::Restart(part) => cluster.restart(part).await,
    };
    match done {
        Ok(()) => say!("done, in {:.1} s", began.elapsed().as_secs_f64()),
        Err(error) => say!("{:#}", anyhow::Error::from(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_help_tells_them() {
        for line in HELP.lines().filter_map(|line| line.strip_prefix("  ")) {
            let order = line.split("  ").next().unwrap_or_default().replace("PART", "edge-1");
            assert!(order.parse::<Order>().is_ok(), "{order}");
        }
        assert_eq!("kill relay-2".parse(), Ok(Order::Kill(Part::Relay(2))));
        assert!("kill".parse::<Order>().is_err());
        assert!("kill me".parse::<Order>().unwrap_err().contains("no part of a cluster"));
    }
}
