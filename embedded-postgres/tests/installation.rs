//! Which binaries are chosen, and what a person reads when there are none.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use embedded_postgres::Installation;

/// A directory with a server that tells the given version.
fn installed(parent: &Path, version: &str) -> PathBuf {
    let bin = parent.join(version).join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    for program in ["postgres", "initdb"] {
        let path = bin.join(program);
        std::fs::write(&path, format!("#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
    bin
}

#[test]
fn the_newest_is_chosen_unless_the_data_wants_another() {
    let parent = tempfile::tempdir().unwrap();
    let places = ["9.6.24", "15.14", "17.2"].map(|version| installed(parent.path(), version));
    assert_eq!(Installation::find_in(&places, None).unwrap().major, 17);
    assert_eq!(Installation::find_in(&places, Some(15)).unwrap().major, 15);
}

#[test]
fn none_at_all_names_the_package() {
    let empty = tempfile::tempdir().unwrap();
    let message = Installation::find_in(&[empty.path().to_owned()], None).unwrap_err().to_string();
    assert!(message.contains("apt-get install postgresql"), "{message}");
}

#[test]
fn one_that_is_too_old_names_the_version_and_the_package() {
    let parent = tempfile::tempdir().unwrap();
    let places = [installed(parent.path(), "13.4")];
    let message = Installation::find_in(&places, None).unwrap_err().to_string();
    assert!(message.contains("Postgres 13") && message.contains("14 is the oldest"), "{message}");
    assert!(message.contains("apt-get install postgresql"), "{message}");
}
