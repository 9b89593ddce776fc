//! `coulomb projections rebuild` is killed at random moments, and goes on where it was.
//!
//! `COULOMB_TEST_SEED` replays the moments.

use std::process::Stdio;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use sqlx::PgPool;
use tests::{MASTER_KEY, Network, binary, eventually, logs};
use tokio::process::Command;

/// So many that a build is committed many times on its way.
const CHARGE_POINTS: i64 = 60_000;
const KILLS: u32 = 5;
/// After the start of the process, or after a commit of what it reads. A fast machine builds all of it in two seconds.
const MOMENTS_MS: std::ops::Range<u64> = 0..200;
const FIRST_COMMIT: Duration = Duration::from_secs(10);

fn rebuild(database_url: &str) -> Command {
    let mut command = Command::new(binary::coulomb());
    command
        .args(["projections", "rebuild", "charge_points", "--tasks", "2", "--json"])
        .kill_on_drop(true)
        .stdout(Stdio::piped());
    command.env("DATABASE_URL", database_url).env("COULOMB_MASTER_KEY", MASTER_KEY);
    command
}

/// Waits until a build that goes on has committed more than it has now, or [`FIRST_COMMIT`].
async fn commits(pool: &PgPool) {
    let read = async || -> i64 {
        let sum = sqlx::query_scalar("SELECT coalesce(sum(position), 0)::bigint FROM views.build_progress");
        sum.fetch_one(pool).await.expect("it is known")
    };
    let was = read().await;
    let committed = async {
        while read().await <= was {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    _ = tokio::time::timeout(FIRST_COMMIT, committed).await;
}

#[tokio::test]
async fn a_rebuild_that_is_killed_again_and_again_ends_with_the_same_rows() {
    let seed = std::env::var("COULOMB_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("COULOMB_TEST_SEED={seed}");
    let mut rng = SmallRng::seed_from_u64(seed);

    let database = embedded_postgres::testing::database(&sqlx::migrate::Migrator::DEFAULT).await;
    let (_, program) = Network::start_on(database.url(), logs("killed-rebuild"), &[]).await;
    program.stop();
    let pool = database.pool();
    let registered = include_str!("../../../schema/golden/ChargePoint/ChargePointRegistered.v1.json");
    let reported = include_str!("../../../schema/golden/ChargePoint/ConnectorStatusReported.v1.json");
    let filled = sqlx::query_scalar(include_str!("killed_rebuild.sql")).bind(CHARGE_POINTS);
    let head: i64 = filled.bind(registered).bind(reported).fetch_one(pool).await.expect("they are added");
    // The live one serves and goes on meanwhile.
    let (network, _program) = Network::start_on(database.url(), logs("killed-rebuild"), &[]).await;
    let at = async || -> i64 {
        sqlx::query_scalar("SELECT position FROM views.reached()").fetch_one(pool).await.expect("it is known")
    };
    eventually("the live rows", || async { (at().await >= head).then_some(()) }).await;

    let (mut kills, mut on_the_way) = (0, 0);
    while kills < KILLS {
        let mut rebuilding = rebuild(database.url()).spawn().expect("it runs");
        // The first one in any case: chance alone may leave out all of them.
        if kills == 0 || rng.random_bool(0.7) {
            commits(pool).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(MOMENTS_MS))).await;
        rebuilding.kill().await.expect("it is ours");
        network.charger().await;
        let build = "SELECT b.state, coalesce((SELECT max(p.position) FROM views.build_progress p WHERE p.build_id = b.build_id), 0) \
                     FROM views.builds b WHERE b.model = 'charge_points' AND b.state <> 'live' AND b.state <> 'dropped'";
        let build: Option<(String, i64)> = sqlx::query_as(build).fetch_optional(pool).await.expect("it is known");
        match build {
            Some((state, _)) if state == "joined" => panic!("it had ended: there are too few charge points"),
            Some((_, position)) => on_the_way += i32::from(position > 0),
            None => {}
        }
        kills += 1;
    }
    assert!(on_the_way > 0, "seed {seed}: it was never killed after a commit");

    // The server may need a moment to see that the last of them is gone.
    let made = eventually("the build", || async {
        let output = rebuild(database.url()).output().await.expect("it runs");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    });
    let made = made.await;
    let joined: Value = serde_json::from_str(made.lines().last().expect("it says so")).expect("it is JSON");
    assert_eq!((&joined["stage"], &joined["resumed"]), (&"joined".into(), &true.into()), "seed {seed}: {joined}");
    let rows = CHARGE_POINTS + i64::from(KILLS);
    let compared = &joined["compared"];
    assert_eq!(
        [&compared["live_rows"], &compared["shadow_rows"], &compared["changed"]],
        [rows, rows, 0],
        "seed {seed}: {joined}"
    );
}
