//! A wrong value is refused with the name by which the operator set it.

use std::ffi::OsString;
use std::process::Command;

use clap::{Parser, Subcommand};
use service_host::config::{HttpArgs, LogArgs, try_parse_from};

#[derive(Parser, Debug)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand, Debug)]
enum Role {
    Up(HttpArgs),
}

fn parse(args: &[&str]) -> Result<Cli, String> {
    try_parse_from::<Cli, _>(args.iter().map(OsString::from)).map_err(|error| error.to_string())
}

#[test]
fn a_wrong_flag_is_named() {
    let message = parse(&["coulomb", "up", "--http", "nonsense"]).unwrap_err();
    assert!(message.contains("--http") && message.contains("nonsense"), "{message}");
    assert!(!message.contains("the variable"), "{message}");
    for (given, address) in [("8090", "127.0.0.1:8090"), ("0.0.0.0:80", "0.0.0.0:80"), ("[::1]:0", "[::1]:0")] {
        let Role::Up(args) = parse(&["coulomb", "up", "--http", given]).unwrap().role;
        assert_eq!(args.http.unwrap().to_string(), address);
    }
}

#[test]
fn a_wrong_variable_is_named() {
    // A process of its own, since variables belong to the whole process.
    for (variable, value) in [("COULOMB_HTTP_LISTEN", "nonsense"), ("COULOMB_LOG_FORMAT", "loud")] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "parse_from_environment", "--ignored", "--nocapture"])
            .env(variable, value)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(variable) && said.contains(value), "{said}");
    }
}

#[test]
#[ignore = "is started by another test, with variables of its own"]
fn parse_from_environment() {
    println!("{:?}", parse(&["coulomb", "up"]).map_err(|message| println!("{message}")));
}
