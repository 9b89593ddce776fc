//! Which part has which port: the same at every start, so that what was killed is found again where it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::Error;

#[derive(Debug)]
pub(crate) struct Ports {
    path: PathBuf,
    known: BTreeMap<String, u16>,
}

impl Ports {
    /// Nothing of the cluster runs yet.
    pub(crate) fn load(directory: &Path) -> Result<Self, Error> {
        let path = directory.join("ports");
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(Error::file("can't read", &path))?,
        };
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let known = lines.filter_map(|(name, port)| Some((name.to_owned(), port.parse().ok()?)));
        // A port that another program has by now is given up.
        let known = known.filter(|(_, port)| owned_process::is_free(*port)).collect();
        Ok(Self { path, known })
    }

    /// The port of that name, a free one the first time.
    pub(crate) fn of(&mut self, name: &str) -> Result<u16, Error> {
        if let Some(port) = self.known.get(name) {
            return Ok(*port);
        }
        let mut port = owned_process::free_port()?;
        // It may be known by another name already: what is to listen there does not run yet.
        while self.known.values().any(|known| *known == port) {
            port = owned_process::free_port()?;
        }
        self.known.insert(name.to_owned(), port);
        let lines: String = self.known.iter().map(|(name, port)| format!("{name} {port}\n")).collect();
        std::fs::write(&self.path, lines).map_err(Error::file("can't write", &self.path))?;
        Ok(port)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn a_name_keeps_its_port_unless_somebody_has_taken_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut ports = Ports::load(directory.path()).expect("none yet");
        let (one, other) = (ports.of("one").expect("free"), ports.of("other").expect("free"));
        assert_ne!(one, other);
        let mut again = Ports::load(directory.path()).expect("it was written");
        assert_eq!((again.of("one").expect("known"), again.of("other").expect("known")), (one, other));
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, one)).expect("it is free");
        let mut again = Ports::load(directory.path()).expect("it was written");
        assert_ne!(again.of("one").expect("another"), one);
        assert_eq!(again.of("other").expect("known"), other);
    }
}
