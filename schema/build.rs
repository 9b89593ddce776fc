//! Files as parts of the crate: the golden files, samples of every stored version, from which columns are derived; and the
//! migrations, since sqlx's macro for those would build sqlx, tokio and TLS a second time, for the compiler.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    made("golden.rs", &golden(&here.join("golden")));
    made("migrations.rs", &migrations(&here.join("migrations")));
}

fn golden(folder: &Path) -> String {
    let mut text = String::from("&[\n");
    for file in in_order(folder).iter().flat_map(|aggregate| in_order(aggregate)) {
        let aggregate = name(file.parent().expect("a folder"));
        let Some((event_type, version)) = name(&file).strip_suffix(".json").and_then(|name| name.split_once(".v"))
        else {
            panic!("{} is not called <EventType>.v<version>.json", file.display())
        };
        writeln!(
            text,
            "    Golden {{ aggregate: {aggregate:?}, event_type: {event_type:?}, version: {version:?}, payload: include_str!({file:?}) }},"
        )
        .expect("a string grows");
    }
    text.push_str("]\n");
    text
}

fn migrations(folder: &Path) -> String {
    let mut text = String::from("&[\n");
    for file in in_order(folder) {
        let Some((version, words)) = name(&file).strip_suffix(".sql").and_then(|name| name.split_once('_')) else {
            panic!("{} is not called <number>_<words>.sql", file.display())
        };
        let version: i64 = version.parse().expect("a number");
        writeln!(text, "    ({version}, {:?}, include_str!({file:?})),", words.replace('_', " "))
            .expect("a string grows");
    }
    text.push_str("]\n");
    text
}

/// What is in a folder, by name.
fn in_order(folder: &Path) -> Vec<PathBuf> {
    println!("cargo:rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder).expect("a folder that can be listed");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a name")
}

fn made(name: &str, text: &str) {
    let path = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join(name);
    fs::write(path, text).expect("the build directory can be written");
}
