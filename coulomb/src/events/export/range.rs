//! One range of positions, from the log into files.

use chrono::Utc;
use event_store::EventStore;
use event_store::stored::Filter;
use indicatif::ProgressBar;
use schema::log::Position;

use super::Format;
use super::folder::{Folder, range_name};
use super::jsonl::JsonLines;
use super::manifest::{FileEntry, Manifest, Plan};
use crate::events::disclosure::Opener;
use crate::events::line::Shown;

/// Positions from `first` to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub first: i64,
    pub last: i64,
}

impl Range {
    /// The ranges of (`after`, `upto`]. They end at the multiples of `positions`; the last one where the log does, and the
    /// next export goes on from there.
    pub fn of(after: Position, upto: Position, positions: i64) -> impl Iterator<Item = Self> {
        let mut at = after.0;
        std::iter::from_fn(move || {
            let first = at + 1;
            at = (at / positions + 1).saturating_mul(positions).min(upto.0);
            (first <= upto.0).then_some(Self { first, last: at })
        })
    }
}

/// Where events go, in the order of their positions.
pub trait Sink {
    fn push(&mut self, shown: &Shown) -> anyhow::Result<()>;
    /// Every file is on the disk.
    fn finish(self: Box<Self>) -> anyhow::Result<Vec<FileEntry>>;
}

/// Writes a range and publishes it.
pub async fn write(
    store: &EventStore,
    range: &Range,
    filter: &Filter,
    plan: &Plan,
    folder: &mut Folder,
    context: &Context<'_>,
) -> anyhow::Result<Manifest> {
    let unfinished = folder.begin()?;
    let mut sink = sink(plan.format, unfinished.path(), range, context)?;
    let (mut at, upto) = (Position(range.first - 1), Position(range.last));
    let (mut events, mut undecodable) = (0, 0);
    let (mut recorded_from, mut recorded_to) = (None, None);
    while at < upto {
        let look = store.look(at, upto, filter).await?;
        for stored in look.events {
            recorded_from = recorded_from.or(Some(stored.recorded_at));
            recorded_to = Some(stored.recorded_at);
            let shown = Shown::of(stored, context.opener).await?;
            events += 1;
            undecodable += u64::from(shown.undecodable.is_some());
            sink.push(&shown)?;
        }
        context.progress.inc((look.upto.0 - at.0).unsigned_abs());
        at = look.upto;
    }
    let manifest = Manifest {
        first_position: range.first,
        last_position: range.last,
        generation: context.generation,
        schema_version: context.schema_version,
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        exported_at: Utc::now(),
        events,
        undecodable,
        recorded_from,
        recorded_to,
        files: sink.finish()?,
        previous_manifest: folder.last_manifest(),
    };
    folder.publish(unfinished, &manifest)?;
    Ok(manifest)
}

/// What all ranges of a run have in common.
pub struct Context<'a> {
    pub generation: i64,
    pub schema_version: i64,
    pub opener: Option<&'a Opener>,
    pub progress: &'a ProgressBar,
}

#[cfg_attr(not(feature = "archive"), expect(unused_variables, reason = "only Parquet files say what they are"))]
fn sink(format: Format, root: &std::path::Path, range: &Range, context: &Context<'_>) -> anyhow::Result<Box<dyn Sink>> {
    let name = range_name(range.first, range.last);
    Ok(match format {
        Format::Jsonl => Box::new(JsonLines::new(root, name)),
        #[cfg(feature = "archive")]
        Format::Parquet => {
            let said = vec![
                ("coulomb.positions", format!("{}-{}", range.first, range.last)),
                ("coulomb.generation", context.generation.to_string()),
                ("coulomb.schema_version", context.schema_version.to_string()),
            ];
            Box::new(super::parquet::Tables::new(root, name, said))
        }
        #[cfg(not(feature = "archive"))]
        Format::Parquet => anyhow::bail!("this program was built without Parquet"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_at_fixed_positions() {
        let ranges = |after, upto| {
            Range::of(Position(after), Position(upto), 1_000).map(|range| (range.first, range.last)).collect::<Vec<_>>()
        };
        assert_eq!(ranges(0, 2_500), [(1, 1_000), (1_001, 2_000), (2_001, 2_500)]);
        assert_eq!(ranges(2_500, 3_000), [(2_501, 3_000)], "the next export goes on within the range");
        assert_eq!(ranges(999, 1_001), [(1_000, 1_000), (1_001, 1_001)]);
        assert_eq!(ranges(5, 5), []);
    }
}
