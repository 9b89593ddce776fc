//! Pieces of configuration that roles share, and a parser whose refusals name the variable.

use std::net::SocketAddr;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Command, Parser};

use crate::logging::LogFormat;

/// How a process logs.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// How logs are written to standard error; what is logged is chosen by RUST_LOG
    #[arg(long, env = "COULOMB_LOG_FORMAT", value_enum, default_value = "text", global = true, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// Where one service listens.
#[derive(Args, Clone, Copy, Debug)]
pub struct HttpArgs {
    /// Address and port for HTTP; port 0 takes a free one
    #[arg(long = "http", env = "COULOMB_HTTP_LISTEN", value_name = "ADDRESS:PORT")]
    pub http: Option<SocketAddr>,
}

/// Parses the command line and the environment, or ends the process with what was wrong.
///
/// clap names the flag whose value is wrong even when the value came from the environment; the operator who set the
/// variable looks for the variable, so that is named too.
pub fn parse_or_exit<T: Parser>() -> T {
    match try_parse_from::<T, _>(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => error.exit(),
    }
}

/// [`parse_or_exit`] without the exit.
///
/// # Errors
/// What clap refuses, or the text of `--help` and `--version`.
pub fn try_parse_from<T, I>(args: I) -> Result<T, clap::Error>
where
    T: Parser,
    I: IntoIterator<Item = std::ffi::OsString>,
{
    T::try_parse_from(args).map_err(|error| {
        let mut command = T::command();
        // Arguments can be written as clap writes them only once the command is complete.
        command.build();
        name_variable(error, &command)
    })
}

fn name_variable(error: clap::Error, command: &Command) -> clap::Error {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else {
        return error;
    };
    let Some(variable) = variable_of(command, wrong) else {
        return error;
    };
    let from_environment = std::env::var_os(&variable).is_some_and(|set| set.to_string_lossy() == value.as_str());
    if !from_environment {
        return error;
    }
    let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    clap::Error::raw(
        error.kind(),
        format!("the variable {variable} has the value '{value}', which is refused{cause}\n"),
    )
    .with_cmd(command)
}

/// The variable of the argument that clap writes as `displayed`, in this command or any below it.
fn variable_of(command: &Command, displayed: &str) -> Option<String> {
    let own = command.get_arguments().find(|argument| argument.to_string() == displayed);
    own.and_then(|argument| argument.get_env())
        .map(|name| name.to_string_lossy().into_owned())
        .or_else(|| command.get_subcommands().find_map(|below| variable_of(below, displayed)))
}
