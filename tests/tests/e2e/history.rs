//! The history for analysts: shown, exported, checked, and queried with what the documentation says.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tests::{MASTER_KEY, Network, PythonCharger, binary, interpreter, shared, text, until, within};

/// A card in the clear, as it must not be seen unasked.
const CARD: &str = "HISTORYCARD77";
pub const OPERATOR: &str = "operator@tests.example";

/// A session of 5 kWh at 0.50 EUR, from an app, with values on the way. Its id.
pub async fn a_session(network: &Network) -> (String, String) {
    let registered = network.charger().await;
    let driver = network.driver().await;
    let mut charger = PythonCharger::online(network, &registered).await;
    let accepted = within("the start", driver.start(&registered.id, 1)).await.expect("a start is taken");
    let asked = charger.asked("RemoteStartTransaction").await;
    let start =
        json!({"connector_id": 1, "id_tag": asked["id_tag"], "meter_start": 1000, "timestamp": "2026-03-01T10:00:00Z"});
    let started = charger.call("StartTransaction", start).await;
    let values = json!([{"timestamp": "2026-03-01T10:10:00Z", "sampled_value": [
        {"value": "3.5", "measurand": "Energy.Active.Import.Register", "unit": "kWh"},
        {"value": "22000", "measurand": "Power.Active.Import", "unit": "W"}]}]);
    let meter = json!({"connector_id": 1, "transaction_id": started["transaction_id"], "meter_value": values});
    charger.call("MeterValues", meter).await;
    let stop = json!({"transaction_id": started["transaction_id"], "meter_stop": 6000, "timestamp": "2026-03-01T10:30:00Z",
        "reason": "EVDisconnected"});
    charger.call("StopTransaction", stop).await;
    let ended = within("the end", driver.wait_for_session(&accepted, &["completed"])).await.expect("it ends");
    (text(&ended["session_id"]), registered.id)
}

fn coulomb(network: &Network, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary::coulomb());
    command.args(["events"]).args(arguments).env("DATABASE_URL", &network.database_url);
    command.env("COULOMB_MASTER_KEY", MASTER_KEY).output().expect("it runs")
}

/// What it printed.
pub fn said(network: &Network, arguments: &[&str]) -> String {
    let output = coulomb(network, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints text")
}

/// What it said about why not.
fn refused(network: &Network, arguments: &[&str]) -> String {
    let output = coulomb(network, arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[tokio::test]
async fn a_session_is_shown_and_tailed() {
    let network = shared().await;
    let (session_id, charger_id) = a_session(network).await;
    let shown = said(network, &["show", &session_id]);
    assert!(shown.starts_with(&format!("ChargingSession/{session_id}\n")), "{shown}");
    assert!(shown.contains("SessionRequested") && shown.contains("SessionPriced"), "{shown}");
    assert!(shown.contains(&format!("by charger {charger_id}")), "{shown}");

    let json = lines(&said(network, &["show", &session_id, "--json"]));
    let types: Vec<_> = json.iter().map(|event| event["event_type"].as_str().expect("a type")).collect();
    assert_eq!(types[..2], ["SessionRequested", "TransactionStarted"], "{types:?}");
    let sequences: Vec<_> = json.iter().map(|event| event["sequence"].as_i64().expect("a number")).collect();
    assert_eq!(sequences, (1..=sequences.len() as i64).collect::<Vec<_>>());
    let first = json[0]["position"].as_i64().expect("a position");

    let priced = ["tail", "--stream", &session_id, "--type", "session_priced,TransactionEnded", "--json"];
    let tailed = lines(&said(network, &priced));
    assert_eq!(tailed.len(), 2, "{tailed:?}");
    let from = first.to_string();
    let one = lines(&said(network, &["tail", "--from-position", &from, "--to-position", &from, "--json"]));
    assert_eq!(one[0], json[0]);
    let charger = lines(&said(network, &["tail", "--partition-key", &charger_id, "--since", "1h", "--json"]));
    assert!(charger.iter().any(|event| event["event_type"] == "ChargePointBooted"), "{charger:?}");
    assert!(
        charger.iter().any(|event| event["aggregate_id"] == session_id.as_str()),
        "its sessions are of its partition key"
    );
    let none = lines(&said(network, &["tail", "--until", "2020-01-01", "--json"]));
    assert_eq!(none, Vec::<Value>::new());

    assert!(refused(network, &["show", "NOSUCHCHARGER"]).contains("neither an id nor a charger"));
    let beyond = refused(network, &["tail", "--from-position", "999999999"]);
    assert!(beyond.contains("the log ends at position"), "{beyond}");
    assert!(refused(network, &["tail", "--type", "SessionPric"]).contains("there is SessionPriced"));
}

#[tokio::test]
async fn what_happens_is_followed() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let network = shared().await;
    let mut follower = Command::new(binary::coulomb())
        .args(["events", "tail", "--follow", "-n", "0", "--type", "SessionPriced", "--json"])
        .env("DATABASE_URL", &network.database_url)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let output = BufReader::new(follower.stdout.take().expect("it is piped"));
    // It may take its first look at the log after the session: then another one is made.
    let (sender, mut seen) = tokio::sync::mpsc::channel(16);
    let reader = std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    let followed = async {
        loop {
            let (session_id, _) = a_session(network).await;
            let wait = tokio::time::timeout(std::time::Duration::from_secs(5), async {
                while let Some(line) = seen.recv().await {
                    let event: Value = serde_json::from_str(&line).expect("a line is JSON");
                    assert_eq!(event["event_type"], "SessionPriced");
                    if event["aggregate_id"] == session_id.as_str() {
                        return true;
                    }
                }
                false
            });
            if wait.await.unwrap_or(false) {
                return;
            }
        }
    };
    within("a session to be followed", followed).await;
    follower.kill().expect("it can be ended");
    follower.wait().expect("it ends");
    drop(seen);
    reader.join().expect("the reader ends");
}

#[tokio::test]
async fn personal_data_is_shown_to_operators_who_say_why() {
    let network = shared().await;
    let driver = network.customer(network.person(), Some(CARD)).await;
    let me = network.query(&driver, "/api/me").await.expect("a driver can ask who they are");
    let driver_id = text(&me["driver_id"]);
    let of_driver = |event: &Value| event["payload"]["driver_id"] == driver_id.as_str();
    let tokens = ["tail", "--type", "TokenRegistered", "-n", "1000", "--json"];
    let sealed = said(network, &tokens);
    assert!(!sealed.contains(CARD), "{sealed}");

    let ask = |actor: &'static str| {
        [&tokens[..], &["--with-personal-data", "--actor", actor, "--reason", "a test of disclosures"]].concat()
    };
    assert!(refused(network, &ask("driver@tests.example")).contains("is no operator"));
    assert!(refused(network, &[&tokens[..], &["--with-personal-data"]].concat()).contains("--reason"));
    // Others may disclose something meanwhile.
    let ours = || {
        let all = lines(&said(network, &["tail", "--type", "PersonalDataDisclosed", "--json", "-n", "1000"]));
        all.into_iter().filter(|event| event["actor_reason"] == "a test of disclosures").collect::<Vec<_>>()
    };
    assert_eq!(ours(), Vec::<Value>::new());
    let clear = lines(&said(network, &ask(OPERATOR)));
    let token = clear.iter().find(|event| of_driver(event)).expect("the driver's token is there");
    assert_eq!(token["payload"]["value"], CARD);

    let recorded = ours();
    assert_eq!(recorded.len(), 1, "once for each, and not for those that were refused");
    let recorded = recorded.last().expect("it is recorded");
    assert_eq!(recorded["actor_kind"], "operator");
    assert_eq!(recorded["payload"]["event_types"], json!(["TokenRegistered"]));
    assert_eq!(recorded["payload"]["through"], "events tail");
}

#[tokio::test]
async fn an_export_goes_on_where_it_stopped_and_proves_what_it_holds() {
    let network = shared().await;
    a_session(network).await;
    let folder = tempfile::tempdir().expect("a directory");
    let to = folder.path().join("exports");
    let path = to.to_str().expect("a path");
    let export = ["export", "--format", "parquet", "--range-positions", "1000", "--to", path];
    said(network, &export);
    let first = verified(path);
    a_session(network).await;
    // As an export leaves it that was killed between its files and their manifest, and within a file.
    let remains = to.join("session_priced/day=2020-01-01");
    std::fs::create_dir_all(&remains).expect("a directory");
    let name = "0000000000900000000-0000000000900000001.parquet";
    std::fs::write(remains.join(name), "half").expect("a file");
    std::fs::create_dir_all(to.join("_unfinished/departed")).expect("a directory");
    said(network, &export);
    let second = verified(path);
    assert!(!remains.join(name).exists() && !to.join("_unfinished").exists(), "what was half is gone");
    assert!(second["last_position"].as_i64() > first["last_position"].as_i64(), "{second}");
    assert_eq!(second["events"], second["last_position"], "every event is in it once");

    let other = refused(network, &["export", "--format", "jsonl", "--to", path]);
    assert!(other.contains("another plan"), "{other}");
    assert!(refused(network, &["export", "--format", "jsonl", "--to", "/proc/nowhere"]).contains("--to"));
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let file = refused(network, &["export", "--format", "jsonl", "--to", file.to_str().expect("a path")]);
    assert!(file.contains("is no folder"), "{file}");

    let damaged =
        walk(&to).into_iter().find(|file| file.extension().is_some_and(|ext| ext == "parquet")).expect("a file");
    let mut bytes = std::fs::read(&damaged).expect("it can be read");
    bytes[10] ^= 1;
    std::fs::write(&damaged, bytes).expect("it can be written");
    let output =
        Command::new(binary::coulomb()).args(["events", "export", "--verify", path]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("differs from its SHA-256"));
}

/// No byte can be written to it: what there was stays, nothing half is left, and what to do is said.
#[tokio::test]
async fn a_full_disk_leaves_nothing_half() {
    let network = shared().await;
    a_session(network).await;
    let folder = tempfile::tempdir().expect("a directory");
    let to = folder.path().join("exports");
    let path = to.to_str().expect("a path");
    // Files larger than some blocks are refused by the system, as they are by a full disk.
    let export = format!(
        "trap '' XFSZ; ulimit -f 8; exec {} events export --format jsonl --to {path}",
        binary::coulomb().display()
    );
    let limited = || {
        let mut command = Command::new("/bin/bash");
        command.args(["-c", &export]).env("DATABASE_URL", &network.database_url);
        command.output().expect("bash runs")
    };
    let full = limited();
    let why = String::from_utf8_lossy(&full.stderr).into_owned();
    assert!(!full.status.success() && why.contains("there is no room left"), "{why}");
    let left: Vec<_> =
        walk(&to).into_iter().filter(|file| !file.ends_with("export.json") && !file.ends_with("lock")).collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
    said(network, &["export", "--format", "jsonl", "--to", path]);
    verified(path);
}

/// What the documentation tells analysts to do works, and gives what the API says.
#[tokio::test]
async fn the_recipes_and_the_notebook_run() {
    let network = shared().await;
    let (session_id, charger_id) = a_session(network).await;
    let operator = network.operator().await;
    let session =
        until(&operator, &format!("/api/sessions/{session_id}"), |session| session["cost"]["revision"] == 1).await;
    let folder = tempfile::tempdir().expect("a directory");
    let to = folder.path().join("exports");
    said(network, &["export", "--format", "parquet", "--to", to.to_str().expect("a path")]);
    verified(to.to_str().expect("a path"));

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let output = Command::new(interpreter())
        .arg(root.join("tests/python/analytics.py"))
        .args([root.join("docs/analytics.md"), root.join("docs/notebook/sessions.ipynb")])
        .current_dir(folder.path())
        .output()
        .expect("Python runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let result: Value = serde_json::from_str(stdout.lines().last().unwrap_or_default()).expect("the last line is JSON");
    assert!(result["recipes"].as_u64() > Some(3), "{result}");
    let found =
        result["sessions"].as_array().expect("sessions").iter().find(|row| row["session_id"] == session_id.as_str());
    let found = found.unwrap_or_else(|| panic!("{session_id} is not in {result}"));
    assert_eq!(found["charger"], charger_id.as_str());
    assert_eq!(found["energy_kwh"], 5.0);
    assert_eq!(found["cost"].as_str(), session["cost"]["amount"].as_str());

    // The same in the live database.
    let pool = sqlx::PgPool::connect(&network.database_url).await.expect("Postgres answers");
    let select = "SELECT energy_wh::text, cost_total::text, duration_s::text FROM analytics.sessions WHERE session_id = $1::uuid";
    let live: (String, String, String) =
        sqlx::query_as(select).bind(&session_id).fetch_one(&pool).await.expect("a session");
    let seconds = live.2.split('.').next();
    assert_eq!((live.0.as_str(), live.1.as_str(), seconds), ("5000", "2.50", Some("1800")));
    let values = "SELECT count(*), max(number)::float8 FROM analytics.meter_values \
                  WHERE session_id = $1::uuid AND measurand = 'Energy.Active.Import.Register'";
    let (count, largest): (i64, f64) = sqlx::query_as(values).bind(&session_id).fetch_one(&pool).await.expect("values");
    assert_eq!((count, largest), (1, 3500.0), "3.5 kWh are 3500 Wh");
    pool.close().await;
}

/// What `--verify` says of an export that is whole.
fn verified(path: &str) -> Value {
    let output = Command::new(binary::coulomb()).args(["events", "export", "--verify", path, "--json"]).output();
    let output = output.expect("it runs");
    let said: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert!(output.status.success(), "{said}");
    assert_eq!(said["wrong"], json!([]));
    said
}

/// Every file below.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = vec![];
    for entry in std::fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}
