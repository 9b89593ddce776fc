//! Where things are that the tests run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program to test.
///
/// # Panics
/// When it can't be built.
pub fn coulomb() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| match std::env::var_os("COULOMB_TEST_BINARY") {
        Some(given) => given.into(),
        None => build(),
    })
}

/// Another build of the program, such as the version before, which tests that know how run beside the one to test.
pub fn other() -> Option<PathBuf> {
    std::env::var_os("COULOMB_TEST_OTHER_BINARY").map(PathBuf::from)
}

/// With the features that the whole workspace has, so that a build of the workspace before this one is not repeated.
fn build() -> PathBuf {
    let profile = profile_directory();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--workspace", "--features", "coulomb/archive", "--bin", "coulomb", "--target-dir"])
        .arg(target_directory());
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.status().expect("cargo runs");
    assert!(built.success(), "the program can't be built");
    profile.join("coulomb")
}

/// `target/debug` or `target/release`: where this test's own binary is, in `deps`.
fn profile_directory() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    own.ancestors().nth(2).expect("a test is in target/<profile>/deps").to_owned()
}

pub(crate) fn target_directory() -> PathBuf {
    profile_directory().parent().expect("a profile is in the target directory").to_owned()
}

/// A program of the installed Postgres, such as `pg_dump`.
///
/// # Panics
/// Without an installation.
pub fn postgres(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)))
        .filter(|path| path.exists())
        .collect();
    versions.sort();
    versions.pop().unwrap_or_else(|| name.into())
}
