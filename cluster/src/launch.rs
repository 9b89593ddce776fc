//! Starting a cluster: what there is to be, in which order, and where.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use embedded_kafka::EmbeddedKafka;
use futures_util::future::try_join_all;
use owned_process::{Ending, Guardian, OwnerLock, Watch};
use tokio::sync::Mutex;

use crate::cluster::Cluster;
use crate::database::Database;
use crate::error::Error;
use crate::nginx::{self, Upstreams};
use crate::options::{Options, Traffic};
use crate::part::Part;
use crate::ports::Ports;
use crate::process::{Process, Recipe};
use crate::published::{Admin, Login, Published};
use crate::roles;
use crate::secrets::Secrets;

/// Others may pass through, since Postgres runs as another user when we are root, and list nothing.
const MODE: u32 = 0o711;
/// For processes to end by SIGTERM when their owner is gone.
const ORPHANS_WAIT_MAX: Duration = Duration::from_secs(15);

impl Cluster {
    /// Starts everything, making what is not there, and waits until each part is ready. Says on the way to `say` what it
    /// is about to do.
    ///
    /// # Errors
    /// When a program is missing or a part does not start. What was started is ended then.
    pub async fn launch_saying(options: Options, say: impl Fn(&str)) -> Result<Self, Error> {
        let program = &options.program;
        let program = program.canonicalize().map_err(|_| Error::NoProgram(program.clone()))?;
        let options = Options { program, ..options };
        nginx::program()?;
        let directory = make_directory(&options.directory)?;
        let lock = OwnerLock::take(&directory)?;
        Published::remove(&directory)?;
        let guardian = watch(&directory, options.ephemeral)?;
        let mut ports = Ports::load(&directory)?;
        let secrets = Secrets::load_or_create(&directory)?;

        say("Starting Kafka and Postgres ...");
        let (kafka, database) = servers(&directory, &options, &mut ports, &secrets).await?;
        let brokers = kafka.as_ref().map(EmbeddedKafka::brokers);
        let environment = roles::environment(&options, &database, &secrets, brokers.as_deref());
        let Plan { recipes, addresses, http, ocpp } =
            Plan::of(&directory, &options, &mut ports, &secrets, &environment)?;
        let processes: BTreeMap<Part, Mutex<Process>> =
            recipes.into_iter().map(|recipe| (recipe.part, Mutex::new(Process::new(recipe, &directory)))).collect();

        let admin = addresses.iter().filter(|(part, _)| part.is_role()).map(|(part, port)| Admin {
            part: part.to_string(),
            url: format!("http://127.0.0.1:{port}"),
            log: directory.join("logs").join(format!("{part}.log")),
        });
        let published = Published {
            ws: format!("{}/ws", http.replacen("http", "ws", 1)),
            http,
            ocpp,
            operator: Login { email: secrets.operator_email, password: secrets.operator_password },
            database_url: database.url_for_roles(),
            postgres: vec![],
            kafka_brokers: brokers,
            admin: admin.collect(),
        };
        let roles = processes.keys().copied().filter(|part| part.is_role()).collect::<Vec<_>>();
        let with_traffic = processes.contains_key(&Part::Traffic);
        let cluster = Self {
            kafka,
            database: Mutex::new(database),
            processes,
            addresses,
            published,
            directory,
            ephemeral: options.ephemeral,
            client: reqwest::Client::new(),
            guardian,
            _lock: lock,
        };
        say(&format!("Starting {} processes of the program, and nginx ...", roles.len()));
        try_join_all(roles.iter().map(|part| cluster.start(*part))).await?;
        cluster.start(Part::Nginx).await?;
        if with_traffic {
            say("Letting chargers and drivers in ...");
            cluster.start(Part::Traffic).await?;
        }
        cluster.publish().await?;
        Ok(cluster)
    }

    /// [`Cluster::launch_saying`], in silence.
    ///
    /// # Errors
    /// As that.
    pub async fn launch(options: Options) -> Result<Self, Error> {
        Self::launch_saying(options, |_| {}).await
    }
}

fn watch(directory: &Path, ephemeral: bool) -> Result<Guardian, Error> {
    // What is removed anyway need not end well.
    let ending = if ephemeral { Ending::kill() } else { Ending::terminate(ORPHANS_WAIT_MAX) };
    let (pids, remove) = (directory.join("pids"), ephemeral.then_some(directory));
    Ok(Guardian::watch(Watch { name: "cluster", pids: &pids, ending: &ending, remove, user: None })?)
}

/// Kafka, and a database of the program's version.
async fn servers(
    directory: &Path,
    options: &Options,
    ports: &mut Ports,
    secrets: &Secrets,
) -> Result<(Option<EmbeddedKafka>, Database), Error> {
    let kafka = async {
        if options.kafka_nodes == 0 {
            return Ok(None);
        }
        let kafka = embedded_kafka::Options::new(directory.join("kafka"));
        let kafka = embedded_kafka::Options { nodes: options.kafka_nodes, ..kafka };
        Ok(Some(EmbeddedKafka::start(kafka).await?))
    };
    let database = async {
        let database = Database::start(directory, options, ports).await?;
        // Nothing that is brought to this version here goes through Kafka.
        let environment = roles::environment(options, &database, secrets, None);
        roles::migrate(options, directory, &database, environment).await?;
        Ok(database)
    };
    let (kafka, database): (Result<_, Error>, Result<_, Error>) = tokio::join!(kafka, database);
    Ok((kafka?, database?))
}

/// What is to run beside the servers, and where.
struct Plan {
    recipes: Vec<Recipe>,
    addresses: BTreeMap<Part, u16>,
    http: String,
    ocpp: String,
}

impl Plan {
    fn of(
        directory: &Path,
        options: &Options,
        ports: &mut Ports,
        secrets: &Secrets,
        environment: &[(String, String)],
    ) -> Result<Self, Error> {
        let http = options.http_port.map_or_else(|| ports.of("nginx-http"), Ok)?;
        let ocpp = options.ocpp_port.map_or_else(|| ports.of("nginx-ocpp"), Ok)?;
        let (mut recipes, mut addresses, mut upstreams) = (vec![], BTreeMap::new(), Upstreams::default());
        for part in roles::parts(options) {
            recipes.push(roles::recipe(part, options, environment, ports)?);
            let port = ports.of(&part.to_string())?;
            addresses.insert(part, port);
            match part {
                Part::Command(_) => upstreams.commands.push(port),
                Part::Realtime(_) => upstreams.realtimes.push(port),
                Part::Edge(_) => upstreams.edges.push(ports.of(&format!("{part}-ocpp"))?),
                _ => {}
            }
        }
        let conf = nginx::configure(&directory.join("nginx"), http, ocpp, &upstreams)?;
        recipes.push(nginx::recipe(&conf, http)?);
        addresses.insert(Part::Nginx, http);
        let (http, ocpp) = (format!("http://127.0.0.1:{http}"), format!("ws://127.0.0.1:{ocpp}"));
        if options.traffic == Traffic::Demo {
            recipes.push(roles::demo(options, directory, secrets, &http, &ocpp));
        }
        Ok(Self { recipes, addresses, http, ocpp })
    }
}

fn make_directory(path: &Path) -> Result<PathBuf, Error> {
    for directory in [path.to_owned(), path.join("logs"), path.join("pids"), path.join("traffic")] {
        let made = DirBuilder::new().recursive(true).mode(MODE).create(&directory);
        made.map_err(Error::file("can't create", &directory))?;
    }
    // Again, since the umask may have taken some of it away.
    std::fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(Error::file("can't set the mode of", path))?;
    path.canonicalize().map_err(Error::file("can't find", path))
}
