//! `coulomb up` with a network to look at: twenty chargers, ten drivers, and a charger and a driver for whoever looks.

mod network;
mod screen;
mod seed;
mod state;

use std::time::Duration;

use anyhow::{Context, bail};
use simulator::town::{Pace, Town, TownConfig};
use tokio::time::{Instant, sleep};

use crate::cli::UpArgs;
use crate::data_dir::DataDir;
use crate::demo_file::{self, DemoFile};
use crate::settings::Settings;
use crate::up::Running;
use state::State;

/// For every role to be ready. A database that has been killed may have much to recover.
const READY_WAIT_MAX: Duration = Duration::from_secs(120);
const READY_POLL: Duration = Duration::from_millis(50);

/// The command `coulomb demo`.
pub async fn run(settings: &Settings, args: &UpArgs) -> anyhow::Result<()> {
    let data_dir = DataDir::open(&settings.data_dir)?;
    let file = data_dir.demo_file();
    let mut state = State::load_or_create(data_dir.demo_state())?;
    let mut args = args.clone();
    state.operator.email = args.commands.operator_email.get_or_insert(state.operator.email).clone();
    state.operator.password = args.commands.operator_password.get_or_insert(state.operator.password).clone();

    let running = Running::start(settings, &args).await?;
    let shutdown = running.shared().shutdown.clone();
    let prepared = async {
        // Only now is the directory known to be ours, and not that of a demo that is running.
        demo_file::remove_stale(&file)?;
        tokio::select! {
            prepared = prepare(&running, &mut state) => prepared,
            () = shutdown.begun() => bail!("stopped while starting"),
        }
    };
    let demo = match prepared.await {
        Ok(demo) => demo,
        Err(error) => return running.stop(Err(error), true).await,
    };
    let town = Town::spawn(TownConfig {
        http: demo.http.clone(),
        ws: demo.ws.clone(),
        chargers: network::chargers(&demo.ocpp, &state),
        residents: network::residents(&state),
        pace: Pace::of_a_demo(),
        witness: None,
        seed: rand::random(),
    });
    let published = match demo.publish(&file) {
        Ok(published) => published,
        Err(error) => return running.stop(Err(error), true).await,
    };
    screen::show(&demo, &settings.data_dir);
    let evening = async {
        shutdown.begun().await;
        drop((published, town));
    };
    tokio::join!(running.until_ended(), evening).0
}

/// Waits for the roles, and makes what is not there yet.
async fn prepare(running: &Running, state: &mut State) -> anyhow::Result<DemoFile> {
    let http = running.http_url();
    wait_until_ready(&http).await?;
    seed::seed(&http, state).await.context("the demo's network can't be made")?;
    Ok(DemoFile {
        ws: format!("{}/ws", http.replacen("http", "ws", 1)),
        ocpp: running.ocpp_url(),
        driver: state.driver.clone(),
        operator: state.operator.clone(),
        charger: state.charger.clone(),
        http,
    })
}

async fn wait_until_ready(http: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let url = format!("{http}/ready");
    let deadline = Instant::now() + READY_WAIT_MAX;
    loop {
        let answer = client.get(&url).timeout(READY_WAIT_MAX).send().await;
        let said = match answer {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        if Instant::now() > deadline {
            bail!("not ready within {} s: {said}", READY_WAIT_MAX.as_secs());
        }
        sleep(READY_POLL).await;
    }
}
