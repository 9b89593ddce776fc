use application::auth::Role;
use domain::id::{CommandId, Epoch, SessionId, SiteId};
use domain::outlet::OutletStatus;
use domain::session::SessionState;
use domain::station_command::CommandState;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Point, World, charging, command, command_at, site};

fn ids<'v>(page: &'v Value, field: &str) -> Vec<&'v str> {
    let items = page["items"].as_array().expect("a page");
    items.iter().map(|item| item[field].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn chargers_are_paged_and_filtered() {
    let world = World::new().await;
    let site_id = SiteId::generate();
    let mut rows = vec![(1_001, site(site_id, "Harbour", None))];
    for (n, name) in ["CP1", "CP2", "CP3", "CP4", "CP5"].into_iter().enumerate() {
        let status = if n == 2 { OutletStatus::Faulted } else { OutletStatus::Available };
        let site_id = (n == 4).then_some(site_id);
        rows.push((1_002 + n as i64, Point { site_id, status, ..Point::new(name) }.row()));
    }
    world.change(rows).await;
    let token = world.driver_token().await;
    let get = async |path: &str| world.get(&token, path).await.1;
    let first = get("/api/chargers?limit=2&min_position=1006").await;
    assert_eq!((ids(&first, "charger_id"), &first["position"]), (vec!["CP1", "CP2"], &1_006.into()));
    let next = first["next"].as_str().expect("more");
    let second = get(&format!("/api/chargers?limit=3&cursor={next}")).await;
    assert_eq!((ids(&second, "charger_id"), &second["next"]), (vec!["CP3", "CP4", "CP5"], &json!(null)));
    assert_eq!(ids(&get("/api/chargers?status=faulted").await, "charger_id"), ["CP3"]);
    assert_eq!(ids(&get("/api/chargers?q=harb").await, "charger_id"), ["CP5"]);
    assert_eq!(ids(&get(&format!("/api/chargers?site_id={site_id}")).await, "charger_id"), ["CP5"]);
    let available = get("/api/chargers?status=available,charging&limit=2").await;
    let next = available["next"].as_str().expect("more");
    let rest = get(&format!("/api/chargers?status=available,charging&limit=2&cursor={next}")).await;
    assert_eq!((ids(&rest, "charger_id"), &rest["next"]), (vec!["CP4", "CP5"], &json!(null)));
    let status = get("/api/chargers/CP3/status").await;
    assert_eq!((&status["online"], &status["status"]), (&true.into(), &"faulted".into()));
    assert_eq!(status["connectors"][0]["status"], "faulted");
}

#[tokio::test]
async fn a_charger_that_is_out_of_order_as_a_whole_is_not_available() {
    use OutletStatus::{Available, Faulted, Unavailable};
    let world = World::new().await;
    let table = [
        ("CP1", None, "available"),
        ("CP2", Some((Faulted, Epoch(1))), "faulted"),
        ("CP3", Some((Unavailable, Epoch(1))), "unavailable"),
        ("CP4", Some((Available, Epoch(1))), "available"),
        // What it said over a connection from before is not known to hold.
        ("CP5", Some((Faulted, Epoch(0))), "available"),
    ];
    let rows = table.iter().enumerate().map(|(n, (name, own, _))| {
        let point = Point { own: *own, ..Point::new(name) };
        (1_001 + n as i64, point.row())
    });
    world.change(rows.collect()).await;
    world.reached(1_005).await;
    let token = world.driver_token().await;
    for (name, _, expected) in table {
        let status = world.get(&token, &format!("/api/chargers/{name}/status")).await.1;
        assert_eq!(status["status"], expected, "{name}");
        assert_eq!(status["connectors"][0]["status"], "available", "{name}");
    }
    let available = world.get(&token, "/api/chargers?status=available").await.1;
    assert_eq!(ids(&available, "charger_id"), ["CP1", "CP4", "CP5"]);
}

#[tokio::test]
async fn drivers_see_their_own_sessions_and_commands() {
    let world = World::new().await;
    let (point, other) = (Point::new("CP1"), Uuid::now_v7());
    let sessions = [(); 4].map(|()| SessionId::generate());
    let commands = [CommandId::generate(), CommandId::generate()];
    let states = [SessionState::Completed, SessionState::Active, SessionState::Failed, SessionState::Active];
    let mut rows = vec![(1_001, point.row())];
    for (n, (id, state)) in sessions.into_iter().zip(states).enumerate() {
        let driver = if n == 3 { other } else { world.driver };
        rows.push((1_002 + n as i64, charging(id, &point, driver, state)));
    }
    rows.push((1_006, command(commands[0], &point, world.driver, CommandState::Accepted)));
    rows.push((1_007, command(commands[1], &point, other, CommandState::Done)));
    world.change(rows).await;
    let ours = world.driver_token().await;
    let operators = world.operator_token().await;
    let text = |n: usize| sessions[n].to_string();

    let page = world.get(&ours, "/api/sessions?min_position=1007").await.1;
    assert_eq!(ids(&page, "session_id"), [&text(2), &text(1), &text(0)], "the newest first");
    let page = world.get(&ours, "/api/sessions?limit=2").await.1;
    let next = page["next"].as_str().expect("more");
    assert_eq!(ids(&world.get(&ours, &format!("/api/sessions?cursor={next}")).await.1, "session_id"), [&text(0)]);
    assert_eq!(ids(&world.get(&ours, "/api/sessions?state=active,failed").await.1, "session_id"), [&text(2), &text(1)]);
    assert_eq!(ids(&world.get(&ours, "/api/sessions/status").await.1, "session_id"), [&text(1)]);
    assert_eq!(ids(&world.get(&ours, "/api/sessions?from=2100-01-01T00:00:00Z").await.1, "session_id"), [""; 0]);
    assert_eq!(ids(&world.get(&ours, "/api/sessions?to=2000-01-01T00:00:00Z").await.1, "session_id"), [""; 0]);
    assert_eq!(world.get(&ours, &format!("/api/sessions?driver_id={other}")).await.0, 403);
    let theirs = world.get(&operators, &format!("/api/sessions?driver_id={other}&charger_id=CP1")).await.1;
    assert_eq!(ids(&theirs, "session_id"), [&text(3)]);

    assert_eq!(world.get(&ours, &format!("/api/commands/{}", commands[0])).await.1["state"], "accepted");
    assert_eq!(
        world.get(&ours, &format!("/api/commands/{}", commands[1])).await.1["type"],
        "/problems/command-unknown"
    );
    assert_eq!(world.get(&ours, "/api/commands").await.0, 403);
    let done = world.get(&operators, "/api/chargers/CP1/commands?state=done").await.1;
    assert_eq!(ids(&done, "command_id"), [commands[1].to_string()]);
    assert_eq!(world.get(&ours, &format!("/api/sessions/{}/meter-values", sessions[3])).await.0, 404);
    assert_eq!(world.get(&ours, &format!("/api/sessions/{}/meter-values", sessions[0])).await.1["items"], json!([]));
}

/// Ids of commands are what clients choose. Times are written with as few digits as they need.
#[tokio::test]
async fn commands_are_listed_by_the_time_of_their_request() {
    let world = World::new().await;
    let (point, other) = (Point::new("CP1"), Point::new("CP2"));
    let fractions =
        ["00", "00.000000001", "00.000001", "00.001", "00.001000001", "00.1", "00.100001", "01", "01", "10"];
    let ids_of_time: Vec<_> = fractions.iter().map(|_| CommandId(Uuid::new_v4())).collect();
    let mut rows = vec![(1_001, point.row()), (1_002, other.row())];
    for (n, (seconds, id)) in fractions.into_iter().zip(&ids_of_time).enumerate() {
        let at = format!("2026-03-01T08:15:{seconds}Z").parse().expect("a time");
        // Those that were asked for first have changed last.
        rows.push((1_100 - n as i64, command_at(*id, &point, world.driver, CommandState::Done, at)));
    }
    rows.push((1_101, command(CommandId::generate(), &other, world.driver, CommandState::Done)));
    world.change(rows).await;
    let token = world.operator_token().await;
    let mut expected: Vec<_> = fractions.into_iter().zip(ids_of_time.iter().map(ToString::to_string)).collect();
    expected.sort_by(|a, b| b.cmp(a));

    for (path, others) in [("/api/chargers/CP1/commands", 0), ("/api/commands", 1)] {
        let (mut listed, mut cursor) = (vec![], String::new());
        loop {
            let page = world.get(&token, &format!("{path}?limit=3&min_position=1101{cursor}")).await.1;
            listed.extend(ids(&page, "command_id").into_iter().map(str::to_owned));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(listed.len(), expected.len() + others, "{path}");
        listed.retain(|id| expected.iter().any(|(_, ours)| ours == id));
        assert_eq!(listed, expected.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>(), "{path}");
    }
}

/// In another list, or with other filters, a cursor would skip what is before it there: an empty page would look like the
/// end.
#[tokio::test]
async fn a_cursor_is_refused_in_another_list_and_with_other_filters() {
    let world = World::new().await;
    let point = Point::new("CP1");
    let sessions = [(); 3].map(|()| SessionId::generate());
    let mut rows = vec![(1_001, point.row()), (1_002, Point::new("CP2").row()), (1_003, Point::new("CP3").row())];
    for (n, id) in sessions.into_iter().enumerate() {
        rows.push((1_004 + n as i64, charging(id, &point, world.driver, SessionState::Completed)));
        let command_id = CommandId::generate();
        rows.push((1_007 + n as i64, command(command_id, &point, world.driver, CommandState::Done)));
    }
    world.change(rows).await;
    let token = world.operator_token().await;
    let filtered = "/api/sessions?state=completed,failed&charger_id=CP1";
    let lists = ["/api/chargers?", "/api/sessions?", filtered, "/api/commands?", "/api/chargers/CP1/commands?"];
    for of in lists {
        let first = world.get(&token, &format!("{of}&limit=1&min_position=1009")).await.1;
        let next = first["next"].as_str().unwrap_or_else(|| panic!("{of}: {first}"));
        for list in lists.into_iter().chain(["/api/sites?", "/api/chargers?q=CP&", "/api/sessions?state=completed"]) {
            // With another limit it is the same list.
            let (status, body) = world.get(&token, &format!("{list}&limit=2&cursor={next}")).await;
            match list == of {
                true => assert_eq!((status, body["items"].as_array().map(Vec::len)), (200, Some(2)), "{of}: {body}"),
                false => assert_eq!(
                    (status, &body["type"], &body["field"]),
                    (400, &json!("/problems/invalid-request"), &json!("cursor")),
                    "{of}, then {list}: {body}"
                ),
            }
        }
        let (status, problem) =
            world.get(&token, &format!("/api/sessions/{}/meter-values?cursor={next}", sessions[0])).await;
        assert_eq!((status, &problem["field"]), (400, &json!("cursor")), "{of}");
    }
}

/// A parameter that is not known would be one that has no effect: a client that pages by a wrong name would never end.
#[tokio::test]
async fn parameters_that_are_not_known_are_refused_everywhere() {
    let world = World::new().await;
    let token = world.operator_token().await;
    let document = serde_json::to_value(realtime_api::openapi()).expect("JSON");
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        if !path.starts_with("/api/") {
            continue;
        }
        let path = path.replace("{charger_id}", "CP1").replace(['{', '}'], "");
        for name in ["next", "foo"] {
            let (status, problem) = world.get(&token, &format!("{path}?{name}=zzz")).await;
            assert_eq!((status, &problem["field"]), (400, &json!(name)), "{path}: {problem}");
        }
        asked += 1;
        // Of everything, as it is now.
        if path.ends_with("/export") {
            continue;
        }
        let parameters = item["get"]["parameters"].as_array().expect("parameters");
        let named = |name: &str| parameters.iter().find(|parameter| parameter["name"] == name);
        assert!(named("min_position").is_some_and(|found| found["description"].is_string()), "{path}");
        assert!(named("as_of").is_some_and(|found| found["description"].is_string()), "{path}");
        if named("limit").is_some() {
            assert!(named("cursor").is_some_and(|found| found["description"].is_string()), "{path}");
        }
    }
    assert_eq!(asked, 17);
}

#[tokio::test]
async fn what_is_asked_wrongly_names_the_field() {
    let world = World::new().await;
    let token = world.operator_token().await;
    for (path, status, field) in [
        ("/api/chargers?limit=0", 400, json!("limit")),
        ("/api/chargers?limit=many", 400, json!("limit")),
        ("/api/chargers?cursor=%3F", 400, json!("cursor")),
        ("/api/chargers?status=perfect", 400, json!("status")),
        ("/api/sessions?state=going", 400, json!("state")),
        ("/api/sessions?from=yesterday", 400, json!("from")),
        ("/api/sessions?driver_id=x", 400, json!("driver_id")),
        ("/api/sessions?min_position=-1", 400, json!("min_position")),
        ("/api/sessions?charger_id=nobody", 404, json!(null)),
        ("/api/chargers/nobody", 404, json!(null)),
        ("/api/sessions/x", 404, json!(null)),
        ("/api/me?min_position=5000", 503, json!(null)),
    ] {
        world.log_is_at(5_000).await;
        let (answered, problem) = world.get(&token, path).await;
        assert_eq!((answered, &problem["field"]), (status, &field), "{path}: {problem}");
    }
    assert_eq!(world.get("nonsense", "/api/me").await.1["type"], "/problems/unauthenticated");
}

#[tokio::test]
async fn every_answer_says_how_fresh_it_is() {
    let world = World::new().await;
    world.change(vec![(1_234, Point::new("CP1").row())]).await;
    let token = format!("Bearer {}", world.driver_token().await);
    let answer = world.get_raw("/api/chargers/CP1?min_position=1234", &[("Authorization", &token)]).await;
    assert_eq!(
        (&answer.headers()["coulomb-position"], &answer.headers()["coulomb-generation"]),
        (&"1234".parse().expect("a value"), &"1".parse().expect("a value"))
    );
    let me = world.get(&world.token(world.driver, Role::Driver).await, "/api/me").await.1;
    assert_eq!((&me["user_id"], &me["plan"]), (&json!(world.driver), &json!(null)));
    world.log_is_at(5_000).await;
    let late = world.get_raw("/api/me?min_position=5000", &[("Authorization", &token)]).await;
    assert!(late.headers().contains_key("retry-after"));
    // A position of a history that was lost never comes: what there is is answered at once.
    let asked = std::time::Instant::now();
    let lost = world.get_raw("/api/me?min_position=5001", &[("Authorization", &token)]).await;
    assert_eq!(lost.status().as_u16(), 200);
    assert!(asked.elapsed() < std::time::Duration::from_secs(3), "it is not waited for");
    let counted = world.metrics().await;
    let of =
        |line: &&str| line.starts_with("coulomb_realtime_positions_above_log_total") && line.contains("min_position");
    assert!(counted.lines().any(|line| of(&line)), "{counted}");
}

#[tokio::test]
async fn the_socket_has_its_document_beside_it() {
    let world = World::new().await;
    let answer = world.get_raw("/asyncapi.json", &[]).await;
    assert_eq!(answer.status().as_u16(), 200);
    let document: Value = answer.json().await.expect("JSON");
    assert_eq!((&document["asyncapi"], &document["channels"]["socket"]["address"]), (&"3.0.0".into(), &"/ws".into()));
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let world = World::new().await;
    let page = world.get_raw("/docs", &[]).await;
    assert!(page.headers()["content-security-policy"].to_str().expect("text").starts_with("default-src 'none'"));
    let html = page.text().await.expect("text");
    assert!(html.contains("openapi.json") && !html.contains("http://") && !html.contains("https://"));
    let document = serde_json::to_value(realtime_api::openapi()).expect("JSON");
    assert!(document["paths"]["/api/sessions/{session_id}/meter-values"]["get"].is_object());
    assert!(document["components"]["schemas"]["Charger"].is_object());
}
