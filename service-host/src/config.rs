//! Pieces of configuration that roles share, and a parser whose refusals name the variable.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Args, Command, Parser};

use crate::logging::LogFormat;

/// How alike two names are that somebody may have confused: 1 for the same, 0 for nothing in common.
const LIKENESS_MIN: f64 = 0.8;

/// How a process logs.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// How logs are written to standard error; what is logged is chosen by RUST_LOG
    #[arg(long, env = "COULOMB_LOG_FORMAT", value_enum, default_value = "text", global = true, value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// Where one service listens for HTTP; every role has its own default.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct HttpArgs {
    /// Where to listen for HTTP: a port, or address:port; port 0 takes a free one
    #[arg(long, env = "COULOMB_HTTP_LISTEN", value_parser = listen_address, value_name = "[ADDRESS:]PORT")]
    pub http: Option<SocketAddr>,
}

/// An address to listen on; a port alone is one of this machine only.
///
/// # Errors
/// When it is neither; names are not looked up.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| "neither a port nor address:port, such as 8080, 0.0.0.0:8080 or [::1]:8080".to_owned())
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

/// A variable that is set, begins like ours, and is none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    pub name: String,
    /// What was probably meant.
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the variable {} is set, and nothing reads it", self.name)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; is {nearest} meant?"),
            None => f.write_str("; --help names those that are read"),
        }
    }
}

/// The variables of this process that begin with `prefix` and belong to no flag of any command, in order.
pub fn unknown_variables<T: Parser>(prefix: &str) -> Vec<UnknownVariable> {
    let mut command = T::command();
    command.build();
    let set = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    unknown_among(set, &variables(&command), prefix)
}

fn unknown_among(set: impl Iterator<Item = String>, known: &BTreeSet<String>, prefix: &str) -> Vec<UnknownVariable> {
    let bare = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
    let nearest = |name: &str| {
        let rated = known.iter().map(|known| (strsim::jaro(&bare(name), &bare(known)), known));
        let best =
            rated.filter(|(likeness, _)| *likeness >= LIKENESS_MIN).max_by(|one, other| one.0.total_cmp(&other.0));
        best.map(|(_, known)| known.clone())
    };
    let ours: BTreeSet<String> = set.filter(|name| name.starts_with(prefix) && !known.contains(name)).collect();
    ours.into_iter().map(|name| UnknownVariable { nearest: nearest(&name), name }).collect()
}

/// The variables of this command and all below it.
fn variables(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|argument| Some(argument.get_env()?.to_string_lossy().into_owned()));
    own.chain(command.get_subcommands().flat_map(variables)).collect()
}

fn name_variable(error: clap::Error, command: &Command) -> clap::Error {
    if error.kind() == ErrorKind::MissingRequiredArgument {
        return name_missing(error, command);
    }
    let (Some(ContextValue::String(wrong)), Some(ContextValue::String(value))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
    else {
        return error;
    };
    let Some((argument, variable)) = with_variable(command, wrong) else {
        return error;
    };
    let from_environment = std::env::var_os(&variable).is_some_and(|set| set.to_string_lossy() == value.as_str());
    let secret = argument.is_hide_env_values_set();
    if !from_environment && !secret {
        return error;
    }
    let name = if from_environment { format!("the variable {variable}") } else { wrong.clone() };
    // A password in a URL, or a key, is not for the terminal or whoever collects its output.
    let shown = if secret { "a value".to_owned() } else { format!("the value '{value}'") };
    let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    let possible = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) if !values.is_empty() => format!(" [possible: {}]", values.join(", ")),
        _ => String::new(),
    };
    clap::Error::raw(error.kind(), format!("{name} has {shown} that is refused{cause}{possible}\n")).with_cmd(command)
}

/// clap names the flags that are missing; they may as well be given as variables.
fn name_missing(error: clap::Error, command: &Command) -> clap::Error {
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else { return error };
    let named = missing.iter().map(|missing| match with_variable(command, missing) {
        Some((_, variable)) => format!("{missing} (or the variable {variable})"),
        None => missing.clone(),
    });
    let named = named.collect::<Vec<_>>().join(", ");
    clap::Error::raw(error.kind(), format!("what was given needs {named} as well\n")).with_cmd(command)
}

/// The argument that clap writes as `displayed`, in this command or any below it, and its variable.
fn with_variable<'a>(command: &'a Command, displayed: &str) -> Option<(&'a Arg, String)> {
    let own = command.get_arguments().find(|argument| argument.to_string() == displayed);
    own.and_then(|argument| Some((argument, argument.get_env()?.to_string_lossy().into_owned())))
        .or_else(|| command.get_subcommands().find_map(|below| with_variable(below, displayed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_is_named_with_what_was_meant() {
        let known = ["COULOMB_SOCKETS_MAX", "COULOMB_DATA_DIR", "COULOMB_START_DEADLINE", "DATABASE_URL"];
        let known: BTreeSet<String> = known.map(str::to_owned).into();
        let found = |name: &str| unknown_among([name.to_owned()].into_iter(), &known, "COULOMB_");
        for (name, nearest) in [
            ("COULOMB_SOCKET_MAX", Some("COULOMB_SOCKETS_MAX")),
            ("COULOMB_DATADIR", Some("COULOMB_DATA_DIR")),
            ("COULOMB_START_DEADLINE_S", Some("COULOMB_START_DEADLINE")),
            ("COULOMB_DATABASE_URL", Some("DATABASE_URL")),
            ("COULOMB_COFFEE", None),
        ] {
            let nearest = nearest.map(str::to_owned);
            assert_eq!(found(name), [UnknownVariable { name: name.to_owned(), nearest }]);
        }
        for other in ["COULOMB_DATA_DIR", "HOME", "SOCKET_MAX"] {
            assert_eq!(found(other), [], "{other}");
        }
    }
}
