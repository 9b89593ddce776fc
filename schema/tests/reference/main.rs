//! Of every event and every member it is said what it means: in the doc comments of `domain`, kept as data in
//! `reference/events.json`.
//!
//! A change of a comment, or of an event, fails here until the file is written anew: run the tests once with
//! `COULOMB_WRITE_GOLDEN=1`.

mod meaning;
mod schemas;
mod source;

use std::fs;
use std::path::Path;

use meaning::gather;

#[test]
fn of_every_event_and_member_it_is_said_what_it_means() {
    let missing = gather().missing;
    assert!(
        missing.is_empty(),
        "{} have no meaning: say in a doc comment (`///`) in `domain` what it is, with its unit, and what null means\n{}",
        missing.len(),
        missing.join("\n")
    );
}

#[test]
fn the_file_says_what_the_sources_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/events.json");
    let said = format!("{}\n", serde_json::to_string_pretty(&gather().meanings).expect("JSON"));
    if std::env::var_os("COULOMB_WRITE_GOLDEN").is_some() {
        fs::write(&file, &said).expect("the file can be written");
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    let differ = kept.lines().zip(said.lines()).find(|(kept, said)| kept != said);
    assert!(
        kept == said,
        "schema/reference/events.json is stale: COULOMB_WRITE_GOLDEN=1 cargo test -p schema --test reference writes it. \
         First difference: {differ:?}"
    );
}
