//! Structured logs on standard error: readable for people, or one JSON object a line.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, with the fields of the spans around it.
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("RUST_LOG is not a log filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("logs are set up already")]
    AlreadySet(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets up the logs of this process, once. `RUST_LOG` overrides `default_filter` (such as `info,sqlx=warn`).
///
/// # Errors
/// When `RUST_LOG` can't be read, or the process has a subscriber already.
pub fn init(format: LogFormat, default_filter: &str) -> Result<(), Error> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(text)?,
        _ => EnvFilter::try_new(default_filter)?,
    };
    // At trace level it writes down whole messages, and the first one of a phone has its token.
    let no_messages = filter_fn(|meta| {
        *meta.level() != tracing::Level::TRACE || !meta.target().trim_start_matches("tokio_").starts_with("tungstenite")
    });
    let registry = tracing_subscriber::registry().with(filter).with(no_messages);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).try_init()?,
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}
