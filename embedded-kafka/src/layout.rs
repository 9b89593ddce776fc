//! What a cluster keeps from one start to the next: its id and its ports.

use std::path::{Path, PathBuf};

use rand::seq::IndexedRandom;

use crate::error::Error;

/// Of Kafka's ids: 16 bytes in URL-safe base64, without padding.
const ID_CHARS: usize = 22;
const ID_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Ports of one node on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) clients: u16,
    pub(crate) controller: u16,
    pub(crate) tls: u16,
    pub(crate) sasl: u16,
    pub(crate) sasl_tls: u16,
}

const PORTS_PER_NODE: usize = 5;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) home: PathBuf,
    pub(crate) cluster_id: String,
    pub(crate) nodes: Vec<Ports>,
}

impl Layout {
    /// What is kept in `home`, or a new one for so many nodes.
    pub(crate) fn load_or_create(home: &Path, nodes: u16) -> Result<Self, Error> {
        let path = home.join("cluster");
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let layout = Self::parse(home, &text)
                    .ok_or_else(|| Error::file("can't understand", &path)(std::io::ErrorKind::InvalidData.into()))?;
                let there = layout.nodes.len() as u16;
                if there != nodes {
                    return Err(Error::OtherCluster { path: home.to_owned(), there, wanted: nodes });
                }
                Ok(layout)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let layout = Self::create(home, nodes)?;
                let unfinished = home.join("cluster.unfinished");
                std::fs::write(&unfinished, layout.text()).map_err(Error::file("can't write", &unfinished))?;
                std::fs::rename(&unfinished, &path).map_err(Error::file("can't rename to", &path))?;
                Ok(layout)
            }
            Err(error) => Err(Error::file("can't read", &path)(error)),
        }
    }

    fn create(home: &Path, nodes: u16) -> Result<Self, Error> {
        let mut random = rand::rng();
        let chars = (0..ID_CHARS - 1).filter_map(|_| ID_ALPHABET.choose(&mut random)).map(|byte| char::from(*byte));
        // The last of 22 characters holds two bits of the 128 only.
        let cluster_id = chars.chain(['A']).collect();
        let free = owned_process::free_ports(usize::from(nodes) * PORTS_PER_NODE)?;
        let nodes = free.chunks(PORTS_PER_NODE).filter_map(Ports::of).collect();
        Ok(Self { home: home.to_owned(), cluster_id, nodes })
    }

    /// The id on the first line, then a line of ports for each node.
    fn text(&self) -> String {
        let line = |ports: &Ports| {
            let Ports { clients, controller, tls, sasl, sasl_tls } = ports;
            format!("{clients} {controller} {tls} {sasl} {sasl_tls}\n")
        };
        format!("{}\n{}", self.cluster_id, self.nodes.iter().map(line).collect::<String>())
    }

    fn parse(home: &Path, text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let cluster_id = lines.next().filter(|id| id.len() == ID_CHARS)?.to_owned();
        let node = |line: &str| {
            let ports: Option<Vec<u16>> = line.split(' ').map(|port| port.parse().ok()).collect();
            Ports::of(&ports?)
        };
        let nodes: Option<Vec<Ports>> = lines.map(node).collect();
        Some(Self { home: home.to_owned(), cluster_id, nodes: nodes? })
    }

    pub(crate) fn node(&self, number: u16) -> PathBuf {
        self.home.join(format!("node-{number}"))
    }

    /// Where nodes leave word of their processes.
    pub(crate) fn pids(&self) -> PathBuf {
        self.home.join("pids")
    }

    /// All nodes' addresses of one kind, as clients take them.
    pub(crate) fn addresses(&self, port: impl Fn(&Ports) -> u16) -> String {
        let addresses = self.nodes.iter().map(|ports| format!("127.0.0.1:{}", port(ports)));
        addresses.collect::<Vec<_>>().join(",")
    }
}

impl Ports {
    fn of(ports: &[u16]) -> Option<Self> {
        let [clients, controller, tls, sasl, sasl_tls] = *ports else { return None };
        Some(Self { clients, controller, tls, sasl, sasl_tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again_and_other_sizes_are_refused() {
        let home = tempfile::tempdir().expect("a directory");
        let made = Layout::load_or_create(home.path(), 3).expect("a new one");
        assert_eq!(made.nodes.len(), 3);
        assert_eq!(Layout::load_or_create(home.path(), 3).expect("the same"), made);
        let refused = Layout::load_or_create(home.path(), 1).expect_err("it has three nodes").to_string();
        assert!(refused.contains("a cluster of 3 nodes, and 1 are wanted"), "{refused}");
        std::fs::write(home.path().join("cluster"), "x").expect("ours");
        let refused = Layout::load_or_create(home.path(), 3).expect_err("it is broken").to_string();
        assert!(refused.contains("can't understand"), "{refused}");
    }
}
