//! Why a cluster, or a part of it, can't be had.

use std::io;
use std::path::{Path, PathBuf};

use crate::part::Part;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Kafka can't be had")]
    Kafka(#[from] embedded_kafka::Error),

    #[error("Postgres can't be had")]
    Postgres(#[from] embedded_postgres::Error),

    #[error("{program} is not installed. On Debian and Ubuntu: apt-get install {package}")]
    Missing { program: &'static str, package: &'static str },

    #[error("{} is not there: build it (cargo build --release --bin coulomb), or name another", .0.display())]
    NoProgram(PathBuf),

    #[error("this cluster has no {0}")]
    NoPart(Part),

    #[error("{0} does not run")]
    NotRunning(Part),

    #[error("there is no replica to promote")]
    NoReplica,

    #[error("{part} ended while starting; the end of {}:\n{tail}", log.display())]
    EndedEarly { part: Part, log: PathBuf, tail: String },

    #[error("{part} was not ready within {seconds} s ({said}); the end of {}:\n{tail}", log.display())]
    NotReady { part: Part, seconds: u64, said: String, log: PathBuf, tail: String },

    #[error("the migrations failed:\n{0}")]
    Migrate(String),

    #[error("{what} {}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },

    #[error(transparent)]
    Process(#[from] owned_process::Error),
}

impl Error {
    /// For `map_err` on what was being done to a file: `.map_err(Error::file("can't read", &path))`.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}
