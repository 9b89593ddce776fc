//! Services reach Postgres by this crate alone: what they run, a pooler in transaction mode can carry.

use std::path::{Path, PathBuf};

const ROOMS: [&str; 10] = [
    "schema",
    "event-store",
    "application",
    "command-service",
    "projection-service",
    "realtime-api",
    "ocpp-edge",
    "read-models",
    "history",
    "archive",
];

/// Types whose statements are kept on a connection, and what else lives longer than a transaction.
const NOT_CARRIED: [&str; 14] = [
    "PgPool",
    "PgConnection",
    "PgTransaction",
    "PgListener",
    "PoolConnection",
    "sqlx::Transaction",
    "sqlx::Connection",
    "sqlx::Pool",
    "sqlx::Acquire",
    "pg_advisory_lock(",
    "pg_try_advisory_lock(",
    "CREATE TEMP",
    "WITH HOLD",
    "SET SESSION",
];

/// Of commands, which have a way without a pooler.
const DIRECT: [(&str, &str); 2] = [
    ("projection-service/src/rebuild/guard.rs", "pg_try_advisory_lock("),
    ("projection-service/src/rebuild/candidates.sql", "CREATE TEMP"),
];

#[test]
fn no_service_runs_what_a_pooler_can_not_carry() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in the workspace");
    let mut looked_at = 0;
    let mut found = vec![];
    for room in ROOMS {
        for path in sources(&workspace.join(room).join("src")) {
            looked_at += 1;
            let name = path.strip_prefix(workspace).expect("it is below").display().to_string();
            let text = std::fs::read_to_string(&path).expect("a source can be read");
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for (nth, line) in code.enumerate() {
                let words = NOT_CARRIED.iter().filter(|word| line.contains(**word));
                let words = words.filter(|word| !DIRECT.contains(&(&*name, **word)));
                found.extend(words.map(|word| format!("{name}, line {} of code: {word}", nth + 1)));
            }
        }
    }
    assert!(looked_at > 200, "only {looked_at} sources were found");
    assert!(found.is_empty(), "use pool::{{Pool, Connection, Transaction}} instead:\n{}", found.join("\n"));
}

/// Whose commits do not wait for the disk, nor for a standby: tables that are made anew from the log, and notices that are
/// stored nowhere.
const NOT_WAITING: [&str; 5] = [
    "event-store/src/lane/notice.sql",
    "projection-service/src/rebuild/own.sql",
    "schema/migrations/0200_views.sql",
    "schema/migrations/0420_parked.sql",
    "schema/migrations/0620_lost_history.sql",
];

#[test]
fn no_append_is_acknowledged_before_it_is_where_the_server_is_told_to_have_it() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in the workspace");
    let folders =
        ROOMS.map(|room| workspace.join(room).join("src")).into_iter().chain([workspace.join("schema/migrations")]);
    let mut found: Vec<String> = vec![];
    for path in folders.flat_map(|folder| sources(&folder)) {
        let text = std::fs::read_to_string(&path).expect("a source can be read");
        let off =
            |line: &str| line.contains("synchronous_commit") && ["off", "local"].iter().any(|word| line.contains(word));
        if text.lines().any(off) {
            found.push(path.strip_prefix(workspace).expect("it is below").display().to_string());
        }
    }
    found.sort();
    assert_eq!(found, NOT_WAITING);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a room has sources").flatten().map(|entry| entry.path());
    let mut sources = vec![];
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() && name != "tests" {
            sources.extend(self::sources(&path));
        } else if (name.ends_with(".rs") || name.ends_with(".sql")) && name != "tests.rs" {
            sources.push(path);
        }
    }
    sources
}
