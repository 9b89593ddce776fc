//! `coulomb projections`, on a running platform and on one that has stopped: a read model is built anew, compared, swapped,
//! rolled back and dropped.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tests::{Network, binary, logs, passable, up};

/// Carries out a command line on the data directory.
async fn coulomb(data_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(binary::coulomb());
    command.arg("--data-dir").arg(data_dir).args(arguments).env_remove("DATABASE_URL").kill_on_drop(true);
    command.output().await.expect("the program runs")
}

/// The JSON lines of a command that ends with a code.
async fn said(data_dir: &Path, arguments: &[&str], code: i32) -> Vec<Value> {
    let Output { status, stdout, stderr } = coulomb(data_dir, arguments).await;
    let text = String::from_utf8_lossy(&stdout).into_owned();
    assert_eq!(status.code(), Some(code), "{arguments:?}: {text}{}", String::from_utf8_lossy(&stderr));
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// What a command says that is refused.
async fn refused(data_dir: &Path, arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = coulomb(data_dir, arguments).await;
    assert!(!status.success(), "{arguments:?}");
    String::from_utf8_lossy(&stderr).into_owned()
}

async fn builds(data_dir: &Path, model: &str) -> Vec<(i64, String)> {
    let lines = said(data_dir, &["projections", "list", "--json"], 0).await;
    let of_model = lines.iter().filter(|build| build["model"] == model);
    let known = |build: &Value| (build["number"].as_i64().unwrap(), build["state"].as_str().unwrap().to_owned());
    of_model.map(known).collect()
}

fn are(builds: &[(i64, String)], expected: &[(i64, &str)]) {
    assert_eq!(builds.iter().map(|(number, state)| (*number, state.as_str())).collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_is_rebuilt_swapped_and_rolled_back_by_commands() {
    let parent = passable();
    let data_dir = parent.path().join("data");
    let nothing = refused(&data_dir, &["projections", "list"]).await;
    assert!(nothing.contains("there is no database in") && nothing.contains("--data-dir"), "{nothing}");

    let (builder, http, ocpp) = up(&["--data-dir", data_dir.to_str().expect("it is text")], logs("rebuild"));
    let program = builder.start().await;
    let network = Network::at(http, ocpp, &Network::private_database(&data_dir));
    network.plan().await;
    for _ in 0..5 {
        network.charger().await;
    }
    let operator = network.operator().await;
    let before = network.query(&operator, "/api/chargers").await.expect("chargers can be listed");

    let unknown = refused(&data_dir, &["projections", "rebuild", "chargers"]).await;
    assert!(unknown.contains("there is no such read model; there are charge_points, sessions"), "{unknown}");
    for command in ["compare", "swap", "rollback", "drop"] {
        let none = refused(&data_dir, &["projections", command, "charge_points"]).await;
        assert!(none.contains("charge_points has no build beside the live one: `rebuild` makes one"), "{none}");
    }
    are(&builds(&data_dir, "charge_points").await, &[(1, "live")]);

    let made = said(&data_dir, &["projections", "rebuild", "charge_points", "--json"], 0).await;
    let joined = made.last().expect("it says so");
    assert_eq!((&joined["stage"], &joined["build"]), (&"joined".into(), &2.into()), "{joined}");
    assert_eq!((&joined["compared"]["changed"], &joined["compared"]["live_rows"]), (&0.into(), &5.into()), "{joined}");
    let again = refused(&data_dir, &["projections", "rebuild", "charge_points"]).await;
    assert!(again.contains("build 2 of charge_points is made and kept current"), "{again}");

    // It is kept current by the running program.
    network.charger().await;
    let after = tests::eventually("the new charger", || async {
        let chargers = network.query(&operator, "/api/chargers").await.expect("chargers can be listed");
        (chargers["items"].as_array()?.len() == 6).then_some(chargers)
    });
    let after = after.await;
    assert_ne!(before, after);
    let compared = said(&data_dir, &["projections", "compare", "charge_points", "--json"], 0).await;
    assert_eq!((&compared[0]["live_rows"], &compared[0]["shadow_rows"]), (&6.into(), &6.into()));

    let swapped = said(&data_dir, &["projections", "swap", "charge_points", "--json"], 0).await;
    assert_eq!((&swapped[0]["from"], &swapped[0]["to"], &swapped[0]["rows"]), (&1.into(), &2.into(), &0.into()));
    are(&builds(&data_dir, "charge_points").await, &[(1, "joined"), (2, "live")]);
    assert_eq!(network.query(&operator, "/api/chargers").await.expect("they serve on")["items"], after["items"]);
    network.charger().await;

    // And the same when nothing runs: the database is started for each command.
    program.stop();
    let back = said(&data_dir, &["projections", "rollback", "charge_points", "--json"], 0).await;
    assert_eq!((&back[0]["from"], &back[0]["to"]), (&2.into(), &1.into()));
    let dropped = said(&data_dir, &["projections", "drop", "charge_points", "--json"], 0).await;
    assert_eq!(dropped[0]["number"], 2);
    are(&builds(&data_dir, "charge_points").await, &[(1, "live")]);

    // A row that something else has spoiled is found by a rebuild, shown, and put right by a swap.
    let program = builder.start().await;
    let pool = sqlx::PgPool::connect(&Network::private_database(&data_dir)).await.expect("it runs");
    let spoil = "UPDATE views.charge_points SET row = jsonb_set(row, '{charge_point,online}', 'true') \
                 WHERE key = (SELECT min(key) FROM views.charge_points) RETURNING key";
    let key: String = sqlx::query_scalar(spoil).fetch_one(&pool).await.expect("a row");
    said(&data_dir, &["projections", "rebuild", "charge_points", "--json"], 0).await;
    let differs = said(&data_dir, &["projections", "compare", "charge_points", "--json"], 3).await;
    let sample = &differs[0]["sample"][0];
    assert_eq!((&differs[0]["changed"], &sample["key"]), (&1.into(), &key.clone().into()));
    assert_eq!(sample["parts"][0]["path"], "charge_point.online");
    assert!(sample["event"]["stream"].as_str().is_some_and(|stream| stream.ends_with(&key)), "{sample}");
    let text = coulomb(&data_dir, &["projections", "compare", "charge_points"]).await;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("1 rows differ") && text.contains("charge_point.online: true -> false"), "{text}");
    let swapped = said(&data_dir, &["projections", "swap", "charge_points", "--json"], 0).await;
    assert_eq!(swapped[0]["rows"], 1);
    let online = "SELECT count(*) FROM views.charge_points WHERE (row -> 'charge_point' ->> 'online')::boolean";
    let online: i64 = sqlx::query_scalar(online).fetch_one(&pool).await.expect("a count");
    assert_eq!(online, 0);
    program.stop();
}
