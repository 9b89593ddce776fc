//! All events in one file for each day, an object a line.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::file::HashedFile;
use super::manifest::FileEntry;
use super::range::Sink;
use crate::events::line::Shown;

/// The folder of all events.
const TABLE: &str = "events";

pub struct JsonLines {
    root: PathBuf,
    range: String,
    open: Option<(String, HashedFile, u64)>,
    done: Vec<FileEntry>,
}

impl JsonLines {
    pub fn new(root: &Path, range: String) -> Self {
        Self { root: root.to_owned(), range, open: None, done: vec![] }
    }

    fn close(&mut self) -> anyhow::Result<()> {
        if let Some((day, file, rows)) = self.open.take() {
            self.done.push(file.finish(None, &day, rows)?);
        }
        Ok(())
    }
}

impl Sink for JsonLines {
    fn push(&mut self, shown: &Shown) -> anyhow::Result<()> {
        let day = shown.stored.recorded_at.date_naive().to_string();
        if self.open.as_ref().is_none_or(|(open, _, _)| *open != day) {
            self.close()?;
            let path = Path::new(TABLE).join(format!("day={day}")).join(format!("{}.jsonl", self.range));
            self.open = Some((day, HashedFile::create(&self.root, &path)?, 0));
        }
        if let Some((_, file, rows)) = &mut self.open {
            serde_json::to_writer(&mut *file, &shown.json())?;
            file.write_all(b"\n")?;
            *rows += 1;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Vec<FileEntry>> {
        self.close()?;
        Ok(self.done)
    }
}
