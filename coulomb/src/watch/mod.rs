//! `coulomb watch`: a topic followed live on the terminal, over the WebSocket that phones use.

mod line;

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;

use anyhow::Context;
use simulator::phone::{Account, Heard, Line, LineConfig, LineEvent, TokenBy};
use tokio::sync::mpsc;

use crate::data_dir::DataDir;
use crate::demo_file::{Credentials, DemoFile};
use crate::settings::Settings;
use line::Style;

/// Messages that the terminal has not taken yet. Past that the server is kept waiting, and conflates.
const EVENTS_MAX: usize = 64;

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Topics: me, charger:<id>, session:<id>; for operators also fleet and station:<id>.
Without --url and --email it finds a running `coulomb demo` by its data directory, and follows as its driver, or as its
operator where the topic is an operator's.

Examples:
  coulomb watch fleet
  coulomb watch charger:CP001 --json | jq .data.status
  coulomb watch me --url http://127.0.0.1:8080 --email driver@example.org --password ...")]
pub struct Args {
    /// What to follow, such as charger:CP001, me or fleet
    #[arg(default_value = "me")]
    pub topic: String,

    /// Where Coulomb answers
    #[arg(long, env = "COULOMB_URL", value_name = "URL", requires = "email")]
    pub url: Option<String>,

    /// Whose account to use
    #[arg(long, env = "COULOMB_EMAIL", value_name = "E-MAIL", requires = "password")]
    pub email: Option<String>,

    #[arg(long, env = "COULOMB_PASSWORD", value_name = "PASSWORD", hide_env_values = true, requires = "email")]
    pub password: Option<String>,

    /// The messages as they come, one a line
    #[arg(long)]
    pub json: bool,
}

/// Where to connect, as whom.
struct Target {
    http: String,
    ws: String,
    login: Credentials,
}

pub async fn run(settings: &Settings, args: Args) -> anyhow::Result<()> {
    let target = Target::find(&settings.data_dir, &args)?;
    let Credentials { email, password } = &target.login;
    let account = Account::login(reqwest::Client::new(), &target.http, email, password, None).await;
    let account = account.with_context(|| format!("can't log in at {} as {email}", target.http))?;
    let (sender, mut events) = mpsc::channel(EVENTS_MAX);
    let _line = Line::spawn(LineConfig {
        ws: target.ws,
        account,
        topics: vec![args.topic.clone()],
        token_by: TokenBy::Header,
        events: Some(sender),
        seed: rand::random(),
    });
    let style = Style { json: args.json, color: std::io::stdout().is_terminal() && !args.json };
    let mut out = std::io::stdout().lock();
    let mut is_told = false;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
        };
        let Some(event) = event else { return Ok(()) };
        match &event {
            LineEvent::NotFollowed { topic, why, again_in: None } => {
                anyhow::bail!("{topic}: {}", why.text());
            }
            LineEvent::Message { heard: Heard::News, .. } => is_told = true,
            // Of an older program, which does not say of which topic it speaks.
            LineEvent::Message { message, .. }
                if !is_told && message["type"] == "error" && message["topic"].is_null() =>
            {
                anyhow::bail!("{}: {}", args.topic, message["data"]["detail"].as_str().unwrap_or("refused"));
            }
            _ => {}
        }
        match line::print(&mut out, &event, style).and_then(|()| out.flush()) {
            // Whoever read it has enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
}

impl Target {
    fn find(data_dir: &Path, args: &Args) -> anyhow::Result<Self> {
        let given = args.email.clone().zip(args.password.clone());
        let given = given.map(|(email, password)| Credentials { email, password });
        if let (Some(url), Some(login)) = (&args.url, &given) {
            let http = url.trim_end_matches('/').to_owned();
            anyhow::ensure!(http.starts_with("http://"), "--url begins with http://");
            return Ok(Self { ws: format!("{}/ws", http.replacen("http", "ws", 1)), http, login: login.clone() });
        }
        let demo = DemoFile::read(&DataDir::open(data_dir)?.demo_file())?;
        let operators = args.topic == "fleet" || args.topic.starts_with("station:");
        let login = given.unwrap_or(if operators { demo.operator } else { demo.driver });
        Ok(Self { http: demo.http, ws: demo.ws, login })
    }
}
