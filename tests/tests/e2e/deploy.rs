//! What is in `docker`, by the tools that will read it: each part of `scripts/check-deploy` is a test.

use std::path::Path;
use std::process::Command;

/// # Panics
/// When the part is not as it should be; with what the tool says.
fn passes(part: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is a room of the workspace");
    let checked = Command::new(root.join("scripts/check-deploy")).arg(part).output().expect("bash runs");
    let said = [checked.stdout, checked.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(checked.status.success(), "{said}");
}

#[test]
fn hadolint_finds_nothing_in_the_dockerfile() {
    passes("dockerfile");
}

#[test]
fn compose_loads_its_files() {
    passes("compose");
}

#[test]
fn manifests_are_valid_and_what_they_refer_to_is_there() {
    passes("kubernetes");
}

#[test]
fn nginx_routes_and_tries_again_what_may_be() {
    passes("nginx");
}

#[test]
fn each_alert_fires_when_it_should() {
    passes("prometheus");
}

#[test]
fn rules_and_dashboards_ask_for_what_is_recorded() {
    passes("queries");
}

#[test]
fn variables_that_are_set_are_read() {
    passes("settings");
}

#[test]
fn a_standby_is_made_promoted_and_made_again() {
    passes("postgres");
}

#[test]
fn shellcheck_finds_nothing_in_the_scripts() {
    passes("scripts");
}
