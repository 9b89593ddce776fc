//! What the program says of the past, before and after it has moved to archives.

use std::process::{Command, Output};

use serde_json::{Value, json};
use tests::binary;

use super::{Platform, both};

/// Some in each of the ranges that move.
const POSITIONS: [i64; 3] = [2_000, 20_000, 45_000];
/// Read models that are made of what moves.
const MODELS: [&str; 2] = ["sessions", "charge_points"];

fn projections(platform: &Platform, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary::coulomb());
    command.arg("projections").args(arguments).env("DATABASE_URL", platform.database.url());
    // Which it would warn of.
    command.env_remove("COULOMB_TEST_BINARY");
    command.envs(settings.iter().copied()).output().expect("it runs")
}

/// What was at some positions: as the program says it that runs, and as a fresh one does.
pub(super) async fn looked(platform: &Platform, storage: &[(&str, &str)]) -> Vec<String> {
    let operator = platform.network.operator().await;
    let mut said = vec![];
    for position in POSITIONS {
        let path = format!("/api/sessions/{}?as_of={position}", platform.open.session);
        said.push(operator.get(&path).await.expect("it was there").to_string());
        for model in MODELS {
            let at = position.to_string();
            let looked = projections(platform, &["as-of", model, "--at", &at, "--json"], storage);
            // A slow machine is warned of elsewhere.
            let rows = String::from_utf8_lossy(&looked.stdout).into_owned();
            let well = looked.status.success() && rows.contains(r#""as_of""#);
            assert!(well, "{model} at {position}: {}", both(&looked));
            said.push(rows);
        }
    }
    said
}

/// What is proved and built again takes archives from the folder and from S3, or says that it can't have them.
pub(super) fn proved_and_built(platform: &Platform, storage: &[(&str, &str)]) {
    let last = |arguments: &[&str], settings: &[(&str, &str)]| {
        let output = projections(platform, arguments, settings);
        let (well, said) = (output.status.success(), both(&output));
        let line = said.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        (well, line.unwrap_or_default(), said)
    };
    let (sound, report, said) = last(&["verify", "--json"], storage);
    assert!(sound && report["sound"] == true && report["not_kept"] == 0, "{said}");
    assert!(report["archived"].as_i64() > Some(30_000), "{said}");

    let elsewhere = [storage, &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]].concat();
    let (built, _, said) = last(&["rebuild", "sessions", "--json"], &elsewhere);
    assert!(!built && said.contains("s3://bucket/a/prefix") && said.contains("can't be read"), "{said}");
    let (built, line, said) = last(&["rebuild", "sessions", "--json"], storage);
    assert!(built && line["stage"] == "joined", "{said}");
    let compared = &line["compared"];
    let differing = ["only_live", "only_shadow", "changed"].map(|of| compared[of].clone());
    assert_eq!(differing, [json!(0), json!(0), json!(0)], "{said}");
    assert!(compared["shadow_rows"].as_i64() >= Some(4), "{said}");
    let (dropped, _, said) = last(&["drop", "sessions"], storage);
    assert!(dropped, "{said}");
}
