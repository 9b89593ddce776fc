//! A person is erased: from the store, the read models, those as they were, builds beside them, exports that are
//! sealed, and archives.

mod archived;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use simulator::phone::{Account, Error, Person};
use sqlx::PgPool;
use tests::{MASTER_KEY, Network, RawCharger, binary, interpreter, logs, text, until};
use uuid::Uuid;

const CARD: &str = "CARDOFPHILIPPA7";
const NAME: &str = "Philippa Quenneville";
const EMAIL: &str = "philippa.quenneville@tests.example";
const PHONE: &str = "+49305550987321";
const CLEAR: [&str; 6] = [CARD, NAME, EMAIL, PHONE, "Quenneville", "305550987321"];
const PASSWORD: &str = "a password of hers";

fn person() -> Person {
    Person { email: EMAIL.into(), password: PASSWORD.into(), name: NAME.into(), phone: Some(PHONE.into()) }
}

#[tokio::test]
async fn an_erased_person_is_found_nowhere() {
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    // So that rows as they were are kept of everything.
    let settings = [("COULOMB_SNAPSHOT_EVERY", "1000")];
    let (network, _program) = Network::start_on(database.url(), logs("erasure"), &settings).await;
    let network = &network;
    let registered = network.charger().await;
    let driver = network.customer(person(), Some(CARD)).await;
    let driver_id = text(&driver.get("/api/me").await.expect("she can ask")["driver_id"]);
    let operator = network.operator().await;
    let erase = format!("/api/drivers/{driver_id}/erase");

    let mut charger = RawCharger::connect(network, &registered).await;
    charger.boot().await;
    let transaction = start(&mut charger).await;
    until(&driver, "/api/sessions", |sessions| sessions["items"][0]["state"] == "active").await;
    // Who charges is not erased, and nothing of them is gone.
    assert_eq!(refused(operator.post(&erase, &json!({}), None).await), "session-open");
    assert_eq!(text(&driver.get("/api/me").await.expect("she is there")["name"]), NAME);
    let stop =
        json!({"transactionId": transaction, "idTag": CARD, "meterStop": 10, "timestamp": "2026-03-01T10:10:00Z"});
    charger.ask("StopTransaction", stop).await;
    until(&driver, "/api/sessions", |sessions| sessions["items"][0]["state"] == "completed").await;
    say_much(&mut charger).await;

    let other = network.customer(network.person(), None).await;
    assert_eq!(refused(other.get(&format!("/api/drivers/{driver_id}/export")).await), "forbidden");
    assert_eq!(refused(other.post(&erase, &json!({}), None).await), "forbidden");
    let held = driver.get("/api/me/export").await.expect("she is given what is held on her");
    is_whole(&held);
    assert_eq!(
        operator.get(&format!("/api/drivers/{driver_id}/export")).await.expect("it is given")["tokens"],
        held["tokens"]
    );

    let folders = tempfile::tempdir().expect("a directory");
    let (sealed, clear) = (folders.path().join("sealed"), folders.path().join("clear"));
    said(network, &["events", "export", "--format", "jsonl", "--to", path(&sealed)]);
    let why = ["--with-personal-data", "--actor", "operator@tests.example", "--reason", "a test of erasure"];
    said(network, &[&["events", "export", "--format", "jsonl", "--to", path(&clear)], &why[..]].concat());
    // Of something else: not one of hers.
    let sites = ["events", "tail", "--type", "SiteRegistered"];
    said(network, &[&sites[..], &why[..]].concat());
    assert!(files_contain(&clear, CARD) && !files_contain(&sealed, CARD));
    let (sealed_tables, clear_tables) = (folders.path().join("sealed-tables"), folders.path().join("clear-tables"));
    said(network, &["events", "export", "--format", "parquet", "--to", path(&sealed_tables)]);
    said(network, &[&["events", "export", "--format", "parquet", "--to", path(&clear_tables)], &why[..]].concat());
    assert!(told_by_tables(&clear_tables).contains(CARD) && !told_by_tables(&sealed_tables).contains(CARD));
    // Her token stands still in the build that is made, with all that comes after it.
    let token = unreadable(database.pool()).await;
    said(network, &["projections", "rebuild", "tokens", "--json"]);
    let parked = said(network, &["projections", "parked", "tokens", "--json"]);
    assert!(parked.contains(&token.to_string()) && parked.contains("envelope can't be read"), "{parked}");

    let before = head(&operator).await;
    let (old_token, login) = (driver.access_token().await.expect("it is good"), login(network).await);
    login.expect("she can log in");
    let erased = operator.post(&erase, &json!({}), None).await.expect("she is erased");
    assert_eq!((&erased["driver_id"], &erased["tokens"]), (&json!(driver_id), &json!(1)));
    let exports = erased["exports_in_clear"].as_array().expect("a list");
    let told = |name: &str| exports.iter().map(|export| export[name].clone()).collect::<Vec<_>>();
    let (given, because) = ("GET /api/drivers/{id}/export", json!("a test of erasure"));
    assert_eq!(told("through"), [given, "events export", "events export"], "{exports:?}");
    assert_eq!(told("destination"), [Value::Null, json!(path(&clear)), json!(path(&clear_tables))]);
    assert_eq!(told("reason"), [Value::Null, because.clone(), because]);
    assert!(text(&exports[0]["by"]).starts_with("operator:"), "{exports:?}");

    // She is nobody any more, at once in the process that did it.
    assert_eq!(asked(network, &old_token, "/api/me").await, 401);
    assert_eq!(refused(driver.refresh().await), "unauthenticated");
    assert_eq!(refused(self::login(network).await), "unauthenticated");
    let told = charger.ask("Authorize", json!({"idTag": CARD})).await;
    assert_ne!(told["idTagInfo"]["status"], "Accepted", "{told}");
    let again = operator.post(&erase, &json!({}), None).await.expect("nothing is left to do");
    assert_eq!(again["exports_in_clear"], erased["exports_in_clear"]);

    let position = erased["position"].as_i64().expect("a position").max(head(&operator).await);
    let now = format!("/api/tokens?driver_id={driver_id}&min_position={position}");
    let then = format!("/api/tokens?driver_id={driver_id}&as_of={before}");
    for (query, status) in [(now, "blocked"), (then, "accepted")] {
        let tokens = operator.get(&query).await.expect("what is gone is no error");
        let token = &tokens["items"][0];
        assert_eq!((&token["value"], &token["status"]), (&Value::Null, &json!(status)), "{query}: {token}");
    }
    let drivers = operator.get("/api/drivers").await.expect("drivers can be listed");
    let of_her = drivers["items"].as_array().expect("a list").iter().find(|driver| driver["driver_id"] == driver_id);
    assert_eq!(of_her.expect("her id stays")["erased"], true);
    let left = operator.get(&format!("/api/drivers/{driver_id}/export")).await.expect("what is left");
    assert_eq!((&left["account"], &left["tokens"][0]["value"]), (&Value::Null, &Value::Null));
    assert_eq!(left["sessions"][0]["state"], "completed", "what was charged stays");
    for clear in CLEAR {
        assert!(!left.to_string().contains(clear), "{clear} in {left}");
    }

    let waiting = said(network, &["projections", "show", &token.to_string(), "--json"]);
    assert!(waiting.contains("TokenRegistered") && waiting.contains("TokenBlocked"), "{waiting}");
    let tried = said(network, &["projections", "retry", &token.to_string(), "--dry-run", "--json"]);
    let dump = dumped(network);
    assert!(dump.contains("COPY views.parked_events"), "what waits is in the dump");
    let of_tables = told_by_tables(&sealed_tables);
    assert!(of_tables.contains(&driver_id), "what she did is in the tables");
    assert!(dump.contains("DriverErased") && dump.contains("TransactionStarted"), "the log is in the dump");
    assert!(dump.contains("COPY history.") && dump.contains("COPY shadow."), "so are rows as they were, and builds");
    for clear in CLEAR {
        let line = dump.lines().find(|line| line.to_lowercase().contains(&clear.to_lowercase()));
        assert_eq!(line, None, "{clear} is in the database");
        assert!(!files_contain(&sealed, clear), "{clear} is in a sealed export");
        assert!(!of_tables.to_lowercase().contains(&clear.to_lowercase()), "{clear} is in sealed tables");
        assert!(![&parked, &waiting, &tried].iter().any(|said| said.contains(clear)), "{clear} is told of what waits");
    }
    // What waited is applied, and holds nothing more than the rest.
    readable(database.pool()).await;
    let released = said(network, &["projections", "retry", &token.to_string(), "--json"]);
    assert!(released.contains("\"parked\":null"), "{released}");
    assert!(CLEAR.iter().all(|clear| !dumped(network).contains(clear)), "a clear value is in the database");
    // With all the keys there are, the sealed value can't be opened.
    let tokens = ["events", "tail", "--type", "TokenRegistered", "-n", "1000", "--json"];
    let opened = said(network, &[&tokens[..], &why[..]].concat());
    let opened = opened.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let hers = opened.filter(|event| event["payload"]["driver_id"] == driver_id.as_str()).collect::<Vec<_>>();
    assert_eq!(hers.len(), 1);
    assert_eq!(hers[0]["payload"]["value"], Value::Null, "{}", hers[0]);

    // The history is as whole as it was.
    let compared = said(network, &["projections", "compare", "tokens", "--json"]);
    assert!(compared.contains("\"changed\":0"), "{compared}");
    said(network, &["projections", "rebuild", "drivers", "--json"]);
    said(network, &["projections", "compare", "drivers", "--json"]);
    said(network, &["projections", "verify", "--json"]);

    // Whoever registers with that address is somebody else.
    let anew = Account::register(reqwest::Client::new(), &network.http, person()).await.expect("the address is free");
    assert_ne!(text(&anew.get("/api/me").await.expect("she is there")["driver_id"]), driver_id);
    let gone = anew.post("/api/me/erase", &json!({}), None).await.expect("she erases herself");
    assert_eq!(gone["tokens"], 0);
    assert_eq!(refused(self::login(network).await), "unauthenticated");
}

/// The id of a transaction with her card.
async fn start(charger: &mut RawCharger) -> Value {
    let start = json!({"connectorId": 1, "idTag": CARD, "meterStart": 0, "timestamp": "2026-03-01T10:00:00Z"});
    let started = charger.ask("StartTransaction", start).await;
    assert_eq!(started["idTagInfo"]["status"], "Accepted");
    started["transactionId"].clone()
}

/// Past a position at which rows are kept as they were: those that change later have been written down.
async fn say_much(charger: &mut RawCharger) {
    for number in 0..1_100 {
        let status = if number % 2 == 0 { "Available" } else { "Preparing" };
        let status = json!({"connectorId": 2, "errorCode": "NoError", "status": status});
        charger.ask("StatusNotification", status).await;
    }
}

fn is_whole(held: &Value) {
    let account = &held["account"];
    assert_eq!((&account["email"], &account["name"], &account["phone"]), (&json!(EMAIL), &json!(NAME), &json!(PHONE)));
    assert_eq!(held["tokens"][0]["value"], CARD);
    assert_eq!(held["sessions"][0]["state"], "completed");
    let types: Vec<_> = held["events"].as_array().expect("a list").iter().map(|event| &event["event_type"]).collect();
    for known in ["DriverRegistered", "PlanActivated", "TokenRegistered", "TransactionStarted", "SessionPriced"] {
        assert!(types.iter().any(|name| *name == known), "{known} is not in {types:?}");
    }
    let registered =
        held["events"].as_array().into_iter().flatten().find(|event| event["event_type"] == "TokenRegistered");
    assert_eq!(registered.expect("it is there")["payload"]["value"], CARD);
}

async fn login(network: &Network) -> Result<Account, Error> {
    Account::login(reqwest::Client::new(), &network.http, EMAIL, PASSWORD, None).await
}

async fn head(operator: &Account) -> i64 {
    operator.get("/api/drivers").await.expect("drivers can be listed")["position"].as_i64().expect("a position")
}

async fn asked(network: &Network, token: &str, path: &str) -> u16 {
    let request = reqwest::Client::new().get(format!("{}{path}", network.queries)).bearer_auth(token);
    request.send().await.expect("it is answered").status().as_u16()
}

#[track_caller]
fn refused<T>(result: Result<T, Error>) -> String {
    let Err(error) = result else { panic!("it was not refused") };
    error.code().unwrap_or_else(|| panic!("{error}")).to_owned()
}

fn said(network: &Network, arguments: &[&str]) -> String {
    let mut command = Command::new(binary::coulomb());
    command.args(arguments).env("DATABASE_URL", &network.database_url).env("COULOMB_MASTER_KEY", MASTER_KEY);
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// As if a newer program had written what stands around the event of her token. Answers its key.
async fn unreadable(pool: &PgPool) -> Uuid {
    let spoil = "UPDATE events SET metadata = json_build_object('was', metadata::text) \
                 WHERE event_type = 'TokenRegistered' RETURNING partition_key";
    sqlx::query_scalar(spoil).fetch_one(pool).await.expect("hers is the only one")
}

async fn readable(pool: &PgPool) {
    let mend = "UPDATE events SET metadata = (metadata ->> 'was')::json WHERE event_type = 'TokenRegistered'";
    assert_eq!(sqlx::query(mend).execute(pool).await.expect("it can be mended").rows_affected(), 1);
}

/// Every row of every Parquet file, as text.
fn told_by_tables(folder: &Path) -> String {
    let script = "import sys, glob, duckdb\n\
                  for file in sorted(glob.glob(sys.argv[1] + '/**/*.parquet', recursive=True)):\n    \
                  for row in duckdb.sql(f\"SELECT to_json(t)::text FROM read_parquet('{file}') t\").fetchall(): print(row[0])";
    let output = Command::new(interpreter()).args(["-c", script, path(folder)]).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("it is text")
}

fn dumped(network: &Network) -> String {
    let output = Command::new(binary::postgres("pg_dump")).arg(&network.database_url).output().expect("pg_dump runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// In whatever case: tokens are compared without it.
fn files_contain(folder: &Path, clear: &str) -> bool {
    std::fs::read_dir(folder).expect("it can be read").any(|entry| {
        let entry = entry.expect("it can be read").path();
        if entry.is_dir() {
            return files_contain(&entry, clear);
        }
        let text = String::from_utf8_lossy(&std::fs::read(&entry).expect("it can be read")).to_lowercase();
        text.contains(&clear.to_lowercase())
    })
}
