//! How each process of the program is started.

use std::path::{Path, PathBuf};

use owned_process::Program;

use crate::database::Database;
use crate::error::Error;
use crate::options::Options;
use crate::part::Part;
use crate::ports::Ports;
use crate::process::{LOG_TAIL_LINES, Ready, Recipe, owned};
use crate::secrets::Secrets;

/// Of each process, so that all find room in one server.
const CONNECTIONS: &str = "12";
const NO_LIMIT: &str = "100000,6000000";
/// Variables for who starts the program for a test: limits by address would meet everybody at once, since all come from one
/// machine.
pub const NO_LIMITS: [(&str, &str); 4] = [
    ("COULOMB_RATE_ADDRESS", NO_LIMIT),
    ("COULOMB_RATE_LOGIN_ADDRESS", NO_LIMIT),
    ("COULOMB_RATE_REGISTER", NO_LIMIT),
    ("COULOMB_RATE_DRIVER", NO_LIMIT),
];

/// The program, without what the machine's own environment says to it.
pub fn program(path: impl Into<PathBuf>) -> Program {
    let others = ["DATABASE_URL", "KAFKA_BROKERS", "RUST_LOG"];
    Program::new(path).without(|name| name.starts_with("COULOMB_") || others.contains(&name))
}

/// What all processes of the program are told.
pub(crate) fn environment(
    options: &Options,
    database: &Database,
    secrets: &Secrets,
    kafka_brokers: Option<&str>,
) -> Vec<(String, String)> {
    let mut all = vec![
        ("DATABASE_URL", database.url_for_roles()),
        ("COULOMB_DATABASE_CONNECTIONS", CONNECTIONS.to_owned()),
        ("COULOMB_MASTER_KEY", secrets.master_key.clone()),
        ("COULOMB_OPERATOR_EMAIL", secrets.operator_email.clone()),
        ("COULOMB_OPERATOR_PASSWORD", secrets.operator_password.clone()),
        ("COULOMB_TRUSTED_PROXIES", "127.0.0.1".to_owned()),
    ];
    if database.pooled() {
        all.push(("COULOMB_DATABASE_POOLER", "transaction".to_owned()));
        all.push(("COULOMB_DIRECT_DATABASE_URL", database.direct_url()));
    }
    // All hosts: whichever is the standby is read from.
    if options.replica {
        all.push(("COULOMB_READ_DATABASE_URL", database.direct_url()));
    }
    if let Some(brokers) = kafka_brokers {
        all.push(("KAFKA_BROKERS", brokers.to_owned()));
    }
    all.extend(NO_LIMITS.map(|(name, value)| (name, value.to_owned())));
    let all = all.into_iter().map(|(name, value)| (name.to_owned(), value));
    with(all.collect(), &options.environment)
}

/// Those of `more` go before others of the same name.
fn with(mut all: Vec<(String, String)>, more: &[(String, String)]) -> Vec<(String, String)> {
    all.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    all.extend(more.iter().cloned());
    all
}

/// The process of a role, and where its `/ready` and `/metrics` are.
pub(crate) fn recipe(
    part: Part,
    options: &Options,
    environment: &[(String, String)],
    ports: &mut Ports,
) -> Result<Recipe, Error> {
    let (role, chargers) = match part {
        Part::Relay(_) => ("relay", None),
        Part::Projection(_) => ("projection-service", None),
        Part::Command(_) => ("command-service", None),
        Part::Realtime(_) => ("realtime-api", None),
        Part::Edge(_) => ("ocpp-edge", Some(ports.of(&format!("{part}-ocpp"))?)),
        Part::Kafka(_) | Part::Postgres(_) | Part::PgBouncer | Part::Nginx | Part::Traffic => {
            return Err(Error::NoPart(part));
        }
    };
    let http = ports.of(&part.to_string())?;
    let mut arguments = vec![role.to_owned(), "--http".to_owned(), http.to_string()];
    arguments.extend(chargers.into_iter().flat_map(|port| ["--ocpp".to_owned(), port.to_string()]));
    Ok(Recipe {
        part,
        program: program(&options.program).args(arguments).envs(environment.iter().map(|(name, value)| (name, value))),
        ready: Ready::Http(format!("http://127.0.0.1:{http}/ready")),
    })
}

/// All processes that are wanted.
pub(crate) fn parts(options: &Options) -> Vec<Part> {
    // Without Kafka there is nothing to relay to.
    let relays = if options.kafka_nodes == 0 { 0 } else { options.relays };
    let Options { projections, commands, realtimes, edges, .. } = options;
    let of = |part: fn(u16) -> Part, number: u16| (1..=number).map(part);
    let all = of(Part::Relay, relays).chain(of(Part::Projection, *projections)).chain(of(Part::Command, *commands));
    all.chain(of(Part::Realtime, *realtimes)).chain(of(Part::Edge, *edges)).collect()
}

/// Brings the database to the program's version.
pub(crate) async fn migrate(
    options: &Options,
    directory: &Path,
    database: &Database,
    environment: Vec<(String, String)>,
) -> Result<(), Error> {
    // Past PgBouncer: migrations hold a lock of their session.
    let url = database.url_of(database.primary()).unwrap_or_default();
    let of_the_way = ["COULOMB_DATABASE_POOLER", "COULOMB_DIRECT_DATABASE_URL", "COULOMB_READ_DATABASE_URL"];
    let mut environment = with(environment, &[("DATABASE_URL".to_owned(), url)]);
    environment.retain(|(name, _)| !of_the_way.contains(&name.as_str()));
    let mut migration = owned(directory, "migrate");
    migration.launch(&program(&options.program).arg("migrate").envs(environment)).await?;
    let ended = migration.ended().await.map_err(Error::file("can't wait for", &options.program))?;
    if ended.success() { Ok(()) } else { Err(Error::Migrate(migration.said_last(LOG_TAIL_LINES))) }
}

/// The chargers and drivers of the demo.
pub(crate) fn demo(options: &Options, directory: &Path, secrets: &Secrets, http: &str, ocpp: &str) -> Recipe {
    let home = directory.join("traffic");
    let arguments = ["demo", "--against", http, "--against-ocpp", ocpp];
    let environment = [
        ("COULOMB_DATA_DIR", home.display().to_string()),
        ("COULOMB_OPERATOR_EMAIL", secrets.operator_email.clone()),
        ("COULOMB_OPERATOR_PASSWORD", secrets.operator_password.clone()),
    ];
    Recipe {
        part: Part::Traffic,
        program: program(&options.program).args(arguments).envs(environment),
        ready: Ready::File(home.join("demo.json")),
    }
}
