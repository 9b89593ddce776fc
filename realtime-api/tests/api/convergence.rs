//! Whatever changes while clients come, go and come back: what a follower holds ends equal to what GET answers, and for one
//! key on one connection positions never go back.

use std::collections::HashMap;
use std::sync::Arc;

use domain::id::{SessionId, SiteId, TariffId};
use domain::outlet::OutletStatus;
use domain::session::SessionState;
use schema::view::Row;
use serde_json::{Value, json};

use crate::support::{Point, World, charging, site, tariff};

const CHARGERS: [&str; 4] = ["CP1", "CP2", "CP3", "CP4"];
const CHANGES: i64 = 400;
const FOLLOWERS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_end_with_what_the_queries_say() {
    let world = Arc::new(World::new().await);
    let points: Vec<_> = CHARGERS.map(|name| Point { site_id: Some(SiteId::default()), ..Point::new(name) }).into();
    let rows = points.iter().enumerate().map(|(n, point)| (1_001 + n as i64, point.row())).collect();
    world.change(rows).await;
    world.reached(1_004).await;
    let followers: Vec<_> = (0..FOLLOWERS).map(|n| tokio::spawn(follow(world.clone(), n))).collect();

    let sessions: Vec<_> = points.iter().map(|_| SessionId::generate()).collect();
    let mut random = Random(7);
    for position in 1_005..1_005 + CHANGES {
        let row = change(&mut random, &world, &points, &sessions);
        world.change(vec![(position, row)]).await;
    }
    let last = 1_004 + CHANGES;
    world.reached(last).await;

    let token = world.operator_token().await;
    let chargers = world.get(&token, "/api/chargers").await.1;
    let open = world.get(&token, "/api/sessions?state=requested,active,stopping").await.1;
    let expected: HashMap<String, Value> = chargers["items"]
        .as_array()
        .expect("chargers")
        .iter()
        .map(|charger| (format!("charger:{}", charger["charger_id"].as_str().expect("an id")), charger.clone()))
        .chain(open["items"].as_array().expect("sessions").iter().map(keyed_session))
        .collect();
    for follower in followers {
        let held = follower.await.expect("no panic");
        assert_eq!(held, expected);
    }
}

fn change(random: &mut Random, world: &World, points: &[Point], sessions: &[SessionId]) -> Row {
    let n = random.below(points.len() as u64) as usize;
    match random.below(10) {
        0 => site(SiteId::default(), ["North", "South"][random.below(2) as usize], Some(TariffId::default())),
        1 => tariff(TariffId::default(), ["0.49", "0.59"][random.below(2) as usize]),
        2..=4 => {
            let states =
                [SessionState::Requested, SessionState::Active, SessionState::Stopping, SessionState::Completed];
            charging(sessions[n], &points[n], world.driver, states[random.below(4) as usize])
        }
        _ => {
            let status = [OutletStatus::Available, OutletStatus::Charging, OutletStatus::Faulted];
            points[n].with(status[random.below(3) as usize]).row()
        }
    }
}

/// Follows the fleet over many connections, as a phone in a tunnel would. Answers what it holds in the end.
async fn follow(world: Arc<World>, seed: u64) -> HashMap<String, Value> {
    let mut random = Random(seed + 100);
    let mut held: HashMap<String, Value> = HashMap::new();
    let mut since = None;
    loop {
        let mut client = world.operator_socket().await;
        let mut seen: HashMap<String, i64> = HashMap::new();
        let subscribe =
            json!({"action": "subscribe", "topic": "fleet", "since": since, "generation": since.map(|_| 1)});
        client.say(subscribe).await;
        let messages = 1 + random.below(40);
        for _ in 0..messages {
            // Something comes for every message: at the least the answer to a ping.
            client.say(json!({"action": "ping"})).await;
            loop {
                let message = client.next().await;
                match message["type"].as_str().expect("a type") {
                    "pong" => break,
                    "resumed" => {}
                    "live" => since = message["upto"].as_i64(),
                    "snapshot" => {
                        held = members(&message["data"]);
                        seen = held.iter().map(|(key, value)| (key.clone(), position(value))).collect();
                        since = message["upto"].as_i64();
                    }
                    _ => {
                        take(&mut held, &mut seen, &message);
                        assert!(since <= message["upto"].as_i64(), "upto goes back: {message}");
                        since = message["upto"].as_i64();
                    }
                }
            }
            if since.is_some_and(|since| since == 1_004 + CHANGES) {
                return held;
            }
        }
        // What has been sent is not lost with the connection; what has not will come again.
    }
}

fn take(held: &mut HashMap<String, Value>, seen: &mut HashMap<String, i64>, message: &Value) {
    let key = message["key"].as_str().expect("a key").to_owned();
    let at = message["position"].as_i64().expect("a position");
    assert_eq!(message["data"]["position"].as_i64(), Some(at));
    let before = seen.insert(key.clone(), at);
    assert!(before.is_none_or(|before| before < at), "{key} goes from {before:?} to {at}");
    if held.get(&key).is_some_and(|held| position(held) >= at) {
        // The client's rule: only what is newer.
        assert_eq!(held[&key], message["data"], "the same position is the same state");
        return;
    }
    match message["removed"] == true {
        true => held.remove(&key),
        false => held.insert(key, message["data"].clone()),
    };
}

fn members(data: &Value) -> HashMap<String, Value> {
    let chargers = data["chargers"].as_array().expect("chargers").iter();
    let chargers = chargers.map(|one| (format!("charger:{}", one["charger_id"].as_str().expect("an id")), one.clone()));
    chargers.chain(data["sessions"].as_array().expect("sessions").iter().map(keyed_session)).collect()
}

fn keyed_session(session: &Value) -> (String, Value) {
    (format!("session:{}", session["session_id"].as_str().expect("an id")), session.clone())
}

fn position(resource: &Value) -> i64 {
    resource["position"].as_i64().expect("a position")
}

/// A small generator, so that a failure comes again (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
