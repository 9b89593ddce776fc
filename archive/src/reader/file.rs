//! A part as far as its end describes it: where its row groups are, of which positions, and with which streams.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes, buf};
use domain::envelope::Retention;
use event_store::ArchiveError;
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::page_index::RowGroupPageIndex;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedRowGroupReader;
use parquet::file::statistics::Statistics;
use schema::log::{Position, StreamId};
use schema::stored::StoredEvent;
use tokio::sync::OnceCell;

use super::{checked, of_location};
use crate::Location;
use crate::manifest::Part;
use crate::part::{self, Column};

/// Of the end of a file, what is fetched at first: most descriptions are shorter.
const END_BYTES: u64 = 256 * 1024;
/// Filters that stand so near to each other are fetched at once.
const FILTERS_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct PartFile {
    metadata: Arc<ParquetMetaData>,
    /// The first and last position of each row group.
    positions: Vec<(i64, i64)>,
    /// For each row group, where streams are looked for first.
    filters: OnceCell<Vec<Option<Sbbf>>>,
}

impl PartFile {
    pub async fn open(location: &Location, part: &Part) -> Result<Self, ArchiveError> {
        let mut wanted = END_BYTES.min(part.bytes);
        let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
        let metadata = loop {
            let end = fetch(location, part, part.bytes - wanted..part.bytes).await?;
            match reader.try_parse_sized(&end, part.bytes) {
                Ok(()) => break reader.finish().map_err(|error| unreadable(location, part, &error))?,
                Err(ParquetError::NeedMoreData(needed)) if (wanted..part.bytes).contains(&(needed as u64 - 1)) => {
                    wanted = needed as u64;
                }
                Err(error) => return Err(unreadable(location, part, &error)),
            }
        };
        let rows: i64 = metadata.row_groups().iter().map(RowGroupMetaData::num_rows).sum();
        if u64::try_from(rows) != Ok(part.events) {
            let what = format!("{} has {rows} events, not {}", part.name, part.events);
            return Err(ArchiveError::Altered { url: location.url().to_owned(), what });
        }
        let of = |group: &RowGroupMetaData| match group.columns().first().and_then(|column| column.statistics()) {
            Some(Statistics::Int64(of)) => of.min_opt().copied().zip(of.max_opt().copied()),
            _ => None,
        };
        let unsaid = (part.first_position, part.last_position);
        let positions = metadata.row_groups().iter().map(|group| of(group).unwrap_or(unsaid)).collect();
        Ok(Self { metadata: Arc::new(metadata), positions, filters: OnceCell::new() })
    }

    /// The row groups that may have events in (`after`, `upto`].
    pub fn groups(&self, after: Position, upto: Position) -> impl Iterator<Item = usize> {
        let may = move |(first, last): &(i64, i64)| *first <= upto.0 && *last > after.0;
        self.positions.iter().enumerate().filter(move |(_, of)| may(of)).map(|(group, _)| group)
    }

    /// Whether a row group may have events of a stream.
    pub async fn may_have(
        &self,
        location: &Location,
        part: &Part,
        group: usize,
        stream: StreamId,
    ) -> Result<bool, ArchiveError> {
        let filters = self.filters.get_or_try_init(|| self.read_filters(location, part)).await?;
        let id = stream.id.to_string();
        Ok(filters.get(group).is_none_or(|filter| filter.as_ref().is_none_or(|filter| filter.check(id.as_bytes()))))
    }

    async fn read_filters(&self, location: &Location, part: &Part) -> Result<Vec<Option<Sbbf>>, ArchiveError> {
        let column = Column::ALL.iter().position(|column| *column == Column::AggregateId).unwrap_or_default();
        let columns: Vec<_> =
            self.metadata.row_groups().iter().filter_map(|group| group.columns().get(column)).collect();
        let place = |offset: Option<i64>, length: Option<i32>| {
            let (start, length) = (u64::try_from(offset?).ok()?, u64::try_from(length?).ok()?);
            Some(start..start.checked_add(length)?).filter(|range| range.end <= part.bytes)
        };
        let places: Vec<Option<Range<u64>>> =
            columns.iter().map(|of| place(of.bloom_filter_offset(), of.bloom_filter_length())).collect();
        let there = || places.iter().flatten();
        let all = there().map(|of| of.start).min().unwrap_or(0)..there().map(|of| of.end).max().unwrap_or(0);
        let at_once = match all.end - all.start {
            0 => return Ok(vec![None; columns.len()]),
            1..=FILTERS_BYTES_MAX => Some(Window::fetch(location, part, all).await?),
            _ => None,
        };
        let mut filters = vec![];
        for (column, place) in columns.iter().zip(&places) {
            let filter = match (place, &at_once) {
                (None, _) => Ok(None),
                (Some(_), Some(window)) => Sbbf::read_from_column_chunk(column, window),
                (Some(place), None) => {
                    let window = Window::fetch(location, part, place.clone()).await?;
                    Sbbf::read_from_column_chunk(column, &window)
                }
            };
            filters.push(filter.map_err(|error| unreadable(location, part, &error))?);
        }
        Ok(filters)
    }

    /// The events of a row group, all of whose values are those that were written, each with the payload that was appended.
    pub async fn decode(
        &self,
        location: &Location,
        part: &Part,
        group: usize,
        class: Retention,
    ) -> Result<Vec<StoredEvent>, ArchiveError> {
        let place = self.metadata.row_group(group).columns().iter().map(|column| column.byte_range());
        let place = place.reduce(|(start, length), (other, of_other)| {
            let end = (start + length).max(other + of_other);
            (start.min(other), end - start.min(other))
        });
        let (start, length) = place.unwrap_or_default();
        let window = Window::fetch(location, part, start..start.saturating_add(length)).await?;
        let metadata = Arc::clone(&self.metadata);
        let expected = part.row_groups.get(group).cloned();
        let span = self.positions.get(group).copied().unwrap_or((part.first_position, part.last_position));
        let decoding = tokio::task::spawn_blocking(move || {
            let properties = Arc::new(ReaderProperties::builder().build());
            let pages = RowGroupPageIndex::new(group, None);
            let reader = SerializedRowGroupReader::new(Arc::new(window), metadata.row_group(group), pages, properties)
                .and_then(|reader| part::decode(&reader))
                .map_err(|error| error.to_string());
            reader.and_then(|events| {
                if expected != Some(part::values_sha256(&events)) {
                    return Err(format!("row group {group} is not the one that was written down"));
                }
                checked::checked(events, span, class)
            })
        });
        let decoded = match decoding.await {
            Ok(decoded) => decoded,
            Err(error) => Err(error.to_string()),
        };
        let altered =
            |what| ArchiveError::Altered { url: location.url().to_owned(), what: format!("{}: {what}", part.name) };
        decoded.map_err(altered)
    }
}

async fn fetch(location: &Location, part: &Part, range: Range<u64>) -> Result<Bytes, ArchiveError> {
    let wanted = range.end.saturating_sub(range.start);
    if range.end > part.bytes {
        let what = format!("{} is shorter than it says", part.name);
        return Err(ArchiveError::Altered { url: location.url().to_owned(), what });
    }
    let fetched = location.get_range(&part.name, range).await;
    let bytes = fetched.map_err(|error| of_location(location.url(), &part.name, error))?;
    if bytes.len() as u64 == wanted {
        return Ok(bytes);
    }
    let what = format!("{} is shorter than its manifest says", part.name);
    Err(ArchiveError::Altered { url: location.url().to_owned(), what })
}

fn unreadable(location: &Location, part: &Part, error: &ParquetError) -> ArchiveError {
    ArchiveError::Altered { url: location.url().to_owned(), what: format!("{}: {error}", part.name) }
}

/// Some of a file's bytes, where they stand in it.
struct Window {
    start: u64,
    bytes: Bytes,
    file_bytes: u64,
}

impl Window {
    async fn fetch(location: &Location, part: &Part, range: Range<u64>) -> Result<Self, ArchiveError> {
        Ok(Self { start: range.start, bytes: fetch(location, part, range).await?, file_bytes: part.bytes })
    }
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.file_bytes
    }
}

impl ChunkReader for Window {
    type T = buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let skipped = start.checked_sub(self.start).filter(|skipped| *skipped <= self.bytes.len() as u64);
        let skipped = skipped.ok_or_else(|| outside(start))?;
        Ok(self.bytes.slice(skipped as usize..).reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let skipped = start.checked_sub(self.start).ok_or_else(|| outside(start))? as usize;
        let end = skipped.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or_else(|| outside(start))?;
        Ok(self.bytes.slice(skipped..end))
    }
}

fn outside(start: u64) -> ParquetError {
    ParquetError::EOF(format!("byte {start} is not where its column is"))
}
