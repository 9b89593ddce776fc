//! How each process of the program is started.

use std::path::Path;

use crate::database::Database;
use crate::error::Error;
use crate::options::Options;
use crate::part::Part;
use crate::ports::Ports;
use crate::process::{Ready, Recipe};
use crate::secrets::Secrets;

/// Of each process, so that all find room in one server.
const CONNECTIONS: &str = "12";
/// Limits by address would meet everybody at once: all come from this machine.
const NO_LIMIT: &str = "100000,6000000";

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
    let rates = ["COULOMB_RATE_ADDRESS", "COULOMB_RATE_LOGIN_ADDRESS", "COULOMB_RATE_REGISTER", "COULOMB_RATE_DRIVER"];
    all.extend(rates.map(|name| (name, NO_LIMIT.to_owned())));
    let all = all.into_iter().map(|(name, value)| (name.to_owned(), value));
    with(all.collect(), &options.environment)
}

/// Those of `more` go before others of the same name.
pub(crate) fn with(mut all: Vec<(String, String)>, more: &[(String, String)]) -> Vec<(String, String)> {
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
        program: options.program.clone(),
        arguments,
        environment: environment.to_vec(),
        ready: Ready::Http(format!("http://127.0.0.1:{http}/ready")),
    })
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
        program: options.program.clone(),
        arguments: arguments.map(str::to_owned).to_vec(),
        environment: environment.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        ready: Ready::File(home.join("demo.json")),
    }
}
