//! `coulomb events archive` on a platform that runs: a range of telemetry is written, read back, and taken out of the log.

mod looked;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use archive::manifest::Manifest;
use archive::part::{PartWriter, decode};
use domain::event::AggregateType;
use embedded_postgres::testing::{TestDatabase, database};
use event_store::{Append, EventStore, Expected, StoreOptions, Write};
use parquet::file::reader::{FileReader, SerializedFileReader};
use schema::log::{NewEvent, Position, StreamId};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{
    Network, Program, PythonCharger, Registered, binary, eventually, free_port, interpreter, logs, s3_interpreter,
    text, until, within,
};
use uuid::Uuid;

/// Two ranges of these lie below the first block of positions whose digest is sealed, and share it.
const RANGE_POSITIONS: i64 = 30_000;
const EVENTS: i64 = 70_000;
const EVENTS_PER_APPEND: usize = 200;
/// Long against an append, also where the machine stands still for a moment.
const READS_FOR: Duration = Duration::from_secs(4);
const WAITS_MAX: Duration = Duration::from_millis(2_500);

/// A platform with sessions that have ended and one that goes on, and much telemetry of all.
struct Platform {
    network: Network,
    _program: Program,
    store: EventStore,
    open: Open,
    /// Dropped last.
    database: TestDatabase,
}

/// A session that goes on.
struct Open {
    charger: PythonCharger,
    registered: Registered,
    transaction: Value,
    session: String,
}

impl Platform {
    async fn start(log: &str, settings: &[(&str, &str)]) -> Self {
        let database = database(&schema::MIGRATOR).await;
        let store = small_ranges(&database).await;
        let (network, program) = Network::start_on(database.url(), logs(log), settings).await;
        let mut sessions = vec![];
        for _ in 0..3 {
            sessions.push(ended(&network).await);
        }
        let open = open(&network).await;
        sessions.push(open.session.clone());
        fill(&store, &sessions).await;
        read_by_all(database.pool()).await;
        Self { network, _program: program, store, open, database }
    }

    fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary::coulomb());
        command.args(["events", "archive"]).args(arguments).env("DATABASE_URL", self.database.url());
        // Which it would warn of.
        command.env_remove("COULOMB_TEST_BINARY");
        command
    }

    /// What it printed, as JSON lines, and how it ended.
    fn told(&self, arguments: &[&str], code: i32) -> Vec<Value> {
        let output = self.command(arguments).arg("--json").output().expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", both(&output));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// What it said about why not.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("it runs");
        assert!(!output.status.success(), "{arguments:?}: {}", both(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// What `verify` found, of the range that begins at a position.
    fn found(&self, first: i64) -> Vec<String> {
        let lines = self.told(&["verify", "--class", "telemetry"], 1);
        let line = lines.iter().find(|line| line["stage"] == "verified" && line["first_position"] == first);
        let line = line.unwrap_or_else(|| panic!("{first} in {lines:?}"));
        assert_eq!(line["sound"], false);
        line["findings"].as_array().expect("a list").iter().map(text).collect()
    }

    async fn execute(&self, sql: &str) {
        sqlx::raw_sql(sql).execute(self.pool()).await.expect(sql);
    }

    async fn is_there(&self, table: &str) -> bool {
        let there = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table);
        there.fetch_one(self.pool()).await.expect("it is asked")
    }
}

/// An empty log whose ranges are small.
pub(crate) async fn small_ranges(database: &TestDatabase) -> EventStore {
    for statement in [
        "DROP TABLE events_ledger_1, events_operational_1, events_telemetry_1",
        "DROP TABLE events_ledger_10000001, events_operational_10000001, events_telemetry_10000001",
        "DELETE FROM log_ranges",
    ] {
        sqlx::query(statement).execute(database.pool()).await.expect("an empty log without ranges");
    }
    let options = StoreOptions { range_positions: RANGE_POSITIONS, ranges_ahead: 4, ..StoreOptions::default() };
    EventStore::connect(database.pool().clone(), options).await.expect("a log")
}

/// Waits until whoever reads the log has read what may be archived.
pub(crate) async fn read_by_all(pool: &PgPool) {
    eventually("everybody to have read the log", || async {
        let behind = sqlx::query("SELECT FROM log_consumers_behind($1)").bind(EVENTS);
        behind.fetch_all(pool).await.expect("they are asked").is_empty().then_some(())
    })
    .await;
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn open(network: &Network) -> Open {
    let registered = network.charger().await;
    let driver = network.driver().await;
    let mut charger = PythonCharger::online(network, &registered).await;
    let accepted = within("the start", driver.start(&registered.id, 1)).await.expect("a start is taken");
    let asked = charger.asked("RemoteStartTransaction").await;
    let start =
        json!({"connector_id": 1, "id_tag": asked["id_tag"], "meter_start": 1000, "timestamp": "2026-03-01T10:00:00Z"});
    let started = charger.call("StartTransaction", start).await;
    let active = within("the start", driver.wait_for_session(&accepted, &["active"])).await.expect("it begins");
    let transaction = started["transaction_id"].clone();
    let mut open = Open { charger, registered, transaction, session: text(&active["session_id"]) };
    open.meter(2000).await;
    open
}

impl Open {
    async fn meter(&mut self, wh: u32) {
        let values = json!([{"timestamp": "2026-03-01T10:10:00Z", "sampled_value": [{"value": wh.to_string()}]}]);
        let meter = json!({"connector_id": 1, "transaction_id": self.transaction, "meter_value": values});
        self.charger.call("MeterValues", meter).await;
    }

    async fn stop(&mut self) {
        let stop = json!({"transaction_id": self.transaction, "meter_stop": 6000, "timestamp": "2026-03-01T10:30:00Z",
            "reason": "EVDisconnected"});
        self.charger.call("StopTransaction", stop).await;
    }
}

/// The id of a session that has ended.
async fn ended(network: &Network) -> String {
    let mut open = open(network).await;
    open.stop().await;
    let operator = network.operator().await;
    until(&operator, &format!("/api/sessions/{}", open.session), |session| session["cost"]["revision"] == 1).await;
    open.session
}

/// Appends the readings that sessions have had again and again.
pub(crate) async fn fill(store: &EventStore, sessions: &[String]) {
    let mut readings = vec![];
    for session in sessions {
        let stream = StreamId::new(AggregateType::ChargingSession, session.parse::<Uuid>().expect("an id"));
        let events = store.read_stream(stream, 1).await.expect("a stream");
        let reading = events.into_iter().find(|event| event.event_type == "MeterValuesRecorded").expect("a reading");
        readings.push(reading);
    }
    loop {
        let (head, _) = store.head().await.expect("a head");
        if head.0 >= EVENTS {
            return;
        }
        let appends = readings.iter().map(|reading| {
            let events = (0..EVENTS_PER_APPEND).map(|_| again(reading)).collect();
            let write = Write { stream: reading.stream, expected: Expected::Any, events, fence: None };
            store.append(Append { writes: vec![write], ..Append::default() })
        });
        for appended in futures_util::future::join_all(appends).await {
            appended.expect("appended");
        }
    }
}

fn again(reading: &schema::log::RecordedEvent) -> NewEvent {
    let event = reading.event.as_ref().expect("it can be read");
    NewEvent::new((**event).clone(), Arc::clone(&reading.envelope), reading.partition_key)
}

/// The folder of the archive of the range that begins at a position, and its only part.
fn place(platform: &Platform, first: i64) -> (PathBuf, PathBuf) {
    let ranges = platform.told(&["list", "--class", "telemetry"], 0);
    let archived = ranges.iter().find(|range| range["first_position"] == first && range["events"].is_i64());
    let url = text(&archived.unwrap_or_else(|| panic!("{first} in {ranges:?}"))["url"]);
    let folder = PathBuf::from(url.strip_prefix("file://").expect("a folder"));
    let manifest = std::fs::read(folder.join("manifest.json")).expect("it can be read");
    let manifest = Manifest::from_json(&manifest).expect("a manifest");
    assert_eq!(manifest.parts.len(), 1, "{manifest:?}");
    (folder.clone(), folder.join(&manifest.parts[0].name))
}

/// What another log has in the same place: a copy of this one, or an installation that was given the same address.
struct Others(Vec<(PathBuf, String)>);

impl Others {
    fn put(to: &Path) -> Self {
        let manifest = json!({"format": 1, "class": "telemetry", "first_position": 1, "last_position": RANGE_POSITIONS,
            "events": 0, "generations": [], "recorded_from": null, "recorded_to": null, "parts": [], "blocks": [],
            "program_version": "1"});
        let range = to.join(format!("telemetry/{:019}-{RANGE_POSITIONS:019}", 1));
        let mut files = vec![];
        for folder in [range.clone(), range.join("01900000000070008000000000000000")] {
            std::fs::create_dir_all(&folder).expect("a folder");
            for (name, text) in [
                ("manifest.json", manifest.to_string()),
                ("unfinished.json", r#"{"format":1,"done":[]}"#.to_owned()),
                ("events-0000000000000000001-0000000000000030000-0a0b0c0d.parquet", "theirs".to_owned()),
            ] {
                std::fs::write(folder.join(name), &text).expect("it can be written");
                files.push((folder.join(name), text));
            }
        }
        Self(files)
    }

    fn are_untouched(&self) {
        for (file, text) in &self.0 {
            assert_eq!(std::fs::read_to_string(file).ok().as_ref(), Some(text), "{}", file.display());
        }
    }

    fn take_away(self) {
        for (file, _) in self.0 {
            std::fs::remove_file(file).expect("it is there");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_moves_to_an_archive() {
    let storage = Storage::start().await;
    let mut platform = Platform::start("archive", &storage.settings()).await;
    let parent = tempfile::tempdir().expect("a folder");
    let to = parent.path().join("archive");
    let to_text = to.to_str().expect("a path").to_owned();
    let write = ["--class", "telemetry", "--before", "0s", "--to", &to_text];

    let was = looked::looked(&platform, &[]).await;
    let others = Others::put(&to);
    is_killed_and_goes_on(&platform, &write).await;
    what_is_wrong_is_found(&platform).await;
    what_is_needed_stays(&platform, &write).await;
    goes_while_others_append(&platform).await;
    others.are_untouched();
    others.take_away();
    what_is_left_over_may_be_removed(&platform);
    recipes_run(&parent);
    another_class_moves_to_s3(&platform, &storage).await;
    assert_eq!(looked::looked(&platform, &storage.settings()).await, was);
    looked::proved_and_built(&platform, &storage.settings());

    // What went on goes on: the session is loaded by its state, and ends.
    assert!(!platform.is_there("events_telemetry_1").await && platform.is_there("events_ledger_1").await);
    platform.open.meter(3000).await;
    platform.open.stop().await;
    let operator = platform.network.operator().await;
    let path = format!("/api/sessions/{}", platform.open.session);
    let session = until(&operator, &path, |session| session["cost"]["revision"] == 1).await;
    assert_eq!(session["energy_wh"], 5000, "{session}");
    assert!(!platform.open.registered.id.is_empty());
}

/// Killed again and again, at other moments each time; nothing half counts, and at last all of it is there.
async fn is_killed_and_goes_on(platform: &Platform, write: &[&str]) {
    for after_ms in [50, 150, 250, 400, 600, 900] {
        let mut killed = platform.command(write).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        killed.kill().expect("it is killed");
        killed.wait().expect("it is gone");
        // What counts is whole.
        for range in platform.told(&["list", "--class", "telemetry"], 0) {
            let begun = range["state"] == "unfinished";
            assert!(begun || (range["in_log"] == true && range["state"] != "detached"), "{range}");
        }
        let other = platform.command(write).output().expect("it runs");
        let why = both(&other);
        assert!(other.status.success() || why.contains("another run archives, or was killed"), "{why}");
        // Instead of waiting until the dead one's lease lapses.
        platform.execute("UPDATE leases SET until = now() WHERE name = 'events-archive'").await;
    }
    let told = platform.told(write, 0);
    let ranges = platform.told(&["list", "--class", "telemetry"], 0);
    let states: Vec<_> = ranges.iter().map(|range| (range["first_position"].as_i64(), text(&range["state"]))).collect();
    assert_eq!(states, [(Some(1), "archived".to_owned()), (Some(30_001), "archived".to_owned())], "{told:?}");
    // Killed after the manifest, and before it was written down: it is read back, and not written anew.
    let (written, _) = place(platform, 30_001);
    let unwritten = "DELETE FROM log_archives WHERE retention = 3 AND first = 30001; \
                     UPDATE log_archive_folders SET state = 'unfinished' WHERE retention = 3 AND first = 30001 AND state = 'recorded'";
    platform.execute(unwritten).await;
    platform.told(write, 0);
    assert_eq!(place(platform, 30_001).0, written);
    let again = platform.command(write).output().expect("it runs");
    assert!(both(&again).contains("Nothing of class telemetry is to be archived now"), "{}", both(&again));
    let sound = platform.told(&["verify"], 0);
    let events: i64 = sound.iter().filter_map(|line| line["events"].as_i64()).sum();
    let stored = "SELECT count(*) FROM events WHERE retention = 3 AND position <= 60000";
    let stored: i64 = sqlx::query_scalar(stored).fetch_one(platform.pool()).await.expect("a count");
    assert_eq!(events, stored);
    assert!(stored > 59_000, "{stored}");
}

/// A byte, a part, a row, a row of the log: each is found and named.
async fn what_is_wrong_is_found(platform: &Platform) {
    let (folder, part) = place(platform, 1);
    let name = part.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    let whole = std::fs::read(&part).expect("it can be read");

    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    std::fs::write(&part, flipped).expect("it can be written");
    let found = platform.found(1);
    assert!(found[0].contains(&format!("{name} is not the one that was written down: its SHA-256")), "{found:?}");

    std::fs::remove_file(&part).expect("it can be removed");
    assert_eq!(platform.found(1), [format!("{name} is missing")]);
    std::fs::write(&part, &whole).expect("it can be written");
    std::fs::write(folder.join("stray.parquet"), "").expect("it can be written");
    let sound = platform.told(&["verify"], 0);
    let strays = sound.iter().find(|line| line["stage"] == "verified" && line["first_position"] == 1);
    let strays = strays.map(|line| line["strays"].to_string()).unwrap_or_default();
    assert!(strays.contains("stray.parquet"), "nothing reads it, and it is named: {sound:?}");
    std::fs::remove_file(folder.join("stray.parquet")).expect("it can be removed");

    // Whoever changes a row with all that says what it was, but for what the log knows of it.
    let manifest = folder.join("manifest.json");
    let json = std::fs::read(&manifest).expect("it can be read");
    let position = tamper(&part, &manifest);
    let found = platform.found(1);
    let named = |what: &str| assert!(found.iter().any(|finding| finding.contains(what)), "{what}: {found:?}");
    named("manifest.json is not the one that was written down");
    named(&format!("position {position}: the payload of this MeterValuesRecorded is not the one that was appended"));
    named(&format!("position {position}: payload is not what the log has"));
    assert_eq!(found.len(), 3, "{found:?}");
    std::fs::write(&part, &whole).expect("it can be written");
    std::fs::write(&manifest, &json).expect("it can be written");

    std::fs::remove_file(&manifest).expect("it can be removed");
    assert_eq!(platform.found(1), ["manifest.json is missing"]);
    std::fs::write(&manifest, &json).expect("it can be written");

    // A row of the log, by whoever can write to its table.
    let change =
        format!("UPDATE events SET metadata = '{{}}', payload_hash = gen_random_uuid() WHERE position = {position}");
    let back = format!("CREATE TABLE kept AS SELECT * FROM events WHERE position = {position}");
    platform.execute(&back).await;
    platform.execute(&change).await;
    assert_eq!(platform.found(1), [format!("position {position}: metadata is not what the log has")]);
    let back = "UPDATE events e SET metadata = k.metadata, payload_hash = k.payload_hash FROM kept k WHERE e.position = k.position";
    platform.execute(back).await;
    platform.execute("DROP TABLE kept").await;
    platform.told(&["verify"], 0);
}

/// Changes the payload of a row, and the manifest so that it knows the file. Answers the row's position.
fn tamper(part: &Path, manifest: &Path) -> Position {
    let file = SerializedFileReader::new(std::fs::File::open(part).expect("a part")).expect("it can be read");
    let mut writer = PartWriter::new(&[]).expect("a part");
    let (mut changed, mut bytes) = (None, vec![]);
    for group in 0..file.num_row_groups() {
        for mut event in decode(file.get_row_group(group).expect("a group").as_ref()).expect("decoded") {
            if changed.is_none() && event.event_type == "MeterValuesRecorded" && event.position > Position(20_000) {
                changed = Some(event.position);
                event.payload = event.payload.replacen("2000", "9000", 1);
            }
            if writer.push(event).expect("pushed") {
                bytes.extend(writer.take().expect("taken"));
            }
        }
    }
    bytes.extend(writer.finish().expect("finished").0);
    let json = std::fs::read(manifest).expect("it can be read");
    let mut known = Manifest::from_json(&json).expect("a manifest");
    known.parts[0].bytes = bytes.len() as u64;
    known.parts[0].sha256 = schema::digest::hex(&archive::manifest::sha256(&bytes));
    std::fs::write(part, bytes).expect("it can be written");
    std::fs::write(manifest, known.to_json().expect("JSON")).expect("it can be written");
    changed.expect("there is one")
}

/// While anything needs a range, it stays.
async fn what_is_needed_stays(platform: &Platform, write: &[&str]) {
    let detach = ["detach", "--class", "telemetry"];
    let stays = "positions 1 to 30000 of class telemetry stay in the log";

    let open = platform.refused(&detach);
    assert!(open.contains(stays) && open.contains("With --save-states"), "{open}");
    assert!(open.contains(&format!("ChargingSession/{}", platform.open.session)), "{open}");

    platform.execute("SELECT views.begin_build('sites', 1)").await;
    let behind = platform.refused(&detach);
    assert!(behind.contains(stays) && behind.contains("build 2 of sites"), "{behind}");
    platform.execute("SELECT views.drop_shadow('sites')").await;

    let key: String = sqlx::query_scalar(
        "WITH key AS (SELECT partition_key, partition, position FROM events WHERE retention = 3 AND position > 100 LIMIT 1),
              live AS (SELECT build_id FROM views.builds WHERE model = 'meter_values' AND state = 'live'),
              parked AS (SELECT views.park(ARRAY[build_id], ARRAY[partition_key], ARRAY[partition], ARRAY[position],
                                           ARRAY['MeterValuesRecorded'], ARRAY['a test']) FROM key, live)
         SELECT partition_key::text FROM key, live, parked, views.hold(ARRAY[build_id], ARRAY[partition_key], ARRAY[position])",
    )
    .fetch_one(platform.pool())
    .await
    .expect("a key is parked");
    let parked = platform.refused(&detach);
    assert!(parked.contains("1 keys of meter_values are parked") && parked.contains("projections parked"), "{parked}");
    // It keeps no other from being tried, which has a reason of its own.
    let other = "positions 30001 to 60000 of class telemetry stay in the log: these could be loaded only by";
    assert!(parked.contains(other), "{parked}");
    platform.execute(&format!("DELETE FROM views.parked_events WHERE partition_key = '{key}'")).await;
    platform.execute(&format!("DELETE FROM views.parked_keys WHERE partition_key = '{key}'")).await;

    // Damaged meanwhile: it does not go, and the next run writes it anew.
    let (_, part) = place(platform, 1);
    let mut bytes = std::fs::read(&part).expect("it can be read");
    bytes[100] ^= 1;
    std::fs::write(&part, bytes).expect("it can be written");
    let damaged = platform.refused(&detach);
    assert!(damaged.contains(stays) && damaged.contains("Run `coulomb events archive` again"), "{damaged}");
    let unverified = sqlx::query("SELECT log_detach_range(3::smallint, 1)").execute(platform.pool()).await;
    let code = unverified
        .expect_err("it is not verified")
        .as_database_error()
        .and_then(|error| error.code().map(String::from));
    assert_eq!(code.as_deref(), Some("CV030"));
    let damaged = std::fs::read(&part).expect("it can be read");
    platform.execute("ALTER TABLE events_telemetry DETACH PARTITION events_telemetry_1").await;
    let gone = platform.refused(write);
    assert!(gone.contains("are not in the log any more") && gone.contains("back from where copies are kept"), "{gone}");
    let back = "ALTER TABLE events_telemetry ATTACH PARTITION events_telemetry_1 FOR VALUES FROM (1) TO (30001)";
    platform.execute(back).await;
    platform.told(write, 0);
    platform.told(&["verify"], 0);
    assert_eq!(std::fs::read(&part).expect("it can be read"), damaged, "it is written elsewhere");
    assert!(platform.is_there("events_telemetry_1").await, "it is all there");
}

/// Ranges go while a session reports, without keeping it waiting for long, and what is archived is still proved.
async fn goes_while_others_append(platform: &Platform) {
    let stream = StreamId::new(AggregateType::ChargingSession, platform.open.session.parse::<Uuid>().expect("an id"));
    let events = platform.store.read_stream(stream, 1).await.expect("a stream");
    let reading = events.into_iter().find(|event| event.event_type == "MeterValuesRecorded").expect("a reading");
    let store = platform.store.clone();
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let appending = tokio::spawn(async move {
        let (mut count, mut longest) = (0, Duration::ZERO);
        while !*stopped.borrow_and_update() {
            let write =
                Write { stream: reading.stream, expected: Expected::Any, events: vec![again(&reading)], fence: None };
            let began = Instant::now();
            store.append(Append { writes: vec![write], ..Append::default() }).await.expect("appended");
            longest = longest.max(began.elapsed());
            count += 1;
        }
        (count, longest)
    });
    // Somebody reads the range, and is in the middle of it when it is to go.
    let mut reader = platform.pool().begin().await.expect("a transaction");
    sqlx::query("SELECT count(*) FROM events_telemetry_1").execute(&mut *reader).await.expect("it is read");
    let detached = {
        let mut command = platform.command(&["detach", "--class", "telemetry", "--save-states", "--json"]);
        let detaching = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
        eventually("the range to be waited for", || async {
            let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' \
                           AND relation = to_regclass('events_telemetry_1'))";
            let waiting: bool = sqlx::query_scalar(waiting).fetch_one(platform.pool()).await.expect("locks");
            waiting.then_some(())
        })
        .await;
        tokio::time::sleep(READS_FOR).await;
        assert!(platform.is_there("events_telemetry_1").await, "it goes when its reader has");
        reader.commit().await.expect("committed");
        detaching.await.expect("it ends")
    };
    stop.send(true).expect("it appends");
    let (appended, longest) = appending.await.expect("it appended");
    assert!(detached.status.success(), "{}", both(&detached));
    eprintln!("{appended} appends while two ranges went, the longest {longest:?}");
    // They wait for a tenth of a second at a time, not for who reads, nor as long as other statements may.
    assert!(appended > 10 && longest < WAITS_MAX, "{appended} appends, the longest {longest:?}");
    let lines: Vec<Value> = String::from_utf8_lossy(&detached.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .filter(|line: &Value| line["stage"] == "detached")
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0]["states_saved"].as_i64() > Some(1), "{lines:?}");
    for table in ["events_telemetry_1", "events_telemetry_30001"] {
        assert!(!platform.is_there(table).await, "{table}");
    }

    // Each with the other one beside it, in the block that they share.
    let sound = platform.told(&["verify"], 0);
    let verified = sound.iter().filter(|line| line["stage"] == "verified");
    assert!(verified.clone().all(|line| line["unproven_blocks"] == 0) && verified.count() == 2, "{sound:?}");
    let (_, part) = place(platform, 1);
    let whole = std::fs::read(&part).expect("it can be read");
    std::fs::remove_file(&part).expect("it can be removed");
    let lost = platform.command(&["verify", "--class", "telemetry"]).output().expect("it runs");
    assert!(!lost.status.success() && both(&lost).contains("bring these objects back"), "{}", both(&lost));
    // What is beside it is read all the same, and says what it can't be proved without.
    let name = part.file_name().and_then(|name| name.to_str()).expect("a name");
    let beside = both(&lost);
    assert!(
        beside.contains("an archive beside them is damaged") && beside.contains(&format!("{name} is missing")),
        "{beside}"
    );
    assert!(beside.contains("Positions 30001 to 60000 of class telemetry: "), "{beside}");
    let ledger = ["--class", "ledger", "--before", "0s", "--to", &url_beside(&part), "--detach", "--save-states"];
    let stays = platform.refused(&ledger);
    let why =
        "positions 1 to 30000 of class ledger stay in the log: its digests can't be proved without an archive beside";
    assert!(stays.contains(why) && stays.contains(&format!("{name} is missing")), "{stays}");
    std::fs::write(&part, whole).expect("it can be written");
    platform.told(&["verify"], 0);

    let nothing = platform.command(&["detach", "--class", "telemetry"]).output().expect("it runs");
    assert!(
        both(&nothing).contains("Nothing of class telemetry is archived that the log still has"),
        "{}",
        both(&nothing)
    );
}

/// A place for what the recipes are not to read.
fn url_beside(part: &Path) -> String {
    let archive = part.ancestors().nth(4).expect("a folder");
    archive.with_file_name("other").to_str().expect("a path").to_owned()
}

/// `list` names what was begun and doesn't count; without it everything is as whole as before.
fn what_is_left_over_may_be_removed(platform: &Platform) {
    let lines = platform.told(&["list"], 0);
    let left: Vec<_> =
        lines.iter().filter(|line| line["state"] == "left over").map(|line| text(&line["url"])).collect();
    assert!(!left.is_empty(), "the range that was damaged has been written twice: {lines:?}");
    for url in left {
        std::fs::remove_dir_all(url.strip_prefix("file://").expect("a folder")).expect("it is there");
    }
    platform.told(&["verify"], 0);
}

/// An S3 server in a process of its own.
struct Storage {
    process: Child,
    url: String,
}

impl Storage {
    async fn start() -> Self {
        let port = free_port();
        let process = Command::new(s3_interpreter())
            .args(["-m", "moto.server", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let url = format!("http://127.0.0.1:{port}");
        let bucket = format!("{url}/bucket");
        eventually("the bucket to be made", || async {
            let made = reqwest::Client::new().put(&bucket).send().await.ok()?;
            made.status().is_success().then_some(())
        })
        .await;
        Self { process, url }
    }

    fn settings(&self) -> [(&str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "a key"),
            ("AWS_SECRET_ACCESS_KEY", "a secret"),
        ]
    }

    /// The names of the objects in the bucket.
    async fn names(&self) -> Vec<String> {
        let listed = reqwest::get(format!("{}/bucket?list-type=2", self.url)).await.expect("it answers");
        let listed = listed.text().await.expect("it is text");
        let keys = listed.split("<Key>").skip(1);
        keys.filter_map(|key| key.split_once("</Key>")).map(|(key, _)| key.to_owned()).collect()
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Over HTTP, with signatures, to a server that is not ours.
async fn another_class_moves_to_s3(platform: &Platform, storage: &Storage) {
    let write = ["--class", "operational", "--before", "0s", "--to", "s3://bucket/a/prefix"];
    let on_s3 = |arguments: &[&str]| {
        let mut command = platform.command(arguments);
        command.envs(storage.settings()).arg("--json").output().expect("it runs")
    };
    let written = on_s3(&write);
    assert!(written.status.success(), "{}", both(&written));
    let names = storage.names().await;
    assert_eq!(names.iter().filter(|name| name.ends_with("manifest.json")).count(), 2, "{names:?}");
    let first = "a/prefix/operational/0000000000000000001-0000000000000030000/";
    assert!(names.iter().all(|name| name.starts_with("a/prefix/operational/")), "{names:?}");
    let part = names.iter().find(|name| name.starts_with(first) && name.ends_with(".parquet")).expect("a part");

    let object = format!("{}/bucket/{part}", storage.url);
    let whole = reqwest::get(&object).await.expect("it answers").bytes().await.expect("bytes");
    let mut flipped = whole.to_vec();
    flipped[whole.len() / 2] ^= 1;
    let put = |bytes: Vec<u8>| reqwest::Client::new().put(&object).body(bytes).send();
    put(flipped).await.expect("it answers").error_for_status().expect("it is put");
    let wrong = on_s3(&["verify", "--class", "operational"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", both(&wrong));
    assert!(both(&wrong).contains("is not the one that was written down"), "{}", both(&wrong));

    // What is wrong is written again by the next run; then it goes, and is still proved.
    let again = on_s3(&[&write[..], &["--detach", "--save-states"]].concat());
    assert!(again.status.success(), "{}", both(&again));
    assert!(!platform.is_there("events_operational_1").await);
    let proved = on_s3(&["verify"]);
    assert!(proved.status.success(), "{}", both(&proved));
    let after = storage.names().await;
    assert!(names.iter().all(|name| after.contains(name)), "nothing was removed: {names:?}, {after:?}");
}

/// What the documentation says about the files works beside them.
fn recipes_run(parent: &tempfile::TempDir) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let output = Command::new(interpreter())
        .arg(root.join("tests/python/recipes.py"))
        .arg(root.join("docs/archive.md"))
        .current_dir(parent.path())
        .output()
        .expect("Python runs");
    let said = both(&output);
    assert!(output.status.success(), "{said}");
    let recipes: Value = serde_json::from_str(said.lines().last().unwrap_or_default()).expect("the last line is JSON");
    assert!(recipes["recipes"].as_u64() >= Some(3), "{said}");
}

#[tokio::test]
async fn what_can_not_be_archived_to_is_said() {
    let platform = database(&schema::MIGRATOR).await;
    let refused = |to: &str| {
        let output = Command::new(binary::coulomb())
            .args(["events", "archive", "--class", "telemetry", "--before", "90d", "--to", to])
            .env("DATABASE_URL", platform.url())
            .output()
            .expect("it runs");
        assert!(!output.status.success(), "{to}: {}", both(&output));
        both(&output)
    };
    let unknown = refused("ftp://example.org/archive");
    assert!(unknown.contains("s3://bucket/prefix") && unknown.contains("a folder"), "{unknown}");
    let secret = refused("s3://key:hidden@bucket/prefix");
    assert!(secret.contains("AWS_SECRET_ACCESS_KEY") && !secret.contains("hidden"), "{secret}");
    let azure = refused("az://container/prefix");
    assert!(azure.contains("AZURE_STORAGE_ACCOUNT_NAME"), "{azure}");
}
