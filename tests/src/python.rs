//! The charger of tests/python: the PyPI package `ocpp` in a process of its own.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::network::{Network, Registered};
use crate::{binary, within};

pub struct PythonCharger {
    /// Killed when dropped.
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    orders: u64,
    /// What happened while something else was waited for.
    events: VecDeque<Value>,
    answers: Vec<Value>,
}

impl PythonCharger {
    pub async fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/charger.py");
        let mut command = tokio::process::Command::new(interpreter());
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("Python runs");
        let input = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Self { _process: process, input, output, orders: 0, events: VecDeque::new(), answers: vec![] }
    }

    /// One that is connected, has booted, and says that its first outlet is free.
    pub async fn online(network: &Network, registered: &Registered) -> Self {
        let mut charger = Self::start().await;
        charger.connect(network, registered).await;
        charger.boot().await;
        charger.status(1, "Available").await;
        charger
    }

    pub async fn connect(&mut self, network: &Network, registered: &Registered) -> Value {
        let Registered { id, password } = registered;
        self.order("connect", json!({"url": network.ocpp, "id": id, "password": password})).await
    }

    pub async fn boot(&mut self) -> Value {
        self.call("BootNotification", json!({"charge_point_vendor": "Python", "charge_point_model": "ocpp 2.1"})).await
    }

    pub async fn status(&mut self, connector: u32, status: &str) -> Value {
        let status = json!({"connector_id": connector, "error_code": "NoError", "status": status});
        self.call("StatusNotification", status).await
    }

    /// Sends any message of a charge point, its payload in snake_case, and gives the payload of the result.
    pub async fn call(&mut self, action: &str, payload: Value) -> Value {
        self.order("call", json!({"action": action, "payload": payload})).await
    }

    /// Sends one message after another without a pause, as a charger does with what it has kept; their results.
    pub async fn call_all(&mut self, calls: &[(&str, Value)]) -> Vec<Value> {
        let orders = calls.iter().map(|(action, payload)| json!({"do": "call", "action": action, "payload": payload}));
        let answers = self.order("script", json!({"orders": orders.collect::<Vec<_>>()})).await;
        answers.as_array().expect("each has an answer").clone()
    }

    /// How requests of this kind are answered from now on: a payload in snake_case, or the code of an error; null: not at
    /// all.
    pub async fn answer_with(&mut self, action: &str, answer: Value) {
        self.order("policy", json!({"action": action, "answer": answer})).await;
    }

    pub async fn close(&mut self) {
        self.order("close", json!({})).await;
    }

    /// Gives an order and waits for what came of it.
    pub async fn order(&mut self, what: &str, given: Value) -> Value {
        let number = self.give(what, given).await;
        within(what, async {
            loop {
                if let Some(index) = self.answers.iter().position(|answer| answer["order"] == number) {
                    let answer = self.answers.swap_remove(index);
                    assert!(answer["failed"].is_null(), "{what}: {}", answer["failed"]);
                    return answer["answer"].clone();
                }
                self.read().await;
            }
        })
        .await
    }

    async fn give(&mut self, what: &str, mut order: Value) -> u64 {
        self.orders += 1;
        order["order"] = self.orders.into();
        order["do"] = what.into();
        self.input.write_all(format!("{order}\n").as_bytes()).await.expect("the charger listens");
        self.orders
    }

    /// Waits for a request of the other side, and gives its payload. It is accepted, unless [`Self::answer_with`] says
    /// otherwise.
    pub async fn asked(&mut self, action: &str) -> Value {
        within(action, async {
            loop {
                let found = self.events.iter().position(|event| event["event"] == "call" && event["action"] == action);
                if let Some(event) = found.and_then(|index| self.events.remove(index)) {
                    return event["payload"].clone();
                }
                self.read().await;
            }
        })
        .await
    }

    async fn read(&mut self) {
        let line = self.output.next_line().await.expect("it can be read").expect("the charger lives");
        let line: Value = serde_json::from_str(&line).expect("the charger speaks JSON");
        if line["event"].is_string() { self.events.push_back(line) } else { self.answers.push(line) }
    }
}

/// Python with the packages of tests/python/requirements.txt.
///
/// # Panics
/// When they can't be installed.
pub fn interpreter() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| match std::env::var_os("COULOMB_TEST_PYTHON") {
        Some(given) => given.into(),
        None => make_environment("test-python", "requirements.txt"),
    })
}

/// Python with an S3 server: the module `moto.server`.
///
/// # Panics
/// When it can't be installed.
pub fn s3_interpreter() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| make_environment("test-python-s3", "s3.txt"))
}

fn make_environment(name: &str, requirements: &str) -> PathBuf {
    let directory = binary::target_directory().join(name);
    let python = directory.join("bin/python");
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(requirements);
    let installed = directory.join("installed.txt");
    let read = |path: &Path| std::fs::read(path).ok();
    if read(&installed).is_none() || read(&installed) != read(&requirements) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&directory));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
        run(Command::new(&python).args(pip).arg(&requirements));
        std::fs::copy(&requirements, &installed).expect("the target directory can be written");
    }
    python
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
