//! The program as a person runs it: started, asked, refused, stopped, killed.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

const READY_WITHIN: Duration = Duration::from_secs(60);

fn coulomb(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coulomb"));
    // What the machine's own environment says must not matter.
    for (name, _) in std::env::vars_os() {
        let known = name.to_string_lossy().starts_with("COULOMB_");
        if known || ["DATABASE_URL", "KAFKA_BROKERS", "RUST_LOG"].iter().any(|other| name == *other) {
            command.env_remove(name);
        }
    }
    command.arg("--data-dir").arg(directory);
    command
}

fn refused(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().expect("it runs");
    assert!(!status.success());
    String::from_utf8(stderr).expect("it is text")
}

/// `coulomb up` on free ports.
struct Up {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    http: String,
}

impl Up {
    fn start(directory: &Path) -> Self {
        let mut command = coulomb(directory);
        command.args(["up", "--http", "0", "--ocpp", "0"]).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let address =
            |line: String| line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned);
        let http = lines.by_ref().map(|line| line.expect("it is text")).find_map(address);
        Self { process, lines, http: http.expect("it says where it listens") }
    }

    async fn is_ready(&self) -> bool {
        reqwest::get(format!("{}/ready", self.http)).await.is_ok_and(|answer| answer.status().is_success())
    }

    /// It may serve before all of it is ready.
    async fn becomes_ready(&self) -> bool {
        let until = Instant::now() + READY_WITHIN;
        while !self.is_ready().await {
            if Instant::now() > until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        true
    }

    fn terminate(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        let rest: Vec<String> = self.lines.map(|line| line.expect("it is text")).collect();
        assert!(self.process.wait().expect("it is ours").success(), "{rest:?}");
    }
}

/// The server's process, while there is one.
fn postgres(directory: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(directory.join("postgres/data/postmaster.pid")).ok()?;
    let process = PathBuf::from(format!("/proc/{}", text.lines().next()?));
    process.exists().then_some(process)
}

/// Postgres runs as another user when we are root, who must be able to pass.
fn passable() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory can be made");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o711)).expect("it is ours");
    directory
}

#[tokio::test]
async fn two_run_side_by_side_and_stop_what_they_started() {
    let parents = [passable(), passable()];
    let directories = parents.each_ref().map(|parent| parent.path().join("data"));
    let [one, two] = directories.each_ref().map(|directory| Up::start(directory));
    assert!(one.becomes_ready().await && two.becomes_ready().await);
    assert_ne!(one.http, two.http);

    let message = refused(coulomb(&directories[0]).args(["up", "--http", "0", "--ocpp", "0"]));
    assert!(message.contains(&format!("is in use by process {}", one.process.id())), "{message}");

    one.terminate();
    assert_eq!(postgres(&directories[0]), None);
    assert!(two.is_ready().await, "the other one goes on");
    two.terminate();
}

#[tokio::test]
async fn a_killed_one_is_taken_over_by_the_next() {
    let parent = passable();
    let directory = parent.path().join("data");
    let mut first = Up::start(&directory);
    let key = std::fs::read(directory.join("master-key")).expect("it was made");
    first.process.kill().expect("it lives");
    first.process.wait().expect("it is ours");

    let second = Up::start(&directory);
    assert!(second.becomes_ready().await);
    assert_eq!(std::fs::read(directory.join("master-key")).expect("it is kept"), key);
    second.terminate();
}

#[test]
fn a_taken_port_names_the_flag_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let parent = passable();
    for (flag, other) in [("--http", "--ocpp"), ("--ocpp", "--http")] {
        let message = refused(coulomb(parent.path()).args(["up", flag, &port, other, "0"]));
        assert!(message.contains(&format!("port {port} is taken")) && message.contains(flag), "{message}");
    }
    assert!(!parent.path().join("postgres").exists(), "nothing was started");
}

#[test]
fn a_wrong_setting_is_refused_by_the_name_of_its_variable() {
    let parent = passable();
    let table = [
        ("COULOMB_HTTP_LISTEN", "nonsense", "up"),
        ("COULOMB_OCPP_LISTEN", "nonsense", "up"),
        ("COULOMB_UNKNOWN_CHARGERS", "perhaps", "up"),
        ("COULOMB_DATABASE_CONNECTIONS", "none", "up"),
        ("COULOMB_MASTER_KEY", "short", "up"),
        ("COULOMB_LOG_FORMAT", "loud", "up"),
        ("DATABASE_URL", "mysql://localhost", "up"),
        ("KAFKA_BROKERS", "127.0.0.1", "up"),
        ("COULOMB_KAFKA_SECURITY", "maybe", "up"),
        ("COULOMB_KAFKA_TOPIC_PREFIX", "a b", "relay"),
        ("COULOMB_START_DEADLINE", "0", "up"),
        ("COULOMB_CALL_TIMEOUT", "0", "up"),
        ("COULOMB_SOCKETS_MAX", "0", "realtime-api"),
        ("COULOMB_SUBSCRIPTIONS_MAX", "0", "up"),
        ("COULOMB_DRAIN_S", "1000000", "up"),
        ("COULOMB_RATE_DRIVER", "0,0", "command-service"),
        ("COULOMB_HEARTBEAT_INTERVAL", "0", "ocpp-edge"),
        ("COULOMB_OCPP_SOCKETS_MAX", "0", "up"),
        ("COULOMB_OCPP_MESSAGE_BYTES_MAX", "1", "up"),
        ("COULOMB_OCPP_FLOOD_BURST", "-1", "demo"),
        ("COULOMB_OCPP_FLOOD_RATE", "0", "ocpp-edge"),
        ("COULOMB_OCPP_PING_AFTER", "soon", "up"),
    ];
    for (variable, value, command) in table {
        let message = refused(coulomb(parent.path()).arg(command).env(variable, value));
        assert!(message.contains(variable), "{variable}: {message}");
    }
    for secret in [["--master-key", "not-for-the-screen"], ["--database-url", "mysql://me:not-for-the-screen@db"]] {
        let message = refused(coulomb(parent.path()).arg("up").args(secret));
        assert!(message.contains(secret[0]) && !message.contains("not-for-the-screen"), "{message}");
    }
    // A database of somebody else's has no key of ours beside it.
    let message = refused(
        coulomb(parent.path())
            .args(["up", "--http", "0", "--ocpp", "0"])
            .env("DATABASE_URL", "postgres://127.0.0.1:1/none"),
    );
    assert!(message.contains("COULOMB_MASTER_KEY is needed"), "{message}");
    let message = refused(coulomb(parent.path()).arg("realtime-api"));
    assert!(message.contains("DATABASE_URL"), "{message}");
}

#[test]
fn half_a_login_names_what_is_missing() {
    let parent = passable();
    for (given, flag, variable) in [
        ("COULOMB_OPERATOR_EMAIL", "--operator-password", "COULOMB_OPERATOR_PASSWORD"),
        ("COULOMB_OPERATOR_PASSWORD", "--operator-email", "COULOMB_OPERATOR_EMAIL"),
    ] {
        let message = refused(coulomb(parent.path()).arg("up").env(given, "me@example.org"));
        assert!(message.contains(flag) && message.contains(variable), "{message}");
    }
}

#[test]
fn a_variable_that_nothing_reads_is_warned_of() {
    let parent = passable();
    // It ends at once: a role alone wants a database.
    let message = refused(
        coulomb(parent.path())
            .arg("realtime-api")
            .env("COULOMB_SOCKET_MAX", "5")
            .env("COULOMB_COFFEE", "black")
            .env("COULOMB_LOG_FORMAT", "text"),
    );
    assert!(
        message.contains("COULOMB_SOCKET_MAX is set, and nothing reads it; is COULOMB_SOCKETS_MAX meant?"),
        "{message}"
    );
    assert!(message.contains("COULOMB_COFFEE is set"), "{message}");
    assert!(!message.contains("COULOMB_LOG_FORMAT"), "{message}");
}

#[tokio::test]
async fn a_signal_while_starting_stops_what_was_started() {
    let parent = passable();
    let directory = parent.path().join("data");
    let mut command = coulomb(&directory);
    command.args(["up", "--http", "0", "--ocpp", "0"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().expect("it starts");
    let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
    let first = lines.next().expect("it says something").expect("it is text");
    assert!(first.contains("Starting a private Postgres"), "{first}");
    let sent = Command::new("kill").args(["-INT", &process.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    process.wait().expect("it is ours");
    while postgres(&directory).is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_role_alone_wants_a_migrated_database() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let parent = passable();
    let with = |arguments: &[&str]| {
        let mut command = coulomb(parent.path());
        command.args(arguments).env("DATABASE_URL", database.url()).env("COULOMB_MASTER_KEY", "07".repeat(32));
        command
    };
    let message = refused(&mut with(&["realtime-api", "--http", "0"]));
    assert!(message.contains("run `coulomb migrate` first"), "{message}");
    assert!(with(&["migrate"]).stdout(Stdio::null()).status().expect("it runs").success());

    // It says in the log that it has started: nothing of a role alone is for the screen.
    let mut command = with(&["realtime-api", "--http", "0", "--log-format", "json"]);
    let mut process = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut log = BufReader::new(process.stderr.take().expect("it is piped")).lines();
    let started = log.find(|line| line.as_ref().is_ok_and(|line| line.contains(r#""message":"started""#)));
    let started: serde_json::Value = serde_json::from_str(&started.expect("it starts").expect("text")).expect("JSON");
    let ready = reqwest::get(format!("http://{}/ready", started["address"].as_str().expect("it is said"))).await;
    assert!(ready.expect("it answers").status().is_success());
    let sent = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    assert!(process.wait().expect("it is ours").success());
    assert!(!parent.path().join("postgres").exists(), "with DATABASE_URL nothing is started");
}

#[test]
fn the_help_teaches() {
    let parent = passable();
    let output = coulomb(parent.path()).arg("--help").output().expect("it runs");
    let help = String::from_utf8(output.stdout).expect("it is text");
    for word in ["Examples:", "coulomb demo", "coulomb up", "migrate", "COULOMB_DATA_DIR", "DATABASE_URL"] {
        assert!(help.contains(word), "{word} is missing in:\n{help}");
    }
}

#[test]
fn health_ends_as_the_process_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    // Alive, and not ready.
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.expect("it is accepted");
            let mut first = String::new();
            BufReader::new(&connection).read_line(&mut first).expect("it asks");
            let answer = match first.as_str() {
                "GET /health HTTP/1.1\r\n" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nalive",
                _ => "HTTP/1.1 503 Unavailable\r\ncontent-length: 4\r\nconnection: close\r\n\r\nsoon",
            };
            connection.write_all(answer.as_bytes()).expect("it listens");
        }
    });
    let parent = passable();
    let health = || {
        let mut command = coulomb(parent.path());
        // As in a container, where it listens for everybody.
        command.arg("health").env("COULOMB_HTTP_LISTEN", format!("0.0.0.0:{port}"));
        command
    };
    let Output { status, stdout, .. } = health().output().expect("it runs");
    assert!(status.success());
    assert_eq!(stdout, b"alive\n");
    let message = refused(health().arg("--ready"));
    assert!(message.contains("503") && message.contains("soon"), "{message}");
    let message = refused(health().args(["--http", "1"]));
    assert!(message.contains("no answer from http://127.0.0.1:1/health"), "{message}");
}
