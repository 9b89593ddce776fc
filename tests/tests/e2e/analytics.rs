//! SQL for analysts: every event type has its typed view, and the analysts' role can read these and nothing else.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::envelope::{Actor, Envelope};
use domain::event::AggregateType;
use domain::id::TenantId;
use embedded_postgres::testing::{TestDatabase, database};
use event_store::stored::Filter;
use event_store::{Append, EventStore, Expected, StoreOptions, Write};
use rust_decimal::Decimal;
use schema::catalogue::decode;
use schema::columns::{self, Cell, ColumnType, ENVELOPE};
use schema::golden::GOLDEN;
use schema::log::{NewEvent, Position, RawEvent, StreamId};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{ConnectOptions, Connection, Executor};
use uuid::Uuid;

async fn with_views() -> TestDatabase {
    let database = database(&schema::MIGRATOR).await;
    assert!(schema::analytics::make(database.pool()).await.expect("the views can be made"));
    assert!(!schema::analytics::make(database.pool()).await.expect("they are made"), "there is nothing more to do");
    database
}

/// Every golden event of its newest version, in the log.
async fn with_golden_events(pool: &PgPool) -> EventStore {
    let store = EventStore::connect(pool.clone(), StoreOptions::default()).await.expect("a log");
    let envelope =
        Arc::new(Envelope { reason: Some("a test".into()), ..Envelope::new(TenantId::DEFAULT, Actor::system("test")) });
    for golden in GOLDEN {
        let raw = RawEvent {
            aggregate_type: golden.aggregate,
            event_type: golden.event_type,
            event_version: golden.version,
            payload: golden.payload,
        };
        let aggregate = AggregateType::parse(golden.aggregate).expect("it is in the catalogue");
        if !aggregate.event_types().contains(&(golden.event_type, golden.version)) {
            continue;
        }
        let event = decode(&raw).expect("it can be read");
        let stream = StreamId::new(aggregate, Uuid::new_v4());
        let events = vec![NewEvent::new(event, Arc::clone(&envelope), stream.id)];
        let write = Write { stream, expected: Expected::New, events, fence: None };
        store.append(Append { writes: vec![write], ..Append::default() }).await.expect("it is appended");
    }
    store
}

#[tokio::test]
async fn every_event_type_has_a_view_whose_columns_hold_its_golden_event() {
    let database = with_views().await;
    let store = with_golden_events(database.pool()).await;
    for table in columns::tables() {
        let types: Vec<(String, String)> = sqlx::query_as(
            "SELECT column_name::text, data_type::text FROM information_schema.columns \
             WHERE table_schema = 'analytics' AND table_name = $1",
        )
        .bind(&table.name)
        .fetch_all(database.pool())
        .await
        .expect("columns can be listed");
        let types: BTreeMap<_, _> = types.into_iter().collect();
        assert!(!types.is_empty(), "there is no view analytics.{}", table.name);

        let select = format!("SELECT to_json(v)::text FROM analytics.\"{}\" v", table.name);
        let rows: Vec<String> = sqlx::query_scalar(&select).fetch_all(database.pool()).await.expect(&table.name);
        assert_eq!(rows.len(), 1, "{}", table.name);
        let row: Value = serde_json::from_str(&rows[0]).expect("JSON");

        let position = Position(row["position"].as_i64().expect("it has a position"));
        let look = store.look(Position(position.0 - 1), position, &Filter::default()).await.expect("it can be read");
        let stored = &look.events[0];
        let (of_catalogue, members) = columns::row::newest(stored).expect("it can be understood");
        assert_eq!(of_catalogue.name, table.name);
        let (own, rest) = columns::row::cells(table, &members);
        assert_eq!(rest, None);
        let envelope =
            ENVELOPE.iter().map(|column| (column.name, column.column_type)).zip(columns::row::envelope(stored));
        let own = table.columns.iter().map(|column| (column.name.as_str(), column.column_type)).zip(own);
        for ((name, column_type), cell) in envelope.chain(own) {
            let place = format!("{}.{name}", table.name);
            assert_eq!(types.get(name).map(String::as_str), Some(postgres_type(column_type)), "{place}");
            assert!(is_same(&row[name], &cell, column_type), "{place}: {} is not {cell:?}", row[name]);
        }
    }
    let undocumented: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'analytics'::regnamespace AND c.relkind = 'v' \
         AND obj_description(c.oid, 'pg_class') IS NULL",
    )
    .fetch_all(database.pool())
    .await
    .expect("comments can be read");
    assert_eq!(undocumented, Vec::<String>::new(), "views without a comment");
    // Views on read models are at least valid; what they hold is compared where there is a history.
    for view in schema::analytics::views() {
        let count = format!("SELECT count(*) FROM analytics.\"{}\"", view.name);
        let _: i64 = sqlx::query_scalar(&count).fetch_one(database.pool()).await.expect(&view.name);
    }
}

fn postgres_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Text | ColumnType::Sealed => "text",
        ColumnType::Uuid => "uuid",
        ColumnType::Timestamp => "timestamp with time zone",
        ColumnType::Date => "date",
        ColumnType::Decimal => "numeric",
        ColumnType::Integer => "bigint",
        ColumnType::Double => "double precision",
        ColumnType::Boolean => "boolean",
        ColumnType::Json => "jsonb",
    }
}

/// Whether a member of a row as JSON is what the cell holds.
fn is_same(value: &Value, cell: &Cell, column_type: ColumnType) -> bool {
    match cell {
        Cell::Null => value.is_null(),
        Cell::Text(text) if column_type == ColumnType::Json => {
            serde_json::from_str::<Value>(text).is_ok_and(|expected| expected == *value)
        }
        Cell::Text(text) => value == text.as_str(),
        Cell::Uuid(id) => value == id.to_string().as_str(),
        Cell::Timestamp(at) => value.as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok()) == Some(*at),
        Cell::Date(date) => value == date.to_string().as_str(),
        Cell::Decimal(number) => Decimal::from_str(&value.to_string()).is_ok_and(|found| found == *number),
        Cell::Integer(number) => value == *number,
        Cell::Double(number) => value.as_f64() == Some(*number),
        Cell::Boolean(is) => value == *is,
    }
}

/// A NUL in what a charger wrote, and a year that no calendar has, cost a character and a value, and no query.
#[tokio::test]
async fn what_a_charger_wrote_breaks_no_view() {
    let database = with_views().await;
    let cases = [
        (r#"{"a": "x\u0000y"}"#, r#"{"a": "x�y"}"#),
        (r#"{"a": "x\\u0000y"}"#, r#"{"a": "x\\u0000y"}"#),
        (r#"{"a": "x\\\u0000y"}"#, r#"{"a": "x\\�y"}"#),
    ];
    for (stored, expected) in cases {
        let cleaned = sqlx::query_scalar("SELECT analytics.clean($1::text::json)::text").bind(stored);
        let cleaned: String = cleaned.fetch_one(database.pool()).await.expect("it is cleaned");
        assert_eq!(cleaned, expected, "{stored}");
    }
    for (text, is_there) in
        [("2026-03-01T10:00:00.5Z", true), ("+12026-03-01T10:00:00Z", false), ("0000-01-01T00:00:00Z", false)]
    {
        let moment: Option<DateTime<Utc>> =
            sqlx::query_scalar("SELECT analytics.moment($1)").bind(text).fetch_one(database.pool()).await.expect(text);
        assert_eq!(moment.is_some(), is_there, "{text}");
    }
}

/// What the views on events lack is said to analysts.
#[tokio::test]
async fn an_analyst_sees_what_is_in_archives_only() {
    let database = with_views().await;
    let archived = "INSERT INTO log_archives VALUES (3, 1, 100, 's3://archive/x', decode(repeat('00', 32), 'hex'), 42, 7, \
                    now(), now(), now())";
    sqlx::query(archived).execute(database.pool()).await.expect("noted");
    let mut analyst = database.pool().begin().await.expect("a transaction");
    sqlx::query("SET LOCAL ROLE coulomb_analyst").execute(&mut *analyst).await.expect("the role");
    let archives = "SELECT class, first_position, last_position, events, url, archived_at <= detached_at \
                    FROM analytics.archives";
    let rows: Vec<(String, i64, i64, i64, String, bool)> =
        sqlx::query_as(archives).fetch_all(&mut *analyst).await.expect("it can be read");
    assert_eq!(rows, [("telemetry".to_owned(), 1, 100, 42, "s3://archive/x".to_owned(), true)]);
    let says = "SELECT concat_ws(' ', obj_description('analytics'::regnamespace, 'pg_namespace'), \
                obj_description('analytics.position_at'::regproc, 'pg_proc'), \
                obj_description('analytics.events'::regclass, 'pg_class'))";
    let says: String = sqlx::query_scalar(says).fetch_one(&mut *analyst).await.expect("comments");
    assert_eq!(says.matches("analytics.archives").count(), 3, "{says}");
}

#[tokio::test]
async fn an_analyst_can_read_the_views_and_nothing_else() {
    let database = with_views().await;
    let name = format!("analyst_{}", Uuid::new_v4().simple());
    let add = "SELECT analytics.add_analyst($1, 'a password', '5 seconds', '5 seconds')";
    sqlx::query(add).bind(&name).execute(database.pool()).await.expect("an analyst can be added");

    let options = PgConnectOptions::from_str(database.url()).expect("a URL").username(&name).password("a password");
    let mut analyst = options.connect().await.expect("the analyst can log in");
    let _: i64 = sqlx::query_scalar("SELECT count(*) FROM sessions").fetch_one(&mut analyst).await.expect("a view");

    // Whatever there is beside the views, and whatever else can be done with these.
    let readable: Vec<String> = sqlx::query_scalar(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
         AND CASE WHEN n.nspname = 'analytics' THEN has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER') \
             WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'USAGE, SELECT, UPDATE') \
             ELSE has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER') \
                  OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE') END",
    )
    .fetch_all(&mut analyst)
    .await
    .expect("privileges can be asked for");
    assert_eq!(readable, Vec::<String>::new());
    let creating: Vec<String> = sqlx::query_scalar(
        "SELECT nspname::text FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND has_schema_privilege(oid, 'CREATE')",
    )
    .fetch_all(&mut analyst)
    .await
    .expect("privileges can be asked for");
    assert_eq!(creating, Vec::<String>::new());
    let definers: Vec<String> = sqlx::query_scalar(
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
         WHERE p.prosecdef AND n.nspname <> 'pg_catalog' AND has_function_privilege(p.oid, 'EXECUTE') \
         AND p.oid <> 'analytics.position_at(timestamptz)'::regprocedure",
    )
    .fetch_all(&mut analyst)
    .await
    .expect("privileges can be asked for");
    assert_eq!(definers, Vec::<String>::new(), "functions that act with the rights of others");
    // Not by the mode of the transaction, which anybody may change.
    analyst.execute("SET default_transaction_read_only = off").await.expect("it may be set");
    for forbidden in [
        "SELECT * FROM public.accounts",
        "SELECT * FROM public.vault_keys",
        "SELECT * FROM public.events",
        "SELECT * FROM views.sessions",
        "SELECT analytics.add_analyst('other', 'x')",
        "CREATE TABLE analytics.t ()",
        "CREATE TABLE public.t ()",
    ] {
        let refused = analyst.execute(forbidden).await.expect_err(forbidden);
        assert_eq!(code(&refused).as_deref(), Some("42501"), "{forbidden}: {refused}");
    }
    let at: i64 =
        sqlx::query_scalar("SELECT analytics.position_at(now())").fetch_one(&mut analyst).await.expect("a position");
    assert_eq!(at, 0);

    let late = analyst.execute("SELECT pg_sleep(30)").await.expect_err("it takes too long");
    assert_eq!(code(&late).as_deref(), Some("57014"), "{late}");
    analyst.execute("BEGIN").await.expect("a transaction begins");
    let ended = async {
        // The server ends the session by itself; asking before would keep it alive.
        loop {
            let idle = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1";
            let sessions: i64 =
                sqlx::query_scalar(idle).bind(&name).fetch_one(database.pool()).await.expect("it is counted");
            if sessions == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tests::within("the idle session to be ended", ended).await;
    let _ = analyst.close().await;
    sqlx::query(&format!("DROP ROLE {name}")).execute(database.pool()).await.expect("the role can be dropped");
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned())
}
