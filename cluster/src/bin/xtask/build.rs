//! Building the program that the cluster runs.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};

use crate::Profile;

/// Builds the program, and answers where it is.
pub async fn coulomb(profile: Profile) -> anyhow::Result<PathBuf> {
    say!("Building the program ...");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = tokio::process::Command::new(cargo);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("a crate is in the repository")?;
    command.args(["build", "--quiet", "--bin", "coulomb", "--message-format", "json-render-diagnostics"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    command.current_dir(root).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let output = command.spawn().context("cargo can't be run")?.wait_with_output().await?;
    ensure!(output.status.success(), "the program can't be built");
    let said = String::from_utf8_lossy(&output.stdout);
    let messages = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let is_coulomb = |message: &serde_json::Value| message["target"]["name"] == "coulomb";
    let mut programs = messages.filter(is_coulomb).filter_map(|message| Some(message["executable"].as_str()?.into()));
    programs.next_back().context("cargo does not say where the program is")
}
