//! Why Kafka can't be had. The texts are read by people who have just typed their first command.

use std::io;
use std::path::{Path, PathBuf};

use crate::java::JAVA_MIN;
use crate::libraries::{LIBS_VARIABLE, VERSION};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Java is not installed, and Kafka needs it. On Debian and Ubuntu: apt-get install default-jre-headless")]
    JavaMissing,

    #[error(
        "Java {found} is too old for Kafka, {JAVA_MIN} is the oldest that works. On Debian and Ubuntu: apt-get install \
         default-jre-headless, or set JAVA_HOME to a newer one"
    )]
    JavaTooOld { found: u32 },

    #[error(
        "Maven is not installed, which fetches Kafka the first time. On Debian and Ubuntu: apt-get install maven. Or set \
         {LIBS_VARIABLE} to a directory with the jars of Kafka {VERSION}"
    )]
    MavenMissing,

    #[error("{} has no kafka-clients-*.jar: {LIBS_VARIABLE} must name a directory with all jars of Kafka {VERSION}", path.display())]
    NoLibraries { path: PathBuf },

    #[error("there is no place for Kafka's jars: neither XDG_CACHE_HOME nor HOME is set; set one, or {LIBS_VARIABLE}")]
    NoCache,

    #[error("{program} failed; it said:\n{output}")]
    Program { program: &'static str, output: String },

    #[error("{program} had not ended after {seconds} s")]
    ProgramHangs { program: &'static str, seconds: u64 },

    #[error("{0} nodes: one or three are possible")]
    NodeCount(u16),

    #[error(
        "{} holds a cluster of {there} nodes, and {wanted} are wanted; remove it to begin anew, or choose another \
         directory", path.display()
    )]
    OtherCluster { path: PathBuf, there: u16, wanted: u16 },

    #[error("there is no node {0}")]
    NoNode(u16),

    #[error("node {0} does not run")]
    NotRunning(u16),

    #[error("Kafka ended while starting; the end of {}:\n{tail}", log.display())]
    EndedEarly { log: PathBuf, tail: String },

    #[error("Kafka was not ready within {seconds} s; the end of {}:\n{tail}", log.display())]
    NotReady { log: PathBuf, seconds: u64, tail: String },

    #[error("{what} {}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },

    #[error(transparent)]
    Process(#[from] owned_process::Error),

    #[error("{program} can't be run")]
    Spawn { program: &'static str, source: io::Error },
}

impl Error {
    /// For `map_err` on what was being done to a file: `.map_err(Error::file("can't read", &path))`.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}
