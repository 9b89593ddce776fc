//! `coulomb demo`, and `coulomb watch` beside it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use simulator::phone::Account;
use tests::{
    Network, ProgramBuilder, RawCharger, Registered, binary, eventually, free_port, logs, passable, text, until,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_lives_on_its_own_and_leaves_room_for_ours() {
    let parent = passable();
    let data_dir = parent.path().join("data");
    let (http, ocpp) = (free_port(), free_port());
    let (directory, http_flag, ocpp_flag) = (data_dir.to_str().expect("text"), http.to_string(), ocpp.to_string());
    let arguments = ["--data-dir", directory, "demo", "--http", &http_flag, "--ocpp", &ocpp_flag];
    let builder = ProgramBuilder::new(&arguments, http, logs("demo"));
    let program = builder.start().await;
    let demo = demo_file(&data_dir).await;
    let network = Network::at(http, ocpp, "");
    assert_eq!(
        (&demo["http"], &demo["ws"], &demo["ocpp"]),
        (&json!(network.http), &json!(network.ws), &json!(network.ocpp))
    );

    let operator = login(&network, &demo["operator"]).await;
    until(&operator, "/api/chargers?limit=100", |chargers| {
        let online = chargers["items"].as_array().into_iter().flatten().filter(|charger| charger["online"] == true);
        online.count() == 20
    })
    .await;
    let driver = login(&network, &demo["driver"]).await;
    assert!(!driver.get("/api/me").await.expect("they can ask")["plan"].is_null(), "the driver has a plan");
    // Whoever looks brings their own charger, and charges with the driver's card.
    let own = Registered { id: text(&demo["charger"]["id"]), password: text(&demo["charger"]["password"]) };
    let mut charger = RawCharger::connect(&network, &own).await;
    charger.boot().await;
    let authorized = charger.ask("Authorize", json!({"idTag": demo["charger"]["id_tag"]})).await;
    assert_eq!(authorized["idTagInfo"]["status"], "Accepted");
    // The simulated drivers charge by themselves.
    until(&operator, "/api/sessions", |sessions| {
        sessions["items"].as_array().is_some_and(|sessions| sessions.iter().any(|session| session["state"] == "active"))
    })
    .await;
    let snapshot = watched(&data_dir, &["fleet", "--json"], "snapshot");
    let snapshot: Value = serde_json::from_str(&snapshot).expect("raw messages are JSON");
    assert_eq!(snapshot["topic"], "fleet");
    assert_eq!(snapshot["data"]["chargers"].as_array().map(Vec::len), Some(21), "the simulated ones, and ours");
    watched(&data_dir, &["fleet"], "kWh");
    watched(&data_dir, &["me"], "nothing yet");

    program.stop();
    assert!(!data_dir.join("demo.json").exists(), "it goes with the demo");
    let _second = builder.start().await;
    assert_eq!(demo_file(&data_dir).await, demo, "the next start finds the same");
    login(&network, &demo["driver"]).await;
}

async fn demo_file(data_dir: &Path) -> Value {
    let path = data_dir.join("demo.json");
    let written = eventually("demo.json", || async { std::fs::read_to_string(&path).ok() }).await;
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds passwords");
    serde_json::from_str(&written).expect("it is whole when it is there")
}

async fn login(network: &Network, login: &Value) -> Account {
    let (email, password) = (text(&login["email"]), text(&login["password"]));
    let account = Account::login(reqwest::Client::new(), &network.http, &email, &password, None).await;
    account.expect("the login of the file is good")
}

/// The first line of `coulomb watch` that has the word in it.
fn watched(data_dir: &Path, arguments: &[&str], word: &str) -> String {
    let mut command = Command::new(binary::coulomb());
    command.arg("--data-dir").arg(data_dir).arg("watch").args(arguments);
    let mut watch = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(watch.stdout.take().expect("it is piped")).lines();
    let line = lines.map(|line| line.expect("it is text")).find(|line| line.contains(word));
    watch.kill().expect("it goes on");
    watch.wait().expect("it is ours");
    line.expect("it ends only when it is killed")
}
