//! A range of the log, written as parts and, at last, its manifest, to a folder that nothing else is written to.
//!
//! Nothing that is there is changed or removed. Each run gives its parts names of its own, so that one that was frozen and
//! wakes can't write over those of another. What is done is written down by the log, by which the next run goes on: what
//! stands in the storage says nothing of whose it is.

use chrono::{DateTime, Utc};
use domain::envelope::Retention;
use parquet::errors::ParquetError;
use schema::digest::{BlockDigest, block_of};
use schema::log::Position;
use schema::stored::StoredEvent;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::location::{self, Location, Upload};
use crate::manifest::{self, Block, FORMAT, Manifest, Part};
use crate::part::PartWriter;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Location(#[from] location::Error),
    #[error("the Parquet file can't be written")]
    Parquet(#[from] ParquetError),
    #[error("the manifest can't be written")]
    Manifest(#[from] serde_json::Error),
    #[error("position {position} was given after {last}: events of a part come in order")]
    Disorder { position: Position, last: Position },
    #[error("{url} has a manifest already, of another run: run it again to check that one")]
    Taken { url: String },
}

/// What is known of a part that is in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    first_position: i64,
    last_position: i64,
    /// None: there were no events.
    part: Option<Part>,
    blocks: Vec<Block>,
    generations: Vec<i64>,
    recorded_from: Option<DateTime<Utc>>,
    recorded_to: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Unfinished {
    format: u32,
    done: Vec<Done>,
}

pub struct RangeWriter {
    location: Location,
    class: Retention,
    first: i64,
    last: i64,
    done: Vec<Done>,
    /// By which this run's parts are named.
    run: String,
}

impl RangeWriter {
    /// `location`: the folder. `done`: what an interrupted run has [done](Self::done) there, with which this one goes on.
    pub async fn open(
        location: Location,
        class: Retention,
        (first, last): (Position, Position),
        done: Option<&str>,
    ) -> Result<Self, Error> {
        location.remove_remains().await?;
        let done = match done.map(serde_json::from_str::<Unfinished>) {
            Some(Ok(Unfinished { format: FORMAT, done })) => done,
            // Of another program: all is written again.
            Some(_) | None => vec![],
        };
        let there = location.list().await?;
        let is_there = |done: &Done| done.part.as_ref().is_none_or(|part| there.contains(&part.name));
        let wanted: Vec<_> = manifest::parts(first.0, last.0).collect();
        let done = done.into_iter().filter(|done| wanted.contains(&(done.first_position, done.last_position)));
        let done = done.filter(is_there).collect();
        let run = Uuid::new_v4().simple().to_string()[..8].to_owned();
        Ok(Self { location, class, first: first.0, last: last.0, done, run })
    }

    /// The first and the last position of each part that is to be written yet.
    pub fn missing(&self) -> Vec<(Position, Position)> {
        let is_done = |first| self.done.iter().any(|done| done.first_position == first);
        let missing = manifest::parts(self.first, self.last).filter(|(first, _)| !is_done(*first));
        missing.map(|(first, last)| (Position(first), Position(last))).collect()
    }

    /// Begins one of the [missing](Self::missing) parts.
    pub fn part(&self, first: Position, last: Position) -> PartInProgress {
        let said = vec![
            ("coulomb.class", self.class.as_str().to_owned()),
            ("coulomb.positions", format!("{first}-{last}")),
            ("coulomb.format", FORMAT.to_string()),
        ];
        PartInProgress {
            location: self.location.clone(),
            name: manifest::part_name_of(first.0, last.0, &self.run),
            said,
            writing: None,
            events: 0,
            at: Position(first.0 - 1),
            block: None,
            done: Done {
                first_position: first.0,
                last_position: last.0,
                part: None,
                blocks: vec![],
                generations: vec![],
                recorded_from: None,
                recorded_to: None,
            },
        }
    }

    /// Puts a part in its place.
    pub async fn finish_part(&mut self, part: PartInProgress) -> Result<(), Error> {
        self.done.push(part.finish().await?);
        Ok(())
    }

    /// The parts that are in their places, in JSON: to be written down after each.
    pub fn done(&self) -> Result<String, Error> {
        Ok(serde_json::to_string(&Unfinished { format: FORMAT, done: self.done.clone() })?)
    }

    /// Writes the manifest, from where on the range counts. Answers it and its SHA-256.
    pub async fn finish(mut self) -> Result<(Manifest, [u8; 32]), Error> {
        self.done.sort_by_key(|done| done.first_position);
        let mut generations: Vec<_> = self.done.iter().flat_map(|done| done.generations.clone()).collect();
        generations.sort_unstable();
        generations.dedup();
        let manifest = Manifest {
            format: FORMAT,
            class: self.class,
            first_position: self.first,
            last_position: self.last,
            events: self.done.iter().filter_map(|done| done.part.as_ref()).map(|part| part.events).sum(),
            generations,
            recorded_from: self.done.iter().find_map(|done| done.recorded_from),
            recorded_to: self.done.iter().rev().find_map(|done| done.recorded_to),
            parts: self.done.iter().filter_map(|done| done.part.clone()).collect(),
            blocks: self.done.iter().flat_map(|done| done.blocks.clone()).collect(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let json = manifest.to_json()?;
        let sha256 = manifest::sha256(&json);
        if !self.location.put_new(manifest::NAME, json.into()).await? {
            return Err(Error::Taken { url: self.location.url().to_owned() });
        }
        Ok((manifest, sha256))
    }
}

/// A part that is being written. It is begun with its first event: one without events is no file.
pub struct PartInProgress {
    location: Location,
    name: String,
    said: Vec<(&'static str, String)>,
    writing: Option<(PartWriter, Upload)>,
    events: u64,
    at: Position,
    block: Option<BlockDigest>,
    done: Done,
}

impl PartInProgress {
    /// Takes the next event of the part.
    pub async fn push(&mut self, event: StoredEvent) -> Result<(), Error> {
        let position = event.position;
        if position <= self.at || position.0 > self.done.last_position {
            return Err(Error::Disorder { position, last: self.at });
        }
        self.at = position;
        self.note(&event);
        if self.writing.is_none() {
            self.writing = Some((PartWriter::new(&self.said)?, self.location.upload(&self.name).await?));
        }
        if let Some((writer, upload)) = &mut self.writing
            && writer.push(event)?
        {
            upload.write(writer.take()?).await?;
        }
        Ok(())
    }

    fn note(&mut self, event: &StoredEvent) {
        self.events += 1;
        self.done.recorded_from.get_or_insert(event.recorded_at);
        self.done.recorded_to = Some(event.recorded_at);
        if !self.done.generations.contains(&event.generation.0) {
            self.done.generations.push(event.generation.0);
        }
        let block = block_of(event.position);
        if self.block.is_none_or(|of| of.block != block) {
            self.end_block();
        }
        self.block.get_or_insert(BlockDigest::of(block)).take(event.position, event.payload_hash);
    }

    fn end_block(&mut self) {
        if let Some(digest) = self.block.take() {
            self.done.blocks.push(Block { block: digest.block, events: digest.events, digest: digest.hex() });
        }
    }

    async fn finish(mut self) -> Result<Done, Error> {
        self.end_block();
        let Some((writer, mut upload)) = self.writing.take() else { return Ok(self.done) };
        let (last, row_groups) = writer.finish()?;
        upload.write(last).await?;
        let (bytes, sha256) = upload.finish().await?;
        self.done.part = Some(Part {
            name: self.name,
            first_position: self.done.first_position,
            last_position: self.done.last_position,
            events: self.events,
            bytes,
            sha256,
            row_groups,
        });
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::PART_POSITIONS;
    use crate::part::tests::event;

    fn place(folder: &tempfile::TempDir) -> Location {
        Location::parse(folder.path().to_str().expect("a name")).expect("a place").folder("range")
    }

    async fn write(writer: &mut RangeWriter, (first, last): (Position, Position), positions: &[i64]) {
        let mut part = writer.part(first, last);
        for position in positions {
            part.push(event(*position)).await.expect("pushed");
        }
        writer.finish_part(part).await.expect("finished");
    }

    async fn open(folder: &tempfile::TempDir, last: i64, done: Option<&str>) -> RangeWriter {
        let span = (Position(1), Position(last));
        RangeWriter::open(place(folder), Retention::Telemetry, span, done).await.expect("opened")
    }

    #[tokio::test]
    async fn an_interrupted_range_goes_on_with_what_is_done() {
        let folder = tempfile::tempdir().expect("a folder");
        let last = 3 * PART_POSITIONS;
        let mut writer = open(&folder, last, None).await;
        let missing = writer.missing();
        assert_eq!(missing.len(), 3);
        write(&mut writer, missing[0], &[1, 2, 65_537]).await;
        let done = writer.done().expect("JSON");
        let mut cut_off = writer.part(missing[1].0, missing[1].1);
        cut_off.push(event(missing[1].0.0)).await.expect("pushed");
        drop((cut_off, writer));

        let mut writer = open(&folder, last, Some(&done)).await;
        assert_eq!(writer.missing(), missing[1..]);
        write(&mut writer, missing[1], &[]).await;
        write(&mut writer, missing[2], &[missing[2].1.0]).await;
        let (manifest, sha256) = writer.finish().await.expect("finished");
        assert_eq!((manifest.events, manifest.parts.len(), manifest.blocks.len()), (4, 2, 3));
        let json = place(&folder).get(manifest::NAME).await.expect("it is there");
        assert_eq!(manifest::sha256(&json), sha256);
        assert_eq!(Manifest::from_json(&json).expect("it can be read"), manifest);
        assert_eq!(place(&folder).list().await.expect("a list").len(), 3, "nothing else is there");
    }

    #[tokio::test]
    async fn a_frozen_run_that_wakes_harms_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let span = (Position(1), Position(10));
        let mut frozen = open(&folder, 10, None).await;
        let mut late = frozen.part(span.0, span.1);
        late.push(event(3)).await.expect("pushed");

        let mut successor = open(&folder, 10, None).await;
        write(&mut successor, span, &[3]).await;
        let (manifest, _) = successor.finish().await.expect("finished");
        let is_whole = async || {
            let json = place(&folder).get(manifest::NAME).await.expect("it is there");
            assert_eq!(Manifest::from_json(&json).expect("it can be read"), manifest);
            let fetched = place(&folder).fetch(&manifest.parts[0].name).await.expect("it is there");
            assert_eq!(fetched.sha256, manifest.parts[0].sha256);
        };
        is_whole().await;
        // Its staged bytes are gone with the successor's opening, or its part comes to stand beside the other.
        let _ = frozen.finish_part(late).await;
        is_whole().await;
        let error = frozen.finish().await.expect_err("there is a manifest");
        assert!(matches!(error, Error::Taken { .. }), "{error}");
        is_whole().await;
    }

    #[tokio::test]
    async fn what_others_have_there_is_neither_taken_nor_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let theirs = [("unfinished.json", r#"{"format":1,"done":[]}"#), ("events-1-10-other.parquet", "theirs")];
        for (name, bytes) in theirs {
            place(&folder).put(name, bytes.into()).await.expect("put");
        }
        let mut writer = open(&folder, 10, None).await;
        assert_eq!(writer.missing().len(), 1);
        write(&mut writer, (Position(1), Position(10)), &[3]).await;
        writer.finish().await.expect("finished");
        for (name, bytes) in theirs {
            assert_eq!(place(&folder).get(name).await.expect("it is there"), bytes);
        }
    }

    #[tokio::test]
    async fn a_part_that_is_gone_is_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = open(&folder, 10, None).await;
        write(&mut writer, (Position(1), Position(10)), &[3]).await;
        let done = writer.done().expect("JSON");
        assert_eq!(open(&folder, 10, Some(&done)).await.missing().len(), 0);
        let name = writer.done[0].part.clone().expect("a part").name;
        std::fs::remove_file(folder.path().join("range").join(name)).expect("removed");
        assert_eq!(open(&folder, 10, Some(&done)).await.missing().len(), 1);
    }

    #[tokio::test]
    async fn events_out_of_order_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let writer = open(&folder, 10, None).await;
        let mut part = writer.part(Position(1), Position(10));
        part.push(event(3)).await.expect("pushed");
        assert!(matches!(part.push(event(3)).await, Err(Error::Disorder { .. })));
        assert!(matches!(part.push(event(11)).await, Err(Error::Disorder { .. })));
    }
}
