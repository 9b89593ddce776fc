//! Queries as of moments that have been: each is answered as it would have been answered then.

use application::auth::Role;
use chrono::{DateTime, Utc};
use domain::Event;
use domain::envelope::{Actor, Envelope};
use domain::event::AggregateType;
use domain::id::{DriverId, Sealed, TenantId, TokenId};
use domain::token::{TokenDetails, TokenEvent};
use event_store::{Append, Expected, PartitionSet, Write};
use read_models::fold_all;
use read_models::testing::Network;
use schema::log::{NewEvent, Position, RecordedEvent, StreamId};
use schema::view::{Model, Row, RowChange};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::World;

/// A world whose log is that of a random network. Nobody has folded it.
async fn grown(seed: u64, steps: usize) -> (World, Vec<RecordedEvent>) {
    let world = World::beginning_at(0, &[]).await;
    let mut network = Network::new(seed);
    for _ in 0..steps {
        let mut writes: Vec<Write> = vec![];
        for written in network.step() {
            match writes.iter_mut().find(|write| write.stream == written.stream) {
                Some(write) => write.events.extend(written.events),
                None => writes.push(Write {
                    stream: written.stream,
                    expected: Expected::Any,
                    events: written.events,
                    fence: None,
                }),
            }
        }
        append(&world, writes).await;
    }
    let log = world.application.store().read(Position::START, 10_000, PartitionSet::ALL).await.expect("read").events;
    (world, log)
}

async fn append(world: &World, writes: Vec<Write>) {
    world.application.store().append(Append { writes, guards: vec![], key: None }).await.expect("appended");
}

/// What is asked, by whom: of everything some.
fn questions(rows: &[RowChange], later: &[RowChange]) -> Vec<(Uuid, Role, String)> {
    let operator = Uuid::from_u128(1);
    let mut asked = vec![];
    let mut paths = vec![];
    let mut ask = |path: &str| paths.push(path.to_owned());
    for path in [
        "/api/chargers",
        "/api/chargers?status=available,charging",
        "/api/chargers?q=cp-",
        "/api/sessions",
        "/api/sessions?state=active,completed",
        "/api/commands",
        "/api/commands?state=done",
        "/api/sites",
        "/api/tariffs",
        "/api/drivers",
        "/api/me",
    ] {
        ask(path);
    }
    let of = |model| rows.iter().chain(later).filter(move |change| change.row.model() == model);
    for change in of(Model::ChargePoints).take(4) {
        let Row::ChargePoints(row) = &change.row else { continue };
        let name = row.charge_point.identity.as_ref().expect("a name");
        ask(&format!("/api/chargers/{name}"));
        ask(&format!("/api/chargers/{name}/status"));
        ask(&format!("/api/chargers/{name}/commands"));
        ask(&format!("/api/sessions?charger_id={name}"));
    }
    for change in of(Model::Sites).take(2) {
        ask(&format!("/api/chargers?site_id={}", change.key));
    }
    for change in of(Model::Sessions).step_by(7).take(6) {
        ask(&format!("/api/sessions/{}", change.key));
        ask(&format!("/api/sessions/{}/meter-values", change.key));
    }
    for change in of(Model::Commands).step_by(9).take(6) {
        ask(&format!("/api/commands/{}", change.key));
    }
    for change in of(Model::Drivers).take(3) {
        let driver: Uuid = change.key.parse().expect("an id");
        ask(&format!("/api/sessions?driver_id={driver}"));
        for path in ["/api/me", "/api/sessions", "/api/sessions/status", "/api/chargers", "/api/drivers"] {
            asked.push((driver, Role::Driver, path.to_owned()));
        }
        let mine = of(Model::Sessions).take(3);
        asked.extend(mine.map(|session| (driver, Role::Driver, format!("/api/sessions/{}", session.key))));
    }
    asked.extend(paths.into_iter().map(|path| (operator, Role::Operator, path)));
    asked
}

/// Of a list all pages, of another answer itself.
async fn answers(world: &World, token: &str, path: &str, as_of: Option<i64>) -> Vec<(u16, Value)> {
    let sign = if path.contains('?') { '&' } else { '?' };
    let single = path.matches('/').count() > 2 && !path.ends_with("/meter-values") && !path.ends_with("/commands");
    let mut base = path.to_owned();
    if !single && path != "/api/me" {
        base = format!("{path}{sign}limit=5");
    }
    let (mut answers, mut cursor) = (vec![], String::new());
    loop {
        let sign = if base.contains('?') { '&' } else { '?' };
        let at = as_of.map(|at| format!("{sign}as_of={at}")).unwrap_or_default();
        let (status, mut body) = world.get(token, &format!("{base}{at}{cursor}")).await;
        if let (Some(position), 200) = (as_of, status) {
            assert_eq!(body["as_of"]["position"], position, "{path}: {body}");
            assert_eq!(body["as_of"]["recorded_at"].is_string(), position > 0, "{path}: {body}");
        }
        if let Some(body) = body.as_object_mut() {
            body.remove("as_of");
        }
        let next = body.get("next").and_then(Value::as_str).map(str::to_owned);
        if next.is_some() {
            body["next"] = json!("more");
        }
        answers.push((status, body));
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return answers,
        }
    }
}

/// The same questions are put to a world in which the log has ended there.
#[tokio::test]
async fn everything_is_answered_as_it_would_have_been_then() {
    let (world, log) = grown(3, 250).await;
    let head = log.len() as i64;
    let rows_at = |position: i64| -> Vec<RowChange> {
        fold_all(log.iter().take_while(|event| event.position.0 <= position)).expect("folded").into_values().collect()
    };
    let later = rows_at(head);
    for position in [0, 40, head / 2, head] {
        let rows = rows_at(position);
        let then = World::beginning_at(position, &rows).await;
        let mut found = 0;
        for (user, role, path) in questions(&rows, &later) {
            let tokens = [world.token(user, role).await, then.token(user, role).await];
            let expected = answers(&then, &tokens[1], &path, None).await;
            assert_eq!(answers(&world, &tokens[0], &path, Some(position)).await, expected, "{path} as of {position}");
            found += expected.iter().filter(|(status, _)| *status == 200).count();
        }
        assert!(found > 20, "{found} answers as of {position}");
    }
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let (world, log) = grown(4, 80).await;
    let (token, head) = (world.operator_token().await, log.len() as i64);
    let tomorrow = (Utc::now() + chrono::TimeDelta::days(1)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let paths = ["/api/chargers", "/api/sessions/status", "/api/me", "/api/tokens", "/api/chargers/CP/status"];
    for path in paths {
        for (asked, field) in [
            (format!("as_of={}", head + 1), "as_of"),
            (format!("as_of={tomorrow}"), "as_of"),
            ("as_of=yesterday".to_owned(), "as_of"),
            ("as_of=-1".to_owned(), "as_of"),
            ("as_of=".to_owned(), "as_of"),
            (format!("as_of={head}&min_position=1"), "min_position"),
        ] {
            let (status, problem) = world.get(&token, &format!("{path}?{asked}")).await;
            assert_eq!((status, &problem["field"]), (400, &json!(field)), "{path}?{asked}: {problem}");
        }
    }
    let (_, problem) = world.get(&token, &format!("/api/me?as_of={}", head + 1)).await;
    assert_eq!(problem["head_position"], head);

    // Cursors are of one moment.
    let next = |body: &Value| body["next"].as_str().expect("more").to_owned();
    let then = world.get(&token, &format!("/api/sessions?limit=1&as_of={head}")).await.1;
    let earlier = format!("/api/sessions?limit=1&as_of={}&cursor={}", head - 1, next(&then));
    let (status, problem) = world.get(&token, &earlier).await;
    assert_eq!((status, &problem["field"]), (400, &json!("cursor")), "{problem}");
    // It knows of when it is.
    let (_, second) = world.get(&token, &format!("/api/sessions?limit=1&cursor={}", next(&then))).await;
    assert_eq!(second["as_of"]["position"], head);
    assert_ne!(second["items"], then["items"]);

    sqlx::query("ALTER TABLE events_telemetry DETACH PARTITION events_telemetry_1")
        .execute(world.pool())
        .await
        .expect("detached");
    let (status, problem) = world.get(&token, &format!("/api/sessions?as_of={}", head / 3)).await;
    assert_eq!((status, &problem["type"]), (410, &json!("/problems/history-not-kept")), "{problem}");
    assert!(problem["earliest_position"].as_i64().is_some_and(|earliest| earliest > head / 3), "{problem}");
    assert_eq!(world.get(&token, &format!("/api/tariffs?as_of={}", head / 3)).await.0, 200);
}

#[tokio::test]
async fn a_time_is_as_good_as_a_position() {
    let (world, log) = grown(5, 60).await;
    let token = world.operator_token().await;
    let event = &log[log.len() / 2];
    let last = log.iter().rfind(|other| other.recorded_at == event.recorded_at).expect("itself");
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let by_time = world.get(&token, &format!("/api/sessions?as_of={}", text(event.recorded_at))).await.1;
    let by_position = world.get(&token, &format!("/api/sessions?as_of={}", last.position)).await.1;
    assert_eq!(by_time, by_position);
    assert_eq!(by_time["as_of"]["position"], last.position.0);
    // The plus sign of an offset is often not escaped.
    let offset = text(event.recorded_at).replace('Z', "+00:00");
    assert_eq!(world.get(&token, &format!("/api/sessions?as_of={offset}")).await.1, by_position);
}

/// Nobody can open the value of a person whose key is gone, whenever it is asked for.
#[tokio::test]
async fn values_of_erased_persons_are_not_there() {
    let world = World::beginning_at(0, &[]).await;
    let gone = Uuid::now_v7();
    let details = TokenDetails {
        token_id: TokenId(Uuid::now_v7()),
        kind: "ISO14443".to_owned(),
        value: Sealed(format!("v1.{}.AAAA", gone.simple())),
        driver_id: Some(DriverId::generate()),
        group: None,
        expires_at: None,
    };
    let id = details.token_id.0;
    let envelope = std::sync::Arc::new(Envelope::new(TenantId::DEFAULT, Actor::operator(Uuid::now_v7())));
    let event = NewEvent::new(Event::Token(TokenEvent::TokenRegistered(details)), envelope, id);
    let stream = StreamId { aggregate: AggregateType::Token, id };
    append(&world, vec![Write { stream, expected: Expected::New, events: vec![event], fence: None }]).await;
    let (status, page) = world.get(&world.operator_token().await, "/api/tokens?as_of=1").await;
    assert_eq!((status, &page["items"][0]["value"]), (200, &json!(null)), "{page}");
    assert_eq!(page["items"][0]["token_id"], id.to_string());
}
