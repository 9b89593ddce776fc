//! What is held on a person has moved to archives before they are erased: it can't be opened there either.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use embedded_postgres::testing::database;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{MASTER_KEY, Network, RawCharger, Registered, binary, logs, text, until};

use super::{CARD, CLEAR, dumped, files_contain, head, path, person, said, start};
use crate::archive::{fill, read_by_all, small_ranges};

const CLASSES: [&str; 3] = ["ledger", "operational", "telemetry"];
/// Read models that have rows of her.
const OF_HER: [&str; 3] = ["drivers", "tokens", "sessions"];

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_found_in_no_archive() {
    let database = database(&schema::MIGRATOR).await;
    let store = small_ranges(&database).await;
    let (network, _program) = Network::start_on(database.url(), logs("erased-archive"), &[]).await;
    let network = &network;
    let registered = network.charger().await;
    let driver = network.customer(person(), Some(CARD)).await;
    let driver_id = text(&driver.get("/api/me").await.expect("she can ask")["driver_id"]);
    let operator = network.operator().await;
    let session = charged(network, &registered).await;
    let of_her = until(&driver, &format!("/api/sessions/{session}"), |of_her| of_her["cost"]["revision"] == 1).await;
    let why = ["--with-personal-data", "--actor", "operator@tests.example", "--reason", "a test of archives"];
    let shown = said(network, &[&["events", "tail", "--type", "TokenRegistered"], &why[..]].concat());
    assert!(shown.contains(CARD), "{shown}");
    let before = head(&operator).await;
    fill(&store, std::slice::from_ref(&session)).await;
    read_by_all(database.pool()).await;

    // All that the log has on her is taken out of it, and is no more than sealed.
    let (token_id, sealed) = token(database.pool()).await;
    let parent = tempfile::tempdir().expect("a folder");
    let to = parent.path().join("archive");
    for class in CLASSES {
        let write = ["events", "archive", "--class", class, "--before", "0s", "--to", path(&to)];
        said(network, &[&write[..], &["--detach", "--save-states"]].concat());
    }
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE position <= $1")
        .bind(before)
        .fetch_one(database.pool())
        .await
        .expect("a count");
    assert_eq!(left, 0, "what is in the archive is not in the log");
    let archived = Archived::read(&to);
    // What is there is found: so would be a clear value.
    for known in [&registered.id, &driver_id, &session, &token_id, &sealed, "PersonalDataDisclosed"] {
        assert!(archived.has(known), "{known} is not in the archives");
    }
    archived.has_nothing_clear(&to);

    // As long as there is a key, what is archived can be opened.
    let tokens = format!("/api/tokens?driver_id={driver_id}&as_of={before}");
    let then = operator.get(&tokens).await.expect("it can be looked back");
    assert_eq!((&then["items"][0]["value"], &then["items"][0]["status"]), (&json!(CARD), &json!("accepted")));
    let held = driver.get("/api/me/export").await.expect("she is given what is held on her");
    assert_eq!(registration(&held)["payload"]["value"], CARD, "{held}");

    let erased = operator.post(&format!("/api/drivers/{driver_id}/erase"), &json!({}), None).await;
    let erased = erased.expect("she is erased");
    assert_eq!(erased["tokens"], 1);
    // That it was shown is in the archive too.
    assert_eq!(erased["exports_in_clear"][0]["through"], "events tail", "{erased}");
    assert_eq!(erased["exports_in_clear"][0]["reason"], "a test of archives", "{erased}");

    let after = Archived::read(&to);
    assert!(after == archived, "nobody has changed the archives");
    after.has_nothing_clear(&to);
    let said_of = what_is_said(network, &token_id, before, &why);
    let then = operator.get(&tokens).await.expect("what is gone is no error");
    assert_eq!((&then["items"][0]["value"], &then["items"][0]["status"]), (&Value::Null, &json!("accepted")));
    let session_then = operator.get(&format!("/api/sessions/{session}?as_of={before}")).await.expect("it stays");
    assert_eq!(session_then["cost"], of_her["cost"], "what was charged stays");
    let held = operator.get(&format!("/api/drivers/{driver_id}/export")).await.expect("what is left");
    assert_eq!((&held["account"], &registration(&held)["payload"]["value"]), (&Value::Null, &Value::Null), "{held}");

    is_proved(network);
    are_built_from_the_archive(network, &to);
    let position = head(&operator).await;
    let now = operator.get(&format!("/api/tokens?driver_id={driver_id}&min_position={position}")).await;
    let now = now.expect("what is gone is no error");
    assert_eq!((&now["items"][0]["value"], &now["items"][0]["status"]), (&Value::Null, &json!("blocked")), "{now}");
    let drivers = operator.get("/api/drivers").await.expect("drivers can be listed");
    let built = drivers["items"].as_array().expect("a list").iter().find(|driver| driver["driver_id"] == driver_id);
    assert_eq!(built.expect("her id stays")["erased"], true);
    let dump = dumped(network).to_lowercase();
    for clear in CLEAR {
        assert!(!dump.contains(&clear.to_lowercase()), "{clear} is in the database");
        let told = [&said_of, &then.to_string(), &held.to_string(), &now.to_string(), &drivers.to_string()];
        assert!(!told.iter().any(|told| told.contains(clear)), "{clear} in {told:?}");
    }
}

/// The id of a session with her card that is over.
async fn charged(network: &Network, registered: &Registered) -> String {
    let mut charger = RawCharger::connect(network, registered).await;
    charger.boot().await;
    let told = charger.ask("Authorize", json!({"idTag": CARD})).await;
    assert_eq!(told["idTagInfo"]["status"], "Accepted", "{told}");
    let transaction = start(&mut charger).await;
    let values = json!([{"timestamp": "2026-03-01T10:05:00Z", "sampledValue": [{"value": "2000"}]}]);
    charger.ask("MeterValues", json!({"connectorId": 1, "transactionId": transaction, "meterValue": values})).await;
    let stop =
        json!({"transactionId": transaction, "idTag": CARD, "meterStop": 4000, "timestamp": "2026-03-01T10:10:00Z"});
    charger.ask("StopTransaction", stop).await;
    let operator = network.operator().await;
    let sessions = until(&operator, "/api/sessions", |sessions| sessions["items"][0]["state"] == "completed").await;
    text(&sessions["items"][0]["session_id"])
}

/// The id of her token, and what the log says of it.
async fn token(pool: &PgPool) -> (String, String) {
    let registered = "SELECT aggregate_id, payload::text FROM events WHERE event_type = 'TokenRegistered'";
    sqlx::query_as(registered).fetch_one(pool).await.expect("hers is the only one")
}

fn registration(held: &Value) -> &Value {
    let mut events = held["events"].as_array().expect("a list").iter();
    events.find(|event| event["event_type"] == "TokenRegistered").expect("it is there")
}

/// Every value of every column of every part below a folder, in lower case: tokens are compared without it.
#[derive(PartialEq)]
struct Archived(BTreeMap<PathBuf, Vec<String>>);

impl Archived {
    fn read(folder: &Path) -> Self {
        let mut parts = BTreeMap::new();
        for class in CLASSES {
            let mut of_class = files(&folder.join(class));
            of_class.retain(|file| file.extension().is_some_and(|is| is == "parquet"));
            assert!(!of_class.is_empty(), "nothing of class {class}");
            parts.extend(of_class.into_iter().map(|part| (part.clone(), values(&part))));
        }
        Self(parts)
    }

    fn has(&self, wanted: &str) -> bool {
        let wanted = wanted.to_lowercase();
        self.0.values().flatten().any(|value| value.contains(&wanted))
    }

    /// Neither in values nor in what stands beside them in the files: manifests, statistics.
    fn has_nothing_clear(&self, folder: &Path) {
        for clear in CLEAR {
            assert!(!self.has(clear), "{clear} is in the archives");
            assert!(!files_contain(folder, clear), "{clear} is in the files of the archives");
        }
    }
}

/// All that are below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|entry| if entry.is_dir() { files(&entry) } else { vec![entry] }).collect()
}

fn values(part: &Path) -> Vec<String> {
    let file = SerializedFileReader::new(std::fs::File::open(part).expect("a part")).expect("it can be read");
    let mut values = vec![];
    for row in file.get_row_iter(None).expect("rows") {
        for (_, value) in row.expect("a row").get_column_iter() {
            let value = match value {
                Field::Str(text) => text.clone(),
                Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into_owned(),
                other => other.to_string(),
            };
            values.push(value.to_lowercase());
        }
    }
    let expected = file.metadata().file_metadata().num_rows() * 15;
    assert_eq!(i64::try_from(values.len()).ok(), Some(expected), "every column of every row of {}", part.display());
    values
}

/// What fresh programs say of her, with all the keys that there are.
fn what_is_said(network: &Network, token_id: &str, before: i64, why: &[&str]) -> String {
    let shown = said(network, &[&["events", "show", token_id], why].concat());
    assert!(shown.contains("TokenRegistered") && shown.contains("(erased)"), "{shown}");
    let then = said(network, &["projections", "as-of", "tokens", token_id, "--at", &before.to_string(), "--json"]);
    assert!(then.contains(token_id), "{then}");
    shown + &then
}

/// The archives are those that were written, and the history is as whole as it was.
fn is_proved(network: &Network) {
    let lines = said(network, &["events", "archive", "verify", "--json"]);
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let verified: Vec<_> = lines.filter(|line| line["stage"] == "verified").collect();
    assert_eq!(verified.len(), 2 * CLASSES.len(), "{verified:?}");
    assert!(verified.iter().all(|line| line["sound"] == true && line["unproven_blocks"] == 0), "{verified:?}");
    let report = said(network, &["projections", "verify", "--json"]);
    let report: Value = serde_json::from_str(report.lines().last().unwrap_or_default()).expect("a report is JSON");
    assert_eq!((&report["sound"], &report["not_kept"]), (&json!(true), &json!(0)), "{report}");
    assert!(report["archived"].as_i64() > Some(50_000), "{report}");
}

/// Every read model that has rows of her is built anew of what is archived, found equal, and swapped in.
fn are_built_from_the_archive(network: &Network, to: &Path) {
    let aside = to.with_extension("aside");
    std::fs::rename(to, &aside).expect("it can be moved");
    let mut without = Command::new(binary::coulomb());
    without.args(["projections", "rebuild", OF_HER[0], "--json"]);
    without.env("DATABASE_URL", &network.database_url).env("COULOMB_MASTER_KEY", MASTER_KEY);
    let refused = without.output().expect("it runs");
    std::fs::rename(&aside, to).expect("it can be moved back");
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains(path(to)), "without the archive there is nothing: {why}");

    for model in OF_HER {
        let built = said(network, &["projections", "rebuild", model, "--json"]);
        let line: Value = serde_json::from_str(built.lines().last().unwrap_or_default()).expect("a line is JSON");
        let compared = &line["compared"];
        let differing = ["only_live", "only_shadow", "changed"].map(|of| compared[of].clone());
        assert_eq!((&line["stage"], differing), (&json!("joined"), [json!(0), json!(0), json!(0)]), "{model}: {built}");
        assert!(compared["shadow_rows"].as_i64() >= Some(1), "{model}: {built}");
        said(network, &["projections", "swap", model, "--json"]);
    }
}
