//! `coulomb events archive list`.

use domain::envelope::Retention;
use event_store::archiving::{Leftover, Range};
use serde_json::json;

use super::ListArgs;
use crate::command_database::CommandDatabase;

pub async fn run(database: &CommandDatabase, args: ListArgs) -> anyhow::Result<()> {
    let store = database.store().await?;
    let classes = args.class.map_or(Retention::ALL.to_vec(), |class| vec![class]);
    let mut none = true;
    for class in classes {
        for range in store.archivable_ranges(class).await? {
            none &= range.archive.is_none();
            show(class, &range, args.json);
        }
        for left in store.archive_leftovers(class).await? {
            show_left(class, &left, args.json);
        }
    }
    if none && !args.json {
        say!("Nothing is archived. Whole ranges below the end of the log can be: coulomb events archive --help");
    }
    Ok(())
}

fn show(class: Retention, range: &Range, json: bool) {
    let state = match &range.archive {
        None if range.attached => "in the log",
        None => "dropped, without an archive",
        Some(archive) if archive.detached_at.is_some() => "detached",
        Some(archive) if archive.verified_at.is_some() => "archived",
        Some(_) => "not verified",
    };
    if json {
        let archive = range.archive.as_ref();
        say!(
            "{}",
            json!({
                "class": class.as_str(),
                "first_position": range.first,
                "last_position": range.last,
                "state": state,
                "in_log": range.attached,
                "url": archive.map(|archive| &archive.url),
                "events": archive.map(|archive| archive.events),
                "bytes": archive.map(|archive| archive.bytes),
                "archived_at": archive.map(|archive| archive.archived_at),
                "verified_at": archive.and_then(|archive| archive.verified_at),
                "detached_at": archive.and_then(|archive| archive.detached_at),
            })
        );
        return;
    }
    let (first, last, class) = (range.first, range.last, class.as_str());
    match &range.archive {
        None => say!("{class:<11} {first}-{last}  {state}"),
        Some(archive) => say!(
            "{class:<11} {first}-{last}  {state:<12} {:>10} events {:>8.1} MB  {}",
            archive.events,
            archive.bytes as f64 / 1e6,
            archive.url
        ),
    }
}

/// A folder in which nothing counts.
fn show_left(class: Retention, left: &Leftover, json: bool) {
    let Leftover { url, first, last, unfinished } = left;
    let state = if *unfinished { "unfinished" } else { "left over" };
    let class = class.as_str();
    if json {
        let line = json!({"class": class, "first_position": first, "last_position": last, "state": state, "url": url});
        say!("{line}");
    } else if *unfinished {
        say!("{class:<11} {first}-{last}  {state}, the next run goes on with {url}");
    } else {
        say!("{class:<11} {first}-{last}  {state}, nothing needs {url}: it may be removed");
    }
}
