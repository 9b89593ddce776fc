//! A file for each event type and day, its columns typed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archive::{Column, TableWriter};
use schema::columns::{self, Cell, ColumnType, ENVELOPE, EventTable};
use serde_json::{Map, Value};

use super::file::HashedFile;
use super::manifest::FileEntry;
use super::range::Sink;
use crate::events::line::Shown;

/// Of rows that no file has yet. Past that the largest table writes its own.
const BUFFERED_BYTES_MAX: usize = 96 * 1024 * 1024;
/// The table of what can't be understood, as it is stored.
const UNDECODABLE: &str = "undecodable";
/// What a typed column does not hold, or not exactly, as a JSON object.
const UNTYPED: &str = "untyped";

pub struct Tables {
    root: PathBuf,
    range: String,
    said: Vec<(&'static str, String)>,
    day: String,
    open: BTreeMap<String, (TableWriter<HashedFile>, u64)>,
    done: Vec<FileEntry>,
}

impl Tables {
    pub fn new(root: &Path, range: String, said: Vec<(&'static str, String)>) -> Self {
        Self { root: root.to_owned(), range, said, day: String::new(), open: BTreeMap::new(), done: vec![] }
    }

    /// Time never goes back as positions rise: a day that has passed gets nothing more.
    fn close_day(&mut self) -> anyhow::Result<()> {
        for (table, (writer, rows)) in std::mem::take(&mut self.open) {
            self.done.push(writer.finish()?.finish(Some(&table), &self.day, rows)?);
        }
        Ok(())
    }

    fn write(&mut self, name: &str, columns: impl FnOnce() -> Vec<Column>, cells: &[Cell]) -> anyhow::Result<()> {
        if !self.open.contains_key(name) {
            let path = Path::new(name).join(format!("day={}", self.day)).join(format!("{}.parquet", self.range));
            let file = HashedFile::create(&self.root, &path)?;
            let writer = TableWriter::new(file, name, &columns(), &self.said)?;
            self.open.insert(name.to_owned(), (writer, 0));
        }
        if let Some((writer, rows)) = self.open.get_mut(name) {
            writer.push(cells)?;
            *rows += 1;
        }
        let buffered: usize = self.open.values().map(|(writer, _)| writer.buffered_bytes()).sum();
        if buffered > BUFFERED_BYTES_MAX
            && let Some((largest, _)) = self.open.values_mut().max_by_key(|(writer, _)| writer.buffered_bytes())
        {
            largest.flush()?;
        }
        Ok(())
    }
}

impl Sink for Tables {
    fn push(&mut self, shown: &Shown) -> anyhow::Result<()> {
        let day = shown.stored.recorded_at.date_naive().to_string();
        if day != self.day {
            self.close_day()?;
            self.day = day;
        }
        let mut cells = columns::row::envelope(&shown.stored);
        match shown.table {
            Some(table) => {
                cells.extend(own_cells(table, &shown.members));
                self.write(&table.name, || table_columns(table), &cells)
            }
            None => {
                cells.push(Cell::Text(shown.stored.payload.clone()));
                cells.push(shown.undecodable.clone().map_or(Cell::Null, Cell::Text));
                self.write(UNDECODABLE, undecodable_columns, &cells)
            }
        }
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Vec<FileEntry>> {
        self.close_day()?;
        Ok(self.done)
    }
}

fn envelope_columns() -> impl Iterator<Item = Column> {
    ENVELOPE.iter().map(|column| Column { name: column.name.to_owned(), column_type: column.column_type })
}

fn table_columns(table: &EventTable) -> Vec<Column> {
    let own = table.columns.iter().map(|column| Column { name: column.name.clone(), column_type: column.column_type });
    let untyped = Column { name: UNTYPED.to_owned(), column_type: ColumnType::Json };
    envelope_columns().chain(own).chain([untyped]).collect()
}

fn undecodable_columns() -> Vec<Column> {
    let own = [("payload", ColumnType::Json), ("undecodable", ColumnType::Text)];
    let own = own.map(|(name, column_type)| Column { name: name.to_owned(), column_type });
    envelope_columns().chain(own).collect()
}

fn own_cells(table: &EventTable, members: &Value) -> Vec<Cell> {
    let (mut cells, rest) = columns::row::cells(table, members);
    let mut rest = match rest {
        Some(Value::Object(rest)) => rest,
        _ => Map::new(),
    };
    for (column, cell) in table.columns.iter().zip(&cells).filter(|(_, cell)| !archive::holds(cell)) {
        rest.insert(column.name.clone(), cell.to_json());
    }
    cells.push(if rest.is_empty() { Cell::Null } else { Cell::Text(Value::Object(rest).to_string()) });
    cells
}
