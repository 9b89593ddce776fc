//! What an idle socket costs, measured by hand (docs/websocket.md). The service runs in a process of its own, so that the
//! clients' memory is not counted.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::json;

use crate::support::{Client, Point, World};

const SOCKETS: usize = 5_000;
/// Opened before the first measurement, so that what is allocated once is not counted.
const WARM_UP: usize = 500;
const READY: &str = "ready to be measured: ";

#[tokio::test]
#[ignore = "a measurement, by hand"]
async fn idle_memory() {
    for (what, topics) in [("authenticated", &[][..]), ("subscribed to me and to a charger", &["me", "charger:CP1"])] {
        // A new one each time: what the first sockets gave back would be taken by the second.
        let mut service = Service::start();
        let mut sockets = Vec::with_capacity(SOCKETS + WARM_UP);
        let mut before = 0;
        for n in 0..SOCKETS + WARM_UP {
            if n == WARM_UP {
                before = service.resident_bytes();
            }
            sockets.push(service.socket(topics).await);
        }
        let each = (service.resident_bytes() - before) as f64 / SOCKETS as f64;
        println!("{SOCKETS} sockets, {what}: {each:.0} bytes of resident memory each");
        service.end();
    }
}

/// The process that is measured.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the other half of idle_memory"]
async fn service_to_be_measured() {
    let world = World::new().await;
    world.change(vec![(1_001, Point::new("CP1").row())]).await;
    world.reached(1_001).await;
    println!("\n{READY}{} {}", world.address(), world.driver_token().await);
    // Until the other half closes its end.
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().lines().count());
    ended.await.expect("no panic");
}

struct Service {
    child: Child,
    /// Held open, since it writes a last line.
    _output: BufReader<ChildStdout>,
    address: SocketAddr,
    token: String,
}

impl Service {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["memory::service_to_be_measured", "--exact", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut lines = output.by_ref().lines().map_while(Result::ok);
        let ready = lines.find_map(|line| line.strip_prefix(READY).map(str::to_owned)).expect("ready");
        let (address, token) = ready.split_once(' ').expect("both");
        Self { child, _output: output, address: address.parse().expect("an address"), token: token.to_owned() }
    }

    async fn socket(&self, topics: &[&str]) -> Client {
        let bearer = format!("Bearer {}", self.token);
        let mut client = Client::connect(self.address, &[("Authorization", &bearer)]).await;
        assert_eq!(client.next().await["type"], "authenticated");
        for topic in topics {
            assert_eq!(client.ask(json!({"action": "subscribe", "topic": topic})).await["type"], "snapshot");
        }
        client
    }

    fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
        let kilobytes: usize = resident.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes * 1024
    }

    fn end(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("ended");
    }
}
