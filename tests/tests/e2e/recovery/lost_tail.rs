//! A primary that dies with what its replica had not, and what Kafka had: the relay finds it, an operator recovers, and
//! chargers, phones and consumers go on.

use std::collections::{BTreeMap, HashMap};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use ::cluster::{Cluster, Options, Part, Replication};
use rdkafka::Message;
use rdkafka::message::Headers;
use schema::log::{Generation, Position, RecordedEvent};
use schema::partition::PARTITION_COUNT;
use schema::record::{self, Head};
use schema::stored::StoredEvent;
use schema::topics::Topics;
use serde_json::{Value, json};
use simulator::phone::{LineEvent, Phone};
use sqlx::PgPool;
use tests::log::{Log, is_dense_and_ordered};
use tests::topics::FromBeginning;
use tests::{Charge, MASTER_KEY, Network, RawCharger, binary, eventually, operator, until, within};
use tokio::sync::mpsc;

use super::number;

/// So long nobody is told that something was taken.
const MOMENT: Duration = Duration::from_secs(3);
const READ_MAX: Duration = Duration::from_secs(60);

fn port(address: &str) -> u16 {
    address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address ends with its port")
}

/// What an operator types, with the primary's own address.
async fn coulomb(cluster: &Cluster, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(binary::coulomb());
    command.args(arguments);
    command.env("DATABASE_URL", cluster.postgres_url(cluster.primary().await).await.expect("it is a part"));
    command
        .env("COULOMB_MASTER_KEY", MASTER_KEY)
        .env("KAFKA_BROKERS", cluster.kafka_brokers().expect("there is Kafka"));
    let run = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    let Output { status, stdout, stderr } = run.await.expect("it ended");
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

fn first_line(said: &str) -> Value {
    serde_json::from_str(said.lines().next().expect("a line")).unwrap_or_else(|error| panic!("{error}: {said}"))
}

async fn ready(cluster: &Cluster, part: Part) -> (u16, String) {
    let url = format!("{}/ready", cluster.url_of(part).expect("it is a role"));
    let answer = reqwest::get(&url).await.expect("it answers");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

/// What a process says of itself in its metrics; none: nothing by that name.
async fn metric(cluster: &Cluster, part: Part, name: &str) -> Option<i64> {
    let url = format!("{}/metrics", cluster.url_of(part).expect("it is a role"));
    let text = reqwest::get(&url).await.expect("it answers").text().await.expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(line.parse::<f64>().expect("a number") as i64)
}

/// How many relays say that they have stopped.
async fn stopped_relays(cluster: &Cluster) -> i64 {
    let mut stopped = 0;
    for part in [Part::Relay(1), Part::Relay(2)] {
        stopped += metric(cluster, part, "coulomb_relay_stopped").await.unwrap_or(0);
    }
    stopped
}

async fn pool(cluster: &Cluster, part: Part) -> PgPool {
    let url = cluster.postgres_url(part).await.expect("it is a part");
    PgPool::connect(&url).await.expect("it takes connections")
}

/// The replica gets nothing more, and has what there was before. The end of the log on it.
async fn cut_off(cluster: &Cluster) -> i64 {
    let (primary, replica) =
        (pool(cluster, cluster.primary().await).await, pool(cluster, cluster.replica().await).await);
    const HEAD: &str = "SELECT position FROM log_head";
    eventually("the replica to have it all", || async {
        (number(&primary, HEAD).await == number(&replica, HEAD).await).then_some(())
    })
    .await;
    for text in ["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"] {
        sqlx::raw_sql(text).execute(&replica).await.expect("it is set");
    }
    eventually("the replica to be alone", || async {
        (number(&primary, "SELECT count(*) FROM pg_stat_replication").await == 0).then_some(())
    })
    .await;
    assert_eq!(cluster.replication().await, Replication::None);
    number(&replica, HEAD).await
}

/// The end of the log, once all of it is in Kafka.
async fn relayed(cluster: &Cluster) -> i64 {
    let primary = pool(cluster, cluster.primary().await).await;
    eventually("all to be in Kafka", || async {
        let head = number(&primary, "SELECT position FROM log_head").await;
        (number(&primary, "SELECT coalesce(max(position), 0) FROM relay").await == head).then_some(head)
    })
    .await
}

/// A phone, and all that it is told.
async fn listening(network: &Network) -> (Phone, mpsc::Receiver<LineEvent>) {
    let account = network.customer(network.person(), None).await;
    let (line, hears) = network.telling_line(&account, &["me"]);
    let opened = line.wait_for(|held| held.topic("me").is_some_and(|me| me.upto.is_some()));
    within("the snapshot of me", opened).await.expect("the line is open");
    (Phone { account, line }, hears)
}

/// What a record of the events' topic was.
struct Topic {
    /// All of them, as often as they are there.
    records: Vec<StoredEvent>,
    /// What the consumer's rule leaves, by partition, with the generation.
    taken: HashMap<i32, Vec<(i64, StoredEvent)>>,
}

/// All that each partition has now. To go by what the log has would leave out a lost event with nothing after it.
fn read(brokers: &str) -> Topic {
    let events = (Topics::default().events(), i32::from(PARTITION_COUNT));
    let mut reader = FromBeginning::of(brokers, "recovery", [events]);
    let mut topic = Topic { records: vec![], taken: HashMap::new() };
    let mut last: HashMap<i32, (Generation, Position)> = HashMap::new();
    let until = Instant::now() + READ_MAX;
    while !reader.unread().is_empty() {
        assert!(Instant::now() < until, "partitions are not read to their end: {:?}", reader.unread());
        let Some(message) = reader.poll() else { continue };
        let headers = message.headers().expect("a record has headers");
        let head = record::head(headers.iter().map(|header| (header.key, header.value))).expect("they can be read");
        let partition = message.partition();
        let event = match head {
            Head::Watermark { .. } => None,
            Head::Event { .. } => {
                let value = message.payload().expect("an event has a value");
                let event = record::decode(head.position(), value).expect("it can be read");
                topic.records.push(event.clone());
                Some(event)
            }
        };
        let last = last.entry(partition).or_insert((Generation(0), Position::START));
        let place = (head.generation(), head.position());
        if place <= *last {
            continue;
        }
        if let (Head::Event { prev, .. }, Some(event)) = (head, event) {
            let (_, last) = *last;
            assert!(prev <= last, "a consumer misses what is above {last} up to {prev} in partition {partition}");
            topic.taken.entry(partition).or_default().push((head.generation().0, event));
        }
        *last = place;
    }
    topic
}

impl Topic {
    /// As docs/kafka.md has it: what is above `shared_upto` and of a generation before is no part of the log.
    fn as_the_log(&self, shared_upto: i64, generation: i64) -> BTreeMap<Position, StoredEvent> {
        let all = self.taken.values().flatten();
        let stays = all.filter(|(of, event)| event.position.0 <= shared_upto || *of >= generation);
        stays.map(|(_, event)| (event.position, event.clone())).collect()
    }
}

async fn started() -> (tempfile::TempDir, Cluster) {
    let home = tests::passable();
    let (email, password) = operator();
    let environment = [
        ("COULOMB_OPERATOR_EMAIL", email),
        ("COULOMB_OPERATOR_PASSWORD", password),
        ("COULOMB_MASTER_KEY", MASTER_KEY),
    ];
    let options = Options {
        synchronous: false,
        ephemeral: true,
        projections: 1,
        commands: 1,
        realtimes: 1,
        edges: 1,
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        ..Options::new(home.path().join("cluster"), binary::coulomb())
    };
    let cluster = Cluster::launch_saying(options, |what| println!("{what}")).await.expect("the cluster starts");
    (home, cluster)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_only_kafka_has_is_told_of_recovered_and_everybody_goes_on() {
    let (_home, cluster) = started().await;
    let url = cluster.postgres_url(cluster.primary().await).await.expect("it is a part");
    let network = Network::at(port(cluster.http()), port(cluster.ocpp()), &url);
    let staff = network.operator().await;
    let (driver, mut hears) = listening(&network).await;
    let mut charge = Charge::begun(&network, driver).await;
    charge.meter("2026-03-01T10:10:00Z", 2000).await;
    charge.seen(|session| session["energy_wh"] == 1000).await;
    let (unknown, silent, newcomer) = (network.charger().await, network.charger().await, network.charger().await);
    let mut unknown = RawCharger::connect(&network, &unknown).await;
    unknown.boot().await;
    let mut silent_charger = RawCharger::connect(&network, &silent).await;
    silent_charger.boot().await;
    relayed(&cluster).await;
    let shared = cut_off(&cluster).await;

    // Acknowledged, seen, and lost.
    charge.meter("2026-03-01T10:20:00Z", 3000).await;
    charge.seen(|session| session["energy_wh"] == 2000).await;
    let start = json!({"connectorId": 1, "idTag": "LOST", "meterStart": 0, "timestamp": "2026-03-01T10:20:00Z"});
    let lost_transaction = unknown.ask("StartTransaction", start).await["transactionId"].as_i64().expect("a number");
    let mut newcomer = RawCharger::connect(&network, &newcomer).await;
    newcomer.boot().await;
    let lost = relayed(&cluster).await;
    assert!(lost > shared, "{lost} is above {shared}");
    while hears.try_recv().is_ok() {}
    let failing_over = Instant::now();
    cluster.kill(cluster.primary().await).await.expect("it is killed");
    cluster.promote().await.expect("the replica takes over");

    // Told of.
    let said = eventually("a process to say what is lost", || async {
        let (status, said) = ready(&cluster, Part::Command(1)).await;
        (status == 503 && said.contains("coulomb log recover") && said.contains("lacks positions")).then_some(said)
    });
    let said = said.await;
    println!("after {:?}: {said}", failing_over.elapsed());
    for part in [Part::Edge(1), Part::Realtime(1), Part::Projection(1)] {
        println!("{part}: {:?}", ready(&cluster, part).await);
    }
    eventually("a relay to say that it stopped", || async {
        for part in [Part::Relay(1), Part::Relay(2)] {
            let (status, said) = ready(&cluster, part).await;
            if status == 503 && said.contains("coulomb log recover") {
                return Some(());
            }
        }
        None
    })
    .await;
    let (code, said) = coulomb(&cluster, &["log", "status", "--json"]).await;
    let status = first_line(&said);
    assert_eq!((code, &status["state"], &status["generation"]), (Some(2), &json!("halted"), &json!(1)), "{said}");
    let head = status["position"].as_i64().expect("a number");
    let lost_upto = head + status["lost_positions"].as_i64().expect("a number");
    assert!(head >= shared && lost_upto >= lost, "{said}; shared {shared}, lost {lost}");

    // As alerts see it.
    for part in [Part::Command(1), Part::Edge(1), Part::Projection(1)] {
        eventually(&format!("the metrics of {part} to say it"), || async {
            let takes = metric(&cluster, part, "coulomb_log_takes_appends").await;
            let lacks = metric(&cluster, part, "coulomb_log_lost_positions").await;
            (takes == Some(0) && lacks == Some(lost_upto - head)).then_some(())
        })
        .await;
    }
    eventually("a relay's metrics to say it", || async { (stopped_relays(&cluster).await > 0).then_some(()) }).await;

    // Nothing is taken, and nobody is told otherwise.
    let token = staff.access_token().await.expect("it is fresh");
    let plan = reqwest::Client::new().post(format!("{}/api/plans", network.http)).bearer_auth(token);
    let refused = within("a refusal", plan.json(&json!({"name": "Not now"})).send()).await.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let available = json!({"connectorId": 2, "errorCode": "NoError", "status": "Available"});
    let told = tokio::time::timeout(MOMENT, silent_charger.call("StatusNotification", available.clone())).await;
    assert!(told.is_err(), "it is not acknowledged: {told:?}");
    until(&charge.driver.account, &charge.path(), |session| session["energy_wh"] == 1000).await;

    // Recovered: first only said.
    let (code, said) = coulomb(&cluster, &["log", "recover", "--json"]).await;
    let plan = first_line(&said);
    assert_eq!(
        (code, &plan["needed"], &plan["done"], plan["lost_from"].as_i64(), plan["lost_upto"].as_i64()),
        (Some(0), &json!(true), &json!(false), Some(head + 1), Some(lost_upto)),
        "{said}"
    );
    assert_eq!(plan["shared_upto"], head, "nothing was appended since: {said}");
    let primary = pool(&cluster, cluster.primary().await).await;
    assert_eq!(number(&primary, "SELECT position FROM log_head").await, head, "nothing was changed");
    let recovering = Instant::now();
    let (code, said) = coulomb(&cluster, &["log", "recover", "--yes", "--reason", "a test of ours"]).await;
    assert!(code == Some(0) && said.contains("Generation 2 has begun"), "{said}");
    println!("{} positions recovered in {:?}: {said}", lost_upto - head, recovering.elapsed());
    assert_eq!(number(&primary, "SELECT generation FROM log_head").await, 2);
    let fillers = "SELECT count(*) FROM events WHERE event_type = 'PositionLost'";
    assert_eq!(number(&primary, fillers).await, lost_upto - head);

    // And everybody goes on.
    for part in
        [Part::Command(1), Part::Edge(1), Part::Realtime(1), Part::Projection(1), Part::Relay(1), Part::Relay(2)]
    {
        eventually(&format!("{part} to be ready"), || async { (ready(&cluster, part).await.0 == 200).then_some(()) })
            .await;
        println!("{part} is ready {:?} after the command began", recovering.elapsed());
    }
    for part in [Part::Command(1), Part::Edge(1), Part::Projection(1)] {
        eventually(&format!("the metrics of {part} to say that all is well"), || async {
            let takes = metric(&cluster, part, "coulomb_log_takes_appends").await;
            let lacks = metric(&cluster, part, "coulomb_log_lost_positions").await;
            (takes == Some(1) && lacks == Some(0)).then_some(())
        })
        .await;
    }
    eventually("no relay to be stopped", || async { (stopped_relays(&cluster).await == 0).then_some(()) }).await;
    let snapshot = within("a snapshot of the new generation", async {
        loop {
            if let Some(LineEvent::Message { message, .. }) = hears.recv().await
                && message["topic"] == "me"
                && message["generation"] == 2
            {
                return message;
            }
        }
    })
    .await;
    assert_eq!(snapshot["type"], "snapshot", "a phone that had more than the log: {snapshot}");
    tokio::spawn(async move { while hears.recv().await.is_some() {} });
    charge.seen(|session| session["energy_wh"] == 1000).await;
    charge.meter("2026-03-01T10:25:00Z", 4000).await;
    charge.seen(|session| session["energy_wh"] == 3000).await;
    charge.stop().await;
    charge.ended(&network).await;
    assert!(newcomer.closed().await.is_some(), "its connection is lost: it has to connect anew");
    let edge = std::fs::read_to_string(cluster.log(Part::Edge(1)).await.expect("it is a part")).expect("a log");
    assert_eq!(edge.matches("the log has lost the charger's connection").count(), 1, "and no other's");
    let mut silent_charger = RawCharger::connect(&network, &silent).await;
    silent_charger.ask("StatusNotification", available).await;
    let stop = json!({"transactionId": lost_transaction, "meterStop": 500, "timestamp": "2026-03-01T10:40:00Z"});
    unknown.ask("StopTransaction", stop).await;
    let start = json!({"connectorId": 1, "idTag": "ANEW", "meterStart": 500, "timestamp": "2026-03-01T10:41:00Z"});
    let anew = unknown.ask("StartTransaction", start).await["transactionId"].as_i64().expect("a number");
    assert!(anew > lost_transaction, "{anew} was given out before");

    let end = relayed(&cluster).await;
    let log = Log::open(&cluster.postgres_url(cluster.primary().await).await.expect("it is a part")).await;
    let events = log.events().await;
    is_dense_and_ordered(&events);
    let brokers = cluster.kafka_brokers().expect("there is Kafka").to_owned();
    let topic = tokio::task::spawn_blocking(move || read(&brokers)).await.expect("it can be read");
    the_topic_has_it(&topic, &events, head, lost, lost_upto);
    log.views_equal_a_fresh_fold().await;
    log.close().await;
    println!("{end} events, of which {} were lost", lost_upto - head);
    cluster.stop().await.expect("it stops");
}

/// A consumer by the rule has what the log has: all that is new, fillers too, and nothing else above what is shared.
/// `lost`: up to there the events that were lost had been acknowledged by Kafka; of later ones a watermark may have told alone.
fn the_topic_has_it(topic: &Topic, events: &[RecordedEvent], head: i64, lost: i64, lost_upto: i64) {
    let at = |position: i64| &events[usize::try_from(position - 1).expect("in range")];
    let is_filler = |event: &&RecordedEvent| event.event_type == "PositionLost";
    let fillers: Vec<_> = events.iter().filter(is_filler).map(|event| event.position.0).collect();
    assert_eq!(fillers, (head + 1..=lost_upto).collect::<Vec<_>>());
    assert_eq!(at(lost_upto + 1).event_type, "GenerationBegan");
    for position in fillers {
        let of: Vec<_> = topic.records.iter().filter(|record| record.position.0 == position).collect();
        let filler = at(position);
        assert!(of.iter().any(|record| record.event_id == filler.event_id), "{position}");
        let lost_one = of.iter().any(|record| record.event_id != filler.event_id);
        assert!(lost_one || position > lost, "the lost event stands there: {position}, of {lost} and {lost_upto}");
    }
    let taken = topic.as_the_log(head, 2);
    for event in events {
        let has = taken.get(&event.position).map(|taken| (taken.event_id, taken.payload_hash));
        assert_eq!(has, Some((event.event_id, event.payload_hash)), "{} by the rule", event.position);
    }
    for (position, event) in &taken {
        assert_eq!(event.event_id, at(position.0).event_id, "{position} is no other event");
    }
}
