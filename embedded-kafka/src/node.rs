//! One node: a process, and what it is told.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use owned_process::{Ending, OwnedProcess, Program};

use crate::error::Error;
use crate::layout::Layout;
use crate::libraries::end_of;

/// Until a node takes part. One of three waits for another.
const READY_WAIT_MAX: Duration = Duration::from_secs(120);
const POLL_EVERY: Duration = Duration::from_millis(20);
/// For a node to hand over and end; then it is killed, and recovers what it had when it starts again.
pub(crate) const STOP_WAIT_MAX: Duration = Duration::from_secs(10);
const FORMAT_WAIT_MAX: Duration = Duration::from_secs(60);
/// Of what the tool says, in an error, and of a node's log.
const OUTPUT_BYTES_MAX: usize = 3_000;
const LOG_TAIL_LINES: usize = 25;
/// What a node says when it takes part.
const STARTED: &str = "Kafka Server started";

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) process: OwnedProcess,
    home: PathBuf,
    java: PathBuf,
    class_path: String,
    heap: Heap,
}

/// What a node's heap has at its start, and at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heap {
    pub first_mib: u32,
    pub most_mib: u32,
}

impl Heap {
    pub fn all(mib: u32) -> Self {
        Self { first_mib: mib, most_mib: mib }
    }
}

impl Node {
    pub(crate) fn new(layout: &Layout, number: u16, java: PathBuf, libraries: &Path, heap: Heap) -> Self {
        let (home, pid_file) = (layout.node(number), layout.pids().join(format!("node-{number}")));
        let process = OwnedProcess::new(pid_file, home.join("server.log"), Ending::terminate(STOP_WAIT_MAX));
        Self { process, home, java, class_path: libraries.join("*").display().to_string(), heap }
    }

    fn properties(&self) -> PathBuf {
        self.home.join("server.properties")
    }

    /// Writes what the node is told, and gives it its storage the first time.
    pub(crate) async fn prepare(&self, properties: &str, cluster_id: &str, more: Vec<String>) -> Result<(), Error> {
        std::fs::create_dir_all(&self.home).map_err(Error::file("can't create", &self.home))?;
        let path = self.properties();
        std::fs::write(&path, properties).map_err(Error::file("can't write", &path))?;
        let formatted = self.home.join("formatted");
        if formatted.exists() {
            return Ok(());
        }
        let data = self.home.join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data).map_err(Error::file("can't remove", &data))?;
        }
        let mut command = tokio::process::Command::new(&self.java);
        command.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &self.class_path]);
        command.args(["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config"]);
        command.arg(self.properties()).args(more).stdin(Stdio::null()).kill_on_drop(true);
        let output = match tokio::time::timeout(FORMAT_WAIT_MAX, command.output()).await {
            Ok(output) => output.map_err(|source| Error::Spawn { program: "java", source })?,
            Err(_) => {
                return Err(Error::ProgramHangs { program: "Kafka's StorageTool", seconds: FORMAT_WAIT_MAX.as_secs() });
            }
        };
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            return Err(Error::Program { program: "Kafka's StorageTool", output: end_of(&said, OUTPUT_BYTES_MAX) });
        }
        std::fs::write(&formatted, cluster_id).map_err(Error::file("can't write", &formatted))
    }

    /// Starts the process.
    pub(crate) async fn launch(&mut self) -> Result<(), Error> {
        let Heap { first_mib, most_mib } = self.heap;
        let program = Program::new(&self.java).args([format!("-Xmx{most_mib}m"), format!("-Xms{first_mib}m")]);
        let program = program.arg("-XX:+UseSerialGC");
        // What a node says is warnings, and when it has started.
        let program = program.args([
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
        ]);
        let program = program.args(["-cp", &self.class_path, "kafka.Kafka"]).arg(self.properties());
        Ok(self.process.launch(&program.in_directory("/")).await?)
    }

    pub(crate) async fn until_ready(&self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_WAIT_MAX;
        let log = || self.process.log().to_owned();
        loop {
            let ended = self.process.pid().is_none();
            if self.process.said().contains(STARTED) {
                return Ok(());
            }
            let tail = || self.process.said_last(LOG_TAIL_LINES);
            if ended {
                return Err(Error::EndedEarly { log: log(), tail: tail() });
            }
            if Instant::now() > deadline {
                return Err(Error::NotReady { log: log(), seconds: READY_WAIT_MAX.as_secs(), tail: tail() });
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
}
