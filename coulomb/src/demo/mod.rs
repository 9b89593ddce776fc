//! `coulomb up` with a network to look at: twenty chargers, ten drivers, and a charger and a driver for whoever looks.

mod against;
mod network;
mod screen;
mod seed;
mod state;

use std::time::Duration;

use anyhow::{Context, bail};
use simulator::town::{Pace, Town, TownConfig};
use tokio::time::{Instant, sleep};

use crate::cli::{DemoArgs, UpArgs};
use crate::data_dir::DataDir;
use crate::demo_file::{self, DemoFile};
use crate::settings::Settings;
use crate::up::Running;
use state::State;

/// For every role to be ready. A database that has been killed may have much to recover.
const READY_WAIT_MAX: Duration = Duration::from_secs(120);
const READY_POLL: Duration = Duration::from_millis(50);

/// The command `coulomb demo`.
pub async fn run(settings: &Settings, args: &DemoArgs) -> anyhow::Result<()> {
    let data_dir = DataDir::open(&settings.data_dir)?;
    let mut state = State::load_or_create(data_dir.demo_state())?;
    let mut up = args.up.clone();
    state.operator.email = up.commands.operator_email.get_or_insert(state.operator.email).clone();
    state.operator.password = up.commands.operator_password.get_or_insert(state.operator.password).clone();
    match (&args.against, &args.against_ocpp) {
        (Some(http), Some(ocpp)) => against::run(&settings.data_dir, &data_dir, state, http, ocpp).await,
        _ => run_here(settings, &data_dir, state, &up).await,
    }
}

/// With the platform in this process.
async fn run_here(settings: &Settings, data_dir: &DataDir, mut state: State, args: &UpArgs) -> anyhow::Result<()> {
    let file = data_dir.demo_file();
    let running = Running::start(settings, args).await?;
    let shutdown = running.shared().shutdown.clone();
    let prepared = async {
        // Only now is the directory known to be ours, and not that of a demo that is running.
        demo_file::remove_stale(&file)?;
        let prepare = async {
            wait_until_ready(&running.http_url()).await?;
            prepare(running.http_url(), running.ocpp_url(), &mut state).await
        };
        tokio::select! {
            prepared = prepare => prepared,
            () = shutdown.begun() => bail!("stopped while starting"),
        }
    };
    let demo = match prepared.await {
        Ok(demo) => demo,
        Err(error) => return running.stop(Err(error), true).await,
    };
    let town = town(&demo, &state);
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

/// The network in the platform that answers there.
fn town(demo: &DemoFile, state: &State) -> Town {
    Town::spawn(TownConfig {
        http: demo.http.clone(),
        ws: demo.ws.clone(),
        chargers: network::chargers(&demo.ocpp, state),
        residents: network::residents(state),
        pace: Pace::of_a_demo(),
        witness: None,
        seed: rand::random(),
    })
}

/// Makes what is not there yet.
async fn prepare(http: String, ocpp: String, state: &mut State) -> anyhow::Result<DemoFile> {
    seed::seed(&http, state).await.context("the demo's network can't be made")?;
    Ok(DemoFile {
        ws: format!("{}/ws", http.replacen("http", "ws", 1)),
        ocpp,
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
