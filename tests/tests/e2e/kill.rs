//! The whole program is killed again and again while a town charges, and nothing that was acknowledged is lost.
//!
//! `COULOMB_TEST_SEED` replays a run as far as it can be replayed, `COULOMB_TEST_KILLS` sets how often it is killed.

use std::path::Path;
use std::process::Command;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tests::log::Log;
use tests::watched::Watched;
use tests::{Network, eventually, logs, passable, up};

const KILLS: u32 = 20;
const CHARGERS: usize = 10;
const RESIDENTS: usize = 8;
/// How many acknowledged messages there are between two kills.
const MESSAGES: std::ops::Range<usize> = 5..120;

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_program_is_killed() {
    let seed = from_environment("COULOMB_TEST_SEED").unwrap_or_else(rand::random);
    let kills = from_environment("COULOMB_TEST_KILLS").unwrap_or(KILLS);
    println!("COULOMB_TEST_SEED={seed}");
    let mut rng = SmallRng::seed_from_u64(seed);

    let parent = passable();
    let data_dir = parent.path().join("data");
    let (builder, http, ocpp) = up(&["--data-dir", data_dir.to_str().expect("it is text")], logs("kill"));
    let builder = builder.env("COULOMB_START_DEADLINE", "5");
    let mut program = builder.start().await;
    let network = Network::at(http, ocpp, &Network::private_database(&data_dir));
    let mut watched = Watched::new(&network, CHARGERS, RESIDENTS, seed).await;
    let journal = watched.journal.clone();

    for kill in 1..=kills {
        let then = journal.len() + rng.random_range(MESSAGES);
        eventually("messages", || async { (journal.len() >= then).then_some(()) }).await;
        // Half of the time the database goes with it, as when the machine does.
        if rng.random() {
            kill_postgres(&data_dir);
        }
        program.kill();
        program = builder.start().await;
        println!("kill {kill} of {kills}, after {} acknowledged messages", journal.len());
        let log = Log::open(&Network::private_database(&data_dir)).await;
        watched.is_recorded(&log).await;
        log.close().await;
        watched.is_followed().await;
    }

    watched.comes_to_rest(&Network::private_database(&data_dir)).await;
    program.stop();
}

fn kill_postgres(data_dir: &Path) {
    let pid = std::fs::read_to_string(data_dir.join("postgres/data/postmaster.pid")).expect("Postgres runs");
    let pid = pid.lines().next().expect("it has a pid").to_owned();
    let sent = Command::new("kill").args(["-KILL", &pid]).status().expect("kill runs");
    assert!(sent.success(), "Postgres was gone before it was killed");
}
