//! A cluster whose parts are killed and frozen one after another while a town charges, and nothing is lost, twice, or shown
//! otherwise than it is.
//!
//! What happens to which part, and when, follows from a seed: `COULOMB_TEST_SEED` takes one again (what the rest of the machine
//! makes of it can't be repeated). `COULOMB_TEST_CHAOS_SECONDS` (120), `_CHARGERS` (200) and `_DRIVERS` (200) make another
//! run of it: ten minutes are 600. `_FAILOVERS=1` also lets the replica of Postgres take over now and then.

mod disturb;
mod staff;
mod topics;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use cluster::{Cluster, Options, Part};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use simulator::town::Pace;
use tests::log::Log;
use tests::watched::{Watched, WatchedConfig};
use tests::{Network, binary};

use disturb::Disturber;

/// For everybody to finish what they have begun, with whatever has to be said again before.
const REST_MAX: Duration = Duration::from_secs(300);

fn from_environment<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Charges that one can interrupt, and as many at a time as two cores bear.
fn pace() -> Pace {
    let seconds = Duration::from_secs;
    Pace {
        idle: seconds(10)..seconds(90),
        charge: seconds(5)..seconds(40),
        fumble: Duration::from_millis(200)..seconds(3),
        trouble: seconds(2)..seconds(8),
        outage: Duration::from_millis(500)..seconds(15),
        patience: seconds(60),
    }
}

async fn started(directory: PathBuf) -> Cluster {
    let operator = tests::operator();
    let options = Options {
        edges: 3,
        ephemeral: true,
        environment: vec![
            ("COULOMB_OPERATOR_EMAIL".to_owned(), operator.0.to_owned()),
            ("COULOMB_OPERATOR_PASSWORD".to_owned(), operator.1.to_owned()),
            // Who asks for a charge has so long to plug in.
            ("COULOMB_START_DEADLINE".to_owned(), "30".to_owned()),
            ("COULOMB_CALL_TIMEOUT".to_owned(), "15".to_owned()),
        ],
        ..Options::new(directory, binary::coulomb())
    };
    Cluster::launch_saying(options, |what| println!("{what}")).await.expect("the cluster starts")
}

fn port(address: &str) -> u16 {
    address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address ends with its port")
}

/// Of the Postgres itself that takes writes.
async fn primary_url(cluster: &Cluster) -> String {
    cluster.postgres_url(cluster.primary().await).await.expect("it is a part")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_is_twice_while_parts_are_killed_and_frozen() {
    let seed = from_environment("COULOMB_TEST_SEED", rand::random());
    let seconds = from_environment("COULOMB_TEST_CHAOS_SECONDS", 120);
    let (chargers, drivers) =
        (from_environment("COULOMB_TEST_CHAOS_CHARGERS", 200), from_environment("COULOMB_TEST_CHAOS_DRIVERS", 200));
    println!("COULOMB_TEST_SEED={seed}");
    let home = tests::passable();
    let cluster = started(home.path().join("cluster")).await;
    let network = Network::at(port(cluster.http()), port(cluster.ocpp()), &primary_url(&cluster).await);

    let letting_in = Instant::now();
    let config = WatchedConfig {
        chargers,
        residents: drivers,
        pace: pace(),
        sample_interval: Duration::from_secs(5),
        answer_wait: Duration::from_secs(10),
        long_outages: true,
        seed,
    };
    let mut watched = Watched::of(&network, config).await;
    println!("{chargers} chargers and {drivers} drivers after {:?}", letting_in.elapsed());
    let connected = |count: usize| count * 9 / 10;
    eventually_in(REST_MAX, "most chargers to be connected", async || {
        let settled = watched.town.chargers().iter().filter(|charger| charger.view().connected).count();
        settled >= connected(chargers)
    })
    .await;

    let failovers = from_environment("COULOMB_TEST_CHAOS_FAILOVERS", 0) > 0;
    let mut disturber = Disturber::new(&cluster, SmallRng::seed_from_u64(seed), failovers).await;
    let began = Instant::now();
    let disturbing = async {
        while began.elapsed() < Duration::from_secs(seconds) || !disturber.has_done_what_is_certain() {
            disturber.disturb().await;
            let elapsed_s = began.elapsed().as_secs_f64();
            println!("{elapsed_s:5.1} s, {} messages: {}", watched.journal.len(), disturber.last());
        }
    };
    let taken = AtomicU32::new(0);
    // The operator asks for things meanwhile: the same of the same charger, again and again.
    tokio::select! {
        () = disturbing => {}
        () = staff::asks(&watched, SmallRng::seed_from_u64(seed.wrapping_add(1)), &taken) => {}
    }
    disturber.is_over().await;
    println!("{}", disturber.summary());

    let resting = Instant::now();
    tokio::time::timeout(REST_MAX, watched.town.rest()).await.expect("everybody goes home");
    println!("everybody is at home after {:?}", resting.elapsed());
    let database_url = primary_url(&cluster).await;
    watched.comes_to_rest(&database_url).await;

    let log = Log::open(&database_url).await;
    let events = log.events().await;
    let brokers = cluster.kafka_brokers().expect("there is Kafka").to_owned();
    let personal = watched.personal_values();
    let compared = events.clone();
    let said = tokio::task::spawn_blocking(move || {
        let topics = topics::read(&brokers, &compared);
        topics.equal_the_log(&compared);
        topics.hold_none_of(&personal);
        topics.to_string()
    });
    println!("{}", said.await.expect("the topics are as they should be"));
    log.close().await;
    let (acknowledged, asked) = (watched.journal.acknowledged(), watched.journal.asked());
    staff::was_heard(&taken, &asked);
    let said = counted(acknowledged.iter().map(|message| message.action));
    let asked = counted(asked.iter().map(|asked| asked.action.as_str()));
    println!("{} events; acknowledged to chargers: {said}; asked of them: {asked}", events.len());
    for part in cluster.parts().await.into_iter().filter(|part| part.is_role()) {
        never_panicked(&cluster, part).await;
    }
    cluster.stop().await.expect("it stops");
}

/// How often each is there.
fn counted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts.into_iter().map(|(name, times)| format!("{name} {times}")).collect::<Vec<_>>().join(", ")
}

async fn never_panicked(cluster: &Cluster, part: Part) {
    let log = std::fs::read_to_string(cluster.log(part).await.expect("it is a part")).unwrap_or_default();
    let panic = log.lines().find(|line| line.contains("panicked at"));
    assert_eq!(panic, None, "{part}");
}

async fn eventually_in(wait_max: Duration, what: &str, is: impl AsyncFn() -> bool) {
    let until = Instant::now() + wait_max;
    while !is().await {
        assert!(Instant::now() < until, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
