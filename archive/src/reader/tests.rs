use std::path::PathBuf;

use domain::envelope::Retention;
use domain::event::AggregateType;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::manifest::Part;
use crate::part::PartWriter;
use crate::part::tests::event;

/// Every third position up to 120,000, in two parts.
fn events() -> Vec<StoredEvent> {
    (1..=40_000).map(|n| event(n * 3)).collect()
}

fn part_name(first: i64) -> String {
    format!("events-{first}.parquet")
}

async fn archive(folder: &TempDir) -> ArchivedRange {
    archive_altered(folder, |_| {}).await
}

/// Events are altered as they are written, after their manifest was made.
async fn archive_altered(folder: &TempDir, alter: fn(&mut StoredEvent)) -> ArchivedRange {
    let place = Location::parse(folder.path().to_str().expect("a path")).expect("a place");
    let (first, second) = (events()[..25_000].to_vec(), events()[25_000..].to_vec());
    let mut parts = vec![];
    for (first_position, last_position, events) in [(1, 75_000, first), (75_001, 120_000, second)] {
        let count = events.len() as u64;
        let mut part = PartWriter::new(&[]).expect("a part");
        let mut file = vec![];
        let mut known = PartWriter::new(&[]).expect("a part");
        for mut event in events {
            known.push(event.clone()).expect("pushed");
            alter(&mut event);
            if part.push(event).expect("pushed") {
                file.extend(part.take().expect("taken"));
            }
        }
        file.extend(part.finish().expect("finished").0);
        let row_groups = known.finish().expect("finished").1;
        let name = part_name(first_position);
        let (bytes, sha256) = (file.len() as u64, String::new());
        place.put(&name, file.into()).await.expect("put");
        parts.push(Part { name, first_position, last_position, events: count, bytes, sha256, row_groups });
    }
    let manifest = Manifest {
        format: manifest::FORMAT,
        class: Retention::Telemetry,
        first_position: 1,
        last_position: 120_000,
        events: 40_000,
        generations: vec![1],
        recorded_from: None,
        recorded_to: None,
        parts,
        blocks: vec![],
        program_version: String::new(),
    };
    let json = manifest.to_json().expect("JSON");
    let manifest_sha256 = manifest::sha256(&json);
    place.put(manifest::NAME, json.into()).await.expect("put");
    ArchivedRange {
        retention: Retention::Telemetry,
        first: Position(1),
        last: Position(120_000),
        url: place.url().to_owned(),
        manifest_sha256,
        events: 40_000,
    }
}

async fn read(reader: &Reader, range: &ArchivedRange, after: i64, upto: i64) -> Result<Vec<StoredEvent>, ArchiveError> {
    reader.read(range, Position(after), Position(upto), None).await
}

#[tokio::test]
async fn what_was_archived_is_read_back_by_position() {
    let folder = TempDir::new().expect("a folder");
    let range = archive(&folder).await;
    let (reader, all) = (Reader::default(), events());
    for (after, upto) in
        [(0, 120_000), (0, 3), (3, 5), (74_990, 75_020), (49_152, 49_153), (119_999, 120_000), (60_000, 60_000)]
    {
        let expected: Vec<_> = all.iter().filter(|event| (after + 1..=upto).contains(&event.position.0)).collect();
        let found = read(&reader, &range, after, upto).await.expect("read");
        assert!(found.iter().eq(expected), "{after} to {upto}: {} events", found.len());
    }
}

#[tokio::test]
async fn one_stream_is_found_without_reading_the_others() {
    let folder = TempDir::new().expect("a folder");
    let range = archive(&folder).await;
    let (reader, all) = (Reader::default(), events());
    let of = |id: u128| StreamId { aggregate: AggregateType::ChargingSession, id: Uuid::from_u128(id) };
    let there = of(7);
    let found = reader.read(&range, Position(10), Position(100_000), Some(there)).await.expect("read");
    let expected =
        all.iter().filter(|event| event.aggregate_id == there.id && (11..=100_000).contains(&event.position.0));
    assert!(!found.is_empty() && found.iter().eq(expected));
    let other = StreamId { aggregate: AggregateType::Token, id: there.id };
    assert!(reader.read(&range, Position(10), Position(100_000), Some(other)).await.expect("read").is_empty());

    // For streams that are in no row group, hardly ever is one decoded.
    let mut in_vain = 0;
    for id in 1_000..1_100 {
        let fresh = Reader::default();
        let found = fresh.read(&range, Position(0), Position(120_000), Some(of(id))).await.expect("read");
        assert!(found.is_empty());
        in_vain += fresh.groups.len();
    }
    assert!(in_vain < 20, "{in_vain} of 300 row groups were decoded in vain");
}

fn part_of(folder: &TempDir) -> PathBuf {
    folder.path().join(part_name(1))
}

fn change(path: &PathBuf, at: impl FnOnce(&[u8]) -> usize) {
    let mut file = std::fs::read(path).expect("read");
    let at = at(&file);
    file[at] ^= 1;
    std::fs::write(path, file).expect("written");
}

#[tokio::test]
async fn what_is_not_what_was_archived_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let range = archive(&folder).await;
    let altered = |result: Result<Vec<StoredEvent>, ArchiveError>| match result {
        Err(ArchiveError::Altered { what, .. }) => what,
        other => panic!("{:?}", other.map(|events| events.len())),
    };
    // Somewhere in the payloads of the first row group, which are most of it.
    let good = std::fs::read(part_of(&folder)).expect("read");
    change(&part_of(&folder), |file| file.windows(4).position(|four| four == b"\"n\" ").expect("a payload") + 1);
    let told = altered(read(&Reader::default(), &range, 0, 10).await);
    assert!(told.starts_with("events-"), "{told}");
    // Its end.
    std::fs::write(part_of(&folder), &good[..good.len() - 100]).expect("written");
    altered(read(&Reader::default(), &range, 0, 10).await);
    // None of it.
    std::fs::remove_file(part_of(&folder)).expect("removed");
    let gone = read(&Reader::default(), &range, 0, 10).await;
    assert!(matches!(&gone, Err(ArchiveError::Missing { what, .. }) if what.starts_with("events-")), "{gone:?}");
    // What does not need it is read.
    assert!(!read(&Reader::default(), &range, 80_000, 80_010).await.expect("read").is_empty());
    // Another manifest.
    change(&folder.path().join(manifest::NAME), |json| json.len() - 3);
    let told = altered(read(&Reader::default(), &range, 80_000, 80_010).await);
    assert!(told.contains("hash"), "{told}");
    std::fs::remove_file(folder.path().join(manifest::NAME)).expect("removed");
    let gone = read(&Reader::default(), &range, 0, 10).await;
    assert!(matches!(&gone, Err(ArchiveError::Missing { what, .. }) if what == manifest::NAME), "{gone:?}");
}

/// Every value counts, not only payloads.
#[tokio::test]
async fn a_value_beside_the_payload_that_was_altered_is_noticed() {
    let alterations: [fn(&mut StoredEvent); 4] = [
        |event| event.sequence += i64::from(event.position == Position(3)),
        |event| event.metadata = event.metadata.replace('{', "{ "),
        |event| event.aggregate_id = Uuid::nil(),
        |event| event.recorded_at += std::time::Duration::from_micros(1),
    ];
    for (which, alter) in alterations.into_iter().enumerate() {
        let folder = TempDir::new().expect("a folder");
        let range = archive_altered(&folder, alter).await;
        let told = read(&Reader::default(), &range, 0, 10).await.map(|events| events.len());
        let noticed =
            matches!(&told, Err(ArchiveError::Altered { what, .. }) if what.contains("row group 0 is not the one"));
        assert!(noticed, "{which}: {told:?}");
    }
}

/// A reader that failed tries again: storage comes back.
#[tokio::test]
async fn storage_that_was_away_is_asked_again() {
    let folder = TempDir::new().expect("a folder");
    let range = archive(&folder).await;
    let away = folder.path().with_extension("away");
    std::fs::rename(folder.path(), &away).expect("moved");
    let reader = Reader::default();
    assert!(read(&reader, &range, 0, 10).await.is_err());
    std::fs::rename(&away, folder.path()).expect("moved back");
    assert_eq!(read(&reader, &range, 0, 10).await.expect("read").len(), 3);
}
