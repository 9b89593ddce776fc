//! What `docs/kafka.md` tells consumers to do works with the clients that it names, on topics that the relay has filled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use embedded_kafka::testing;
use event_store::stored::Filter;
use event_store::{EventStore, StoreOptions};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use schema::log::Position;
use schema::stored::StoredEvent;
use serde_json::{Value, json};
use simulator::phone::Person;
use tests::{Network, RawCharger, WAIT_MAX, interpreter, logs, text, until};

use crate::described::Messages;
use crate::history::{a_session, lines, said};

const CARD: &str = "KAFKACARDOFHERS7";
const NAME: &str = "Rosalind Featherstone";
const EMAIL: &str = "rosalind.featherstone@tests.example";
const PHONE: &str = "+49305559988776";
const FREE_TEXT: &str = "by the green Okavango gate";

/// A document, its recipes, and where they are run.
struct Recipes {
    document: String,
    folder: tempfile::TempDir,
    brokers: &'static str,
    prefix: String,
}

impl Recipes {
    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
    }

    /// The blocks after a line `<!-- kind -->`.
    fn of(&self, kind: &str) -> Vec<&str> {
        let mark = format!("<!-- {kind} -->\n");
        let marked = self.document.split(&mark).skip(1);
        marked
            .map(|rest| rest.split("```").nth(1).and_then(|block| block.split_once('\n')).expect("a block").1)
            .collect()
    }

    fn run(&self, command: &mut Command) -> String {
        let command = command.env("BROKERS", self.brokers).env("PREFIX", &self.prefix).current_dir(self.folder.path());
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{command:?}: {}", both(&output));
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(!complaints.contains("missing"), "{complaints}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn shell(&self, text: &str) -> String {
        self.run(Command::new("bash").args(["-euo", "pipefail", "-c", text]))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lines of JSON in a file that a recipe has made.
    fn file(&self, name: &str) -> Vec<Value> {
        lines(&std::fs::read_to_string(self.path(name)).expect("a recipe has made it"))
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// All of a topic, as kcat gives it.
    fn records(&self, topic: &str) -> Vec<Value> {
        let topic = self.topic(topic);
        let mut kcat = Command::new("kcat");
        lines(&self.run(kcat.args(["-C", "-b", self.brokers, "-t", &topic, "-o", "beginning", "-e", "-q", "-J"])))
    }

    /// Writes a record into each of these partitions, as somebody does who should not; fast, with a client of its own.
    async fn write_each(&self, topic: &str, key: &str, headers: &[(String, String)], values: &[(i32, String)]) {
        let topic = self.topic(topic);
        let mut config = ClientConfig::new();
        let producer: FutureProducer = config.set("bootstrap.servers", self.brokers).create().expect("a producer");
        let delivered = values.iter().map(|(partition, value)| {
            let headers = headers
                .iter()
                .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
            let record = FutureRecord::to(&topic).partition(*partition).key(key).payload(value).headers(headers);
            producer.send(record, WAIT_MAX)
        });
        for delivered in futures_util::future::join_all(delivered).await {
            delivered.expect("it is delivered");
        }
    }

    /// Writes a record, as somebody does who should not.
    fn write(&self, topic: &str, partition: &str, key: &str, headers: &[(String, String)], value: &str) {
        let topic = self.topic(topic);
        let mut kcat = Command::new("kcat");
        kcat.args(["-P", "-b", self.brokers, "-t", &topic, "-p", partition, "-k", key, "-D", "\u{1e}"]);
        for (name, value) in headers {
            kcat.args(["-H", &format!("{name}={value}")]);
        }
        let mut kcat = kcat.stdin(Stdio::piped()).spawn().expect("kcat runs");
        std::io::Write::write_all(&mut kcat.stdin.take().expect("it is piped"), value.as_bytes()).expect("it reads");
        assert!(kcat.wait().expect("it ends").success());
    }
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn headers(record: &Value) -> Vec<(String, String)> {
    let flat: Vec<_> = record["headers"].as_array().expect("headers").iter().map(text).collect();
    flat.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// What a driver does of whom much is known.
async fn she_charges(network: &Network) {
    let person = Person {
        email: EMAIL.to_owned(),
        password: "a password of hers".to_owned(),
        name: NAME.to_owned(),
        phone: Some(PHONE.to_owned()),
    };
    let driver = network.customer(person, Some(CARD)).await;
    let registered = network.charger().await;
    let mut charger = RawCharger::connect(network, &registered).await;
    charger.boot().await;
    let start = json!({"connectorId": 1, "idTag": CARD, "meterStart": 0, "timestamp": "2026-03-01T10:00:00Z"});
    let started = charger.ask("StartTransaction", start).await;
    charger.ask("DataTransfer", json!({"vendorId": "com.example", "data": FREE_TEXT})).await;
    let stop = json!({"transactionId": started["transactionId"], "idTag": CARD, "meterStop": 10,
        "timestamp": "2026-03-01T10:10:00Z"});
    charger.ask("StopTransaction", stop).await;
    charger.call("StopTransaction", json!({"idTag": CARD, "comment": FREE_TEXT})).await;
    until(&driver, "/api/sessions", |sessions| sessions["items"][0]["state"] == "completed").await;
}

/// The log, when nothing more comes and all of it is in Kafka.
async fn settled(store: &EventStore, pool: &sqlx::PgPool) -> Vec<StoredEvent> {
    let mut events = vec![];
    let mut still = 0;
    let mut reached = Position::START;
    while still < 10 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (head, _) = store.head().await.expect("the log");
        let relayed: Option<i64> =
            sqlx::query_scalar("SELECT max(position) FROM relay").fetch_one(pool).await.expect("a checkpoint");
        still = if head == reached && relayed == Some(head.0) { still + 1 } else { 0 };
        reached = head;
    }
    let mut at = Position::START;
    while at < reached {
        let look = store.look(at, reached, &Filter::default()).await.expect("the log");
        events.extend(look.events);
        at = look.upto;
    }
    assert_eq!(events.len() as i64, reached.0, "positions are dense");
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_documentation_tells_consumers_works() {
    let brokers = testing::brokers().await;
    let document = std::fs::read_to_string(Recipes::root().join("docs/kafka.md")).expect("the document");
    let folder = tempfile::tempdir().expect("a folder");
    let recipes = Recipes { document, folder, brokers, prefix: testing::topic_prefix() };
    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let settings = [("KAFKA_BROKERS", brokers), ("COULOMB_KAFKA_TOPIC_PREFIX", recipes.prefix.as_str())];
    let (network, program) = Network::start_on(database.url(), logs("kafka"), &settings).await;
    a_session(&network).await;
    she_charges(&network).await;
    let store = EventStore::connect(database.pool().clone(), StoreOptions::default()).await.expect("the log");
    let events = settled(&store, database.pool()).await;
    assert!(events.len() > 30, "{}", events.len());

    // Some records again, as a leader writes them who was frozen.
    let all = recipes.records("events");
    let of_events = all.iter().filter(|record| !record["payload"].is_null());
    for record in of_events.clone().take(8) {
        let (partition, key) = (record["partition"].to_string(), text(&record["key"]));
        recipes.write("events", &partition, &key, &headers(record), &text(&record["payload"]));
    }
    each_line_is_as_described(&recipes, of_events);

    // As a reader of the document does it: one after the other.
    let shell = recipes.of("kcat");
    assert!(shell.len() >= 8, "{}", shell.len());
    let outputs: Vec<String> = shell.iter().map(|text| recipes.shell(text)).collect();
    let records = recipes.file("records.jsonl");
    let taken = recipes.file("events.jsonl");
    assert!(records.len() >= all.len() + 8, "what was written again is there");
    assert_eq!(taken.len(), events.len(), "and the rule leaves each once");
    let by_position: BTreeMap<_, _> = records
        .iter()
        .filter(|record| !record["payload"].is_null())
        .map(|record| {
            let line = text(&record["payload"]);
            let position =
                Position(serde_json::from_str::<Value>(&line).expect("JSON")["position"].as_i64().expect("a position"));
            (position, line)
        })
        .collect();
    for (event, line) in events.iter().zip(&taken) {
        let exact = &by_position[&event.position];
        assert_eq!(*line, serde_json::from_str::<Value>(exact).expect("JSON"), "{line}");
        let decoded = schema::record::decode(event.position, exact.as_bytes()).expect("an event");
        assert_eq!(decoded, *event, "equal to the byte");
    }
    let complete = outputs.iter().find(|output| output.contains("complete_up_to")).expect("a recipe says it");
    let complete: Value = serde_json::from_str(complete).expect("JSON");
    assert_eq!(complete["partitions"], 64, "{complete}");
    assert!(complete["complete_up_to"].as_i64() <= Some(events.len() as i64), "{complete}");
    assert!(outputs.iter().any(|output| output.contains("\"total\"")), "{outputs:?}");

    // With another client, which stops and goes on.
    let consumer = recipes.of("python");
    std::fs::write(recipes.path("consume.py"), consumer.first().expect("a consumer")).expect("it can be written");
    let consume = || recipes.run(Command::new(interpreter()).args(["consume.py", "taken.sqlite"]));
    assert_eq!(consume().trim(), format!("({0}, {0})", events.len()));
    a_session(&network).await;
    let more = settled(&store, database.pool()).await;
    assert!(more.len() > events.len());
    assert_eq!(consume().trim(), format!("({0}, {0})", more.len()));
    assert_eq!(consume().trim(), format!("({0}, {0})", more.len()));
    let script = Recipes::root().join("tests/python/recipes.py");
    let said_by_duckdb =
        recipes.run(Command::new(interpreter()).arg(script).arg(Recipes::root().join("docs/kafka.md")));
    assert!(said_by_duckdb.contains("\"recipes\": 1"), "{said_by_duckdb}");

    nothing_is_hidden_by_a_generation_that_has_ended(&recipes, &network, &store, &database).await;
    dead_letters_are_seen(&recipes, &network).await;
    for topic in ["events", "station-commands", "dead-letters"] {
        let all = recipes.records(topic).iter().map(ToString::to_string).collect::<String>().to_lowercase();
        assert!(!all.is_empty(), "{topic}");
        for clear in [CARD, NAME, EMAIL, PHONE, FREE_TEXT, "Featherstone", "Okavango", "305559988776"] {
            assert!(!all.contains(&clear.to_lowercase()), "{clear} is in {topic}");
        }
    }
    program.stop();
}

/// A relay that slept through a recovery adds what it had at hand: in each partition, a record of the former generation far
/// above the log. By the document, what is new comes all the same, and what is no part of the log goes.
async fn nothing_is_hidden_by_a_generation_that_has_ended(
    recipes: &Recipes,
    network: &Network,
    store: &EventStore,
    database: &embedded_postgres::testing::TestDatabase,
) {
    let shell = recipes.of("kcat");
    let of_log = shell.iter().copied().filter(|text| text.contains("rule.jq") || text.contains("> log.jsonl"));
    let of_log: Vec<&str> = of_log.collect();
    assert_eq!(of_log.len(), 2);
    let (head, _) = store.head().await.expect("the log");
    let all = recipes.records("events");
    let is_of_former =
        |record: &&Value| !record["payload"].is_null() && headers(record).contains(&("generation".into(), "1".into()));
    let template = all.iter().find(is_of_former).expect("a record");
    let mut recover = Command::new(tests::binary::coulomb());
    recover.args(["log", "recover", "--upto", &(head.0 + 5).to_string(), "--yes"]);
    recover.env("DATABASE_URL", database.url()).env("COULOMB_MASTER_KEY", tests::MASTER_KEY);
    let recovered = recover.output().expect("it runs");
    assert!(recovered.status.success(), "{}", both(&recovered));

    let stale = head.0 + 300;
    let line = text(&template["payload"]);
    let of_line = |line: &str, name: &str| serde_json::from_str::<Value>(line).expect("JSON")[name].to_string();
    let set = |line: &str, name: &str, value: &str| {
        let set = line.replacen(&format!("\"{name}\":{}", of_line(line, name)), &format!("\"{name}\":{value}"), 1);
        assert_eq!(of_line(&set, name), value);
        set
    };
    let mut of = headers(template);
    of.iter_mut().filter(|(name, _)| name == "position").for_each(|(_, value)| *value = stale.to_string());
    let line_of = |partition: i32| {
        let line = set(&set(&line, "position", &stale.to_string()), "partition", &partition.to_string());
        (partition, line)
    };
    // Before the relay tells the partitions of the new generation: what comes later is dropped by the rule alone.
    recipes.write_each("events", &text(&template["key"]), &of, &(0..64).map(line_of).collect::<Vec<_>>()).await;
    for _ in 0..3 {
        a_session(network).await;
    }
    let log = settled(store, database.pool()).await;
    assert!(log.last().is_some_and(|last| last.position.0 < stale), "they stand above the log's end");
    assert!(log.iter().filter(|event| event.generation.0 == 2).count() > 20, "they stand before new events");

    // Whoever goes on, and whoever begins.
    for file in ["taken.sqlite", "afresh.sqlite"] {
        let taken = recipes.run(Command::new(interpreter()).args(["consume.py", file]));
        assert_eq!(taken.trim(), format!("({0}, {0})", log.len()), "{file}");
    }
    for text in of_log {
        recipes.shell(text);
    }
    let of: Vec<_> = recipes.file("log.jsonl").iter().map(|line| text(&line["event_id"])).collect();
    assert_eq!(of, log.iter().map(|event| event.event_id.to_string()).collect::<Vec<_>>());
    let kept = recipes.file("events.jsonl").len();
    assert!(kept > of.len(), "the rule alone leaves what is lost: {kept}");
}

/// The line fits the message of its type, headers and key what the document says of all.
fn each_line_is_as_described<'r>(recipes: &Recipes, records: impl Iterator<Item = &'r Value>) {
    let mut messages = Messages::read();
    let mut types = BTreeSet::new();
    for record in records {
        let line: Value = serde_json::from_str(&text(&record["payload"])).expect("JSON");
        let event_type = text(&line["event_type"]);
        messages.assert_line(&event_type, &line);
        let headers: serde_json::Map<_, _> =
            headers(record).into_iter().map(|(name, value)| (name, Value::from(value))).collect();
        messages.assert_headers(&Value::Object(headers.clone()));
        assert_eq!((&record["key"], &record["partition"]), (&line["partition_key"], &line["partition"]), "{line}");
        assert_eq!(
            (&headers["type"], &headers["event_id"], &headers["version"]),
            (&line["event_type"], &line["event_id"], &line["event_version"])
        );
        assert_eq!(text(&headers["position"]), line["position"].to_string());
        types.insert(event_type);
    }
    assert!(types.len() > 15, "{types:?}");
    let described = messages.topic("kafkaStationCommands");
    let standing: BTreeSet<_> = recipes
        .records("station-commands")
        .iter()
        .filter(|record| !record["payload"].is_null())
        .map(|record| text(&serde_json::from_str::<Value>(&text(&record["payload"])).expect("JSON")["event_type"]))
        .collect();
    assert!(!standing.is_empty() && standing.is_subset(&described), "{standing:?}, {described:?}");
    assert_eq!(described.len(), 4, "three types and the watermark: {described:?}");
}

/// A record of another program: kept, shown, tried again, let be; and each of it in the topic.
async fn dead_letters_are_seen(recipes: &Recipes, network: &Network) {
    assert_eq!(said(network, &["dead-letters", "--json"]), "");
    recipes.write("events", "7", "whoever", &[("position".to_owned(), "soon".to_owned())], "not an event");
    let listed = tests::eventually("the letter", || async {
        let listed = lines(&said(network, &["dead-letters", "--json"]));
        (!listed.is_empty()).then_some(listed)
    });
    let listed = listed.await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    let letter = &listed[0];
    assert_eq!(
        (&letter["source"], &letter["partition"], &letter["state"]),
        (&json!("kafka"), &json!(7), &json!("waiting"))
    );
    let ready = reqwest::get(format!("{}/ready", network.http)).await.expect("it answers");
    assert!(ready.status().is_success());
    let id = letter["id"].to_string();
    let shown = said(network, &["dead-letters", "show", &id]);
    assert!(shown.contains("position: soon") && shown.contains("a value of 12 bytes"), "{shown}");
    let retried = lines(&said(network, &["dead-letters", "retry", &id, "--json"]));
    assert_eq!(retried[0]["replayed"], false, "{retried:?}");
    said(network, &["dead-letters", "skip", &id, "--reason", "a test of letters", "--json"]);
    assert_eq!(said(network, &["dead-letters", "--json"]), "");
    let all = lines(&said(network, &["dead-letters", "list", "--all", "--json"]));
    assert_eq!((&all[0]["state"], &all[0]["reason"]), (&json!("skipped"), &json!("a test of letters")));

    let copied = tests::eventually("its copies", || async {
        let records = recipes.records("dead-letters");
        records.last().is_some_and(|record| text(&record["payload"]).contains("skipped")).then_some(records)
    });
    let mut messages = Messages::read();
    let copies: Vec<Value> =
        copied.await.iter().map(|record| serde_json::from_str(&text(&record["payload"])).expect("JSON")).collect();
    for copy in &copies {
        messages.assert_line("DeadLetter", copy);
    }
    assert_eq!(copies.last(), Some(&all[0]), "the topic has what the command shows");
    let recipe = recipes.of("kcat").into_iter().find(|text| text.contains("dead-letters")).expect("a recipe");
    assert!(recipes.shell(recipe).contains("\"skipped\""));
}
