//! Pages of one list, of which each may be answered by another database. A test's replica is whichever of several it says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::id::SessionId;
use domain::session::SessionState;
use serde_json::{Value, json};

use crate::support::{Point, World, charging};

const STALENESS_POSITIONS: i64 = 1_000;

/// The cursor with something else in it.
fn changed(cursor: &Value, change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> String {
    let text = URL_SAFE_NO_PAD.decode(cursor.as_str().expect("more")).expect("base64");
    let mut written: serde_json::Map<String, Value> = serde_json::from_slice(&text).expect("JSON");
    change(&mut written);
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&written).expect("JSON"))
}

fn ids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().expect("a page");
    items.iter().map(|item| item["session_id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn the_next_page_contains_what_the_page_before_did() {
    let world = World::with_replica(STALENESS_POSITIONS).await;
    let point = Point::new("CP1");
    let sessions = [(); 4].map(|()| SessionId::generate());
    let of = |n: usize, state| charging(sessions[n], &point, world.driver, state);
    let mut rows = vec![(1_001, point.row())];
    for n in 0..4 {
        rows.push((1_002 + n as i64, of(n, if n == 0 { SessionState::Requested } else { SessionState::Active })));
    }
    // The oldest is the last to become active.
    let newest = (1_010, of(0, SessionState::Active));
    world.replicate(&rows).await;
    world.change(rows.into_iter().chain([newest]).collect()).await;
    world.reached(1_010).await;
    let token = world.driver_token().await;
    let text = |n: usize| sessions[n].to_string();
    let list = "/api/sessions?state=active&limit=2";
    let get = async |more: &str| {
        let (status, page) = world.get(&token, &format!("{list}{more}")).await;
        assert_eq!(status, 200, "{page}");
        page
    };
    replica_answers_again(&world, &token, 1_005).await;
    let behind = get("").await;
    assert_eq!((&behind["position"], ids(&behind)), (&json!(1_005), vec![&*text(3), &text(2)]), "the replica answers");

    let first = get("&min_position=1010").await;
    assert_eq!(first["position"], 1_010, "the primary answers");
    replica_answers_again(&world, &token, 1_005).await;
    let second = get(&format!("&cursor={}", first["next"].as_str().expect("more"))).await;
    assert_eq!((&second["position"], ids(&second)), (&json!(1_010), vec![&*text(1), &text(0)]));

    // Cursors that were given before they said it, and what nobody was given.
    let cursors = [
        changed(&first["next"], |written| {
            written.remove("seen").expect("it says what the page contained");
        }),
        changed(&first["next"], |written| written["seen"] = json!([1, 5_000_000])),
        changed(&first["next"], |written| written["seen"] = json!([77, 1_010])),
        changed(&first["next"], |written| written["seen"] = json!([0, 1_010])),
    ];
    replica_answers_again(&world, &token, 1_005).await;
    for cursor in cursors {
        let page = get(&format!("&cursor={cursor}")).await;
        assert_eq!((&page["position"], ids(&page)), (&json!(1_005), vec![&*text(1)]), "as the replica has it");
    }
}

/// One that was too far behind is left alone for a moment.
async fn replica_answers_again(world: &World, token: &str, position: i64) {
    while world.get(token, "/api/sessions?limit=1").await.1["position"] != position {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_page_of_chargers_contains_what_another_process_has_shown() {
    let world = World::with_replica(STALENESS_POSITIONS).await;
    let names = ["CP1", "CP2", "CP3"];
    let rows: Vec<_> = names.iter().zip(1_001..).map(|(name, position)| (position, Point::new(name).row())).collect();
    world.replicate(&rows).await;
    world.change(rows).await;
    world.reached(1_003).await;
    // The tables go on, and this process has not been told yet.
    let point = Point::new("CP9");
    let newer = [(1_020, charging(SessionId::generate(), &point, world.driver, SessionState::Active))];
    world.log_is_at(1_020).await;
    world.write(&newer).await;
    let token = world.driver_token().await;
    let first = world.get(&token, "/api/chargers?limit=2").await.1;
    let seen = changed(&first["next"], |written| written["seen"] = json!([1, 1_020]));
    let second = world.get(&token, &format!("/api/chargers?cursor={seen}")).await.1;
    assert_eq!((&second["position"], &second["items"][0]["charger_id"]), (&json!(1_020), &json!("CP3")));
}

/// A position that no log has would leave all others without the replica.
#[tokio::test]
async fn a_position_above_the_log_does_not_silence_the_replica() {
    let world = World::with_replica(STALENESS_POSITIONS).await;
    world.change(vec![(1_010, Point::new("CP1").row())]).await;
    world.reached(1_010).await;
    let token = world.driver_token().await;
    replica_answers_again(&world, &token, 1_000).await;
    for _ in 0..2 {
        let page = world.get(&token, "/api/sessions?min_position=5000000").await.1;
        assert_eq!(page["position"], 1_000, "the replica answers");
    }
}

/// It may answer, and is still behind by what this process has and it has not.
#[tokio::test]
async fn it_is_told_how_far_a_replica_is_behind_that_answers() {
    let world = World::with_replica(STALENESS_POSITIONS).await;
    world.change(vec![(1_907, Point::new("CP1").row())]).await;
    world.reached(1_907).await;
    let token = world.driver_token().await;
    let told = async {
        // Other tests of this process have replicas, too, and there is one gauge.
        while !world.metrics().await.lines().any(|line| line == "coulomb_replica_behind_positions 907") {
            replica_answers_again(&world, &token, 1_000).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), told).await.expect("the gauge says 907");
}
