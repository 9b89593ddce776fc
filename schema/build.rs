//! The golden files as part of the crate: they are samples of every stored version, from which columns are derived.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=golden");
    // What the migrator holds is read by a macro, which sees no file that is new.
    println!("cargo:rerun-if-changed=migrations");
    let golden = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("golden");
    let mut files: Vec<_> = fs::read_dir(&golden)
        .expect("there are golden files")
        .flat_map(|aggregate| fs::read_dir(aggregate.expect("it can be listed").path()).expect("a folder"))
        .map(|file| file.expect("it can be listed").path())
        .collect();
    files.sort();
    let mut text = String::from("&[\n");
    for file in files {
        println!("cargo:rerun-if-changed={}", file.display());
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        let aggregate =
            file.parent().and_then(|folder| folder.file_name()).and_then(|name| name.to_str()).expect("a name");
        let Some((event_type, version)) = name.strip_suffix(".json").and_then(|name| name.split_once(".v")) else {
            panic!("{} is not called <EventType>.v<version>.json", file.display())
        };
        writeln!(
            text,
            "    Golden {{ aggregate: {aggregate:?}, event_type: {event_type:?}, version: {version:?}, payload: include_str!({file:?}) }},"
        )
        .expect("a string grows");
    }
    text.push_str("]\n");
    let made = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("golden.rs");
    fs::write(made, text).expect("the build directory can be written");
}
