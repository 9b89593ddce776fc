//! A part of the history happens again in a database of its own: seen over the socket, and the original is only read.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use simulator::phone::{Account, Line, LineConfig, LineEvent, TokenBy};
use sqlx::PgPool;
use tests::{MASTER_KEY, Network, PythonCharger, binary, logs, within};

const OPERATOR: (&str, &str) = ("operator@tests.example", "operators-password");
/// What the charger reports, one after the other.
const STATES: [(&str, &str); 3] = [("Available", "available"), ("Preparing", "preparing"), ("Faulted", "faulted")];

/// `coulomb replay`, which never outlives the test.
struct Replay {
    child: Child,
    input: Option<ChildStdin>,
    said: Receiver<String>,
}

impl Replay {
    fn command(database_url: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary::coulomb());
        command.arg("replay").args(arguments).env("DATABASE_URL", database_url).env("COULOMB_MASTER_KEY", MASTER_KEY);
        command
    }

    fn start(database_url: &str, arguments: &[&str]) -> Self {
        let mut command = Self::command(database_url, arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let (sender, said) = channel();
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        let input = child.stdin.take();
        Self { child, input, said }
    }

    /// The rest of the next line that has this in it.
    fn said(&self, what: &str) -> String {
        loop {
            let line = self.said.recv_timeout(tests::WAIT_MAX).unwrap_or_else(|_| panic!("it never said {what}"));
            if let Some((_, rest)) = line.split_once(what) {
                return rest.trim().to_owned();
            }
        }
    }

    fn enter(&mut self) {
        self.input.as_mut().expect("its input is open").write_all(b"\n").expect("it reads");
    }

    /// What it said on its way out.
    fn complaint(&mut self) -> String {
        let mut said = String::new();
        self.child.stderr.take().expect("it is piped").read_to_string(&mut said).expect("it is text");
        said
    }

    fn ended(mut self) {
        assert!(self.child.wait().expect("it ends").success());
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the log ends, and how many rows there are of what a replay could have changed.
async fn state(pool: &PgPool) -> Vec<i64> {
    let select = "SELECT ARRAY[(SELECT position FROM log_head), (SELECT count(*) FROM events), \
                  (SELECT count(*) FROM streams), (SELECT count(*) FROM commands), (SELECT count(*) FROM accounts), \
                  (SELECT count(*) FROM refresh_families), (SELECT count(*) FROM vault_keys), \
                  (SELECT count(*) FROM signing_keys), (SELECT count(*) FROM views.charge_points), \
                  (SELECT min(position) FROM views.progress)]";
    sqlx::query_scalar(select).fetch_one(pool).await.expect("Postgres answers")
}

async fn replays(pool: &PgPool) -> Vec<String> {
    let select = "SELECT datname::text FROM pg_database d WHERE datname LIKE 'coulomb_replay_' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '_%'";
    sqlx::query_scalar(select).fetch_all(pool).await.expect("Postgres answers")
}

/// Watches one replay to its end: the states of the charger's connector, in the order in which they were seen.
async fn watched(database_url: &str, charger_id: &str, arguments: &[&str]) -> Vec<String> {
    let mut replay = Replay::start(database_url, &[arguments, &["--paused"]].concat());
    let http = replay.said("HTTP ");
    let ws = replay.said("WebSocket ");
    replay.said("Enter begins");
    let account = Account::login(reqwest::Client::new(), &http, OPERATOR.0, OPERATOR.1, None).await;
    let account = account.expect("the operator can log in as ever");
    let (sender, mut events) = tokio::sync::mpsc::channel(1_000);
    let line = Line::spawn(LineConfig {
        ws: ws.clone(),
        account: account.clone(),
        topics: vec!["fleet".to_owned()],
        token_by: TokenBy::Header,
        events: Some(sender),
        seed: 1,
    });
    let subscribed = line.wait_for(|held| held.topic("fleet").is_some_and(|fleet| fleet.upto.is_some()));
    within("the fleet", subscribed).await.expect("the line is open");

    let refused = account.post("/api/sites", &json!({}), None).await.expect_err("a replay takes no commands");
    assert!(refused.code() == Some("forbidden") && refused.to_string().contains("This is a replay"), "{refused}");
    socket_refuses(&ws, &account).await;

    replay.enter();
    let mut states: Vec<String> = vec![];
    let last = STATES[2].1;
    let seen = async {
        while states.last().is_none_or(|state| state != last) {
            let event = events.recv().await.expect("the line is open");
            let LineEvent::Message { message, .. } = event else { continue };
            let mut found = vec![];
            statuses(&message, charger_id, &mut found);
            for state in found {
                if states.last() != Some(&state) {
                    states.push(state);
                }
            }
        }
    };
    within("the last state", seen).await;
    replay.said("Enter ends it");
    replay.enter();
    replay.said("The original was only read");
    replay.ended();
    states
}

/// A driver's command on the socket is answered with a problem, and changes nothing.
async fn socket_refuses(ws: &str, account: &Account) {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
    let mut request = ws.into_client_request().expect("a URL");
    let token = account.access_token().await.expect("an account has a token");
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header"));
    let address = ws.trim_start_matches("ws://").trim_end_matches("/ws");
    let stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("it opens");
    let start =
        json!({"action": "start_charging", "id": 7, "command_id": "once", "charger_id": "X", "connector_id": 1});
    socket.send(Message::text(start.to_string())).await.expect("it is open");
    let answered = async {
        loop {
            let message = socket.next().await.expect("it is open").expect("a message");
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(text.as_str()).unwrap_or_default();
            if message["type"] == "error" {
                return message;
            }
        }
    };
    let answer = within("the refusal", answered).await;
    assert!(answer.to_string().contains("This is a replay"), "{answer}");
}

/// The status of the charger's connector, wherever it stands in a message.
fn statuses(value: &Value, charger_id: &str, found: &mut Vec<String>) {
    if value["charger_id"] == charger_id
        && let Some(status) = value["connectors"][0]["status"].as_str()
    {
        found.push(status.to_owned());
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| statuses(item, charger_id, found)),
        Value::Object(members) => members.values().for_each(|item| statuses(item, charger_id, found)),
        _ => {}
    }
}

#[tokio::test]
async fn what_happened_is_seen_again_and_the_original_is_only_read() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let (network, program) = Network::start_on(database.url(), logs("replay"), &[]).await;
    let registered = network.charger().await;
    let mut charger = PythonCharger::online(&network, &registered).await;
    for (status, _) in STATES {
        charger.status(1, status).await;
    }
    drop(charger);
    program.stop();
    let pool = database.pool();
    let before = state(pool).await;
    let select = "SELECT min(position), max(position) FROM events WHERE event_type = 'ConnectorStatusReported'";
    let (first, last): (i64, i64) = sqlx::query_as(select).fetch_one(pool).await.expect("statuses were reported");
    let (first, last) = (first.to_string(), last.to_string());
    let range = ["--from", first.as_str(), "--to", last.as_str()];

    for speed in ["max", "1x"] {
        let states = watched(database.url(), &registered.id, &[&range[..], &["--speed", speed]].concat()).await;
        // Some may be skipped, since only the newest state is promised; none comes after a later one.
        let mut expected = STATES.iter().map(|(_, state)| *state);
        let known = states.iter().filter(|state| STATES.iter().any(|(_, known)| known == *state));
        assert!(known.clone().all(|state| expected.any(|next| next == state)), "{speed}: {states:?}");
        assert_eq!(states.last().map(String::as_str), Some("faulted"), "{speed}");
        assert_eq!(replays(pool).await, Vec::<String>::new(), "it is dropped");
        assert_eq!(state(pool).await, before, "{speed}: the original is only read");
    }

    // Killed, its database is left, and the next one drops it.
    let mut killed = Replay::start(database.url(), &[&range[..], &["--speed", "max", "--paused"]].concat());
    killed.said("Enter begins");
    killed.child.kill().expect("it is ours");
    killed.child.wait().expect("it is ours");
    let left = replays(pool).await;
    assert_eq!(left.len(), 1);
    let next = Replay::start(database.url(), &[&range[..], &["--speed", "max"]].concat());
    next.said(&format!("Dropped {}", left[0]));
    next.said("The original was only read");
    next.ended();
    assert_eq!(replays(pool).await, Vec::<String>::new());

    // What it works on is taken from it: it ends with why, though nobody presses Enter.
    let mut broken = Replay::start(database.url(), &[&range[..], &["--speed", "1x", "--paused"]].concat());
    broken.said("Enter begins");
    let name = replays(pool).await.pop().expect("it has a database");
    sqlx::query(&format!("DROP DATABASE {name} WITH (FORCE)")).execute(pool).await.expect("it can be dropped");
    let ended = async {
        loop {
            match broken.child.try_wait().expect("it is ours") {
                Some(status) => return status,
                None => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    };
    let status = within("it to end", ended).await;
    assert!(!status.success());
    let said = broken.complaint();
    assert!(said.contains("the replay's database does not answer any more"), "{said}");
    assert_eq!(state(pool).await, before, "the original is only read");

    let above = (before[0] + 1).to_string();
    for (arguments, why) in [
        (&["--from", above.as_str()][..], "does not exist yet"),
        (&["--from", "2100-01-01T00:00:00Z"], "nothing was recorded"),
        (&["--from", "2", "--to", "1"], "there is no event from --from to --to"),
    ] {
        let output = Replay::command(database.url(), arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{arguments:?}: {said}");
    }
    assert_eq!((state(pool).await, replays(pool).await), (before, vec![]), "what is refused changes nothing");
}
