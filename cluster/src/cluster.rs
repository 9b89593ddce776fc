//! Starting, disturbing and stopping the whole.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use embedded_kafka::{EmbeddedKafka, NodeState};
use futures_util::future::{join_all, try_join_all};
use tokio::sync::Mutex;

use crate::database::{Database, Replication};
use crate::error::Error;
use crate::guardian::Guardian;
use crate::memory::Memory;
use crate::nginx::{self, Upstreams};
use crate::options::{Options, Traffic};
use crate::part::{Part, State};
use crate::ports::Ports;
use crate::process::{Process, Ready, Recipe};
use crate::published::{Admin, Login, PostgresAddress, Published};
use crate::roles;
use crate::secrets::Secrets;

/// Others may pass through, since Postgres runs as another user when we are root, and list nothing.
const MODE: u32 = 0o711;

/// A running cluster, and the ownership of its directory.
///
/// Everything can be done to several parts at a time. When it is dropped without [`Cluster::stop`], guardians end all
/// processes.
#[derive(Debug)]
pub struct Cluster {
    kafka: Option<EmbeddedKafka>,
    database: Mutex<Database>,
    processes: BTreeMap<Part, Mutex<Process>>,
    addresses: BTreeMap<Part, u16>,
    published: Published,
    directory: PathBuf,
    ephemeral: bool,
    client: reqwest::Client,
    // Fields are dropped in this order: the guardian learns of the end before the directory is free for another owner.
    guardian: Guardian,
    _lock: File,
}

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
        let lock = take(&directory)?;
        Published::remove(&directory)?;
        let guardian = Guardian::watch(&directory, options.ephemeral)?;
        let mut ports = Ports::load(&directory)?;
        let secrets = Secrets::load_or_create(&directory)?;

        say("Starting Kafka and Postgres ...");
        let kafka = async {
            if options.kafka_nodes == 0 {
                return Ok(None);
            }
            let kafka = embedded_kafka::Options {
                nodes: options.kafka_nodes,
                ..embedded_kafka::Options::new(directory.join("kafka"))
            };
            Ok(Some(EmbeddedKafka::start(kafka).await?))
        };
        let database = async {
            let database = Database::start(&directory, &options, &mut ports).await?;
            // Nothing that is brought to this version here goes through Kafka.
            migrate(&options, &database, &roles::environment(&options, &database, &secrets, None)).await?;
            Ok(database)
        };
        let (kafka, database): (Result<_, Error>, Result<_, Error>) = tokio::join!(kafka, database);
        let (kafka, database) = (kafka?, database?);
        let brokers = kafka.as_ref().map(EmbeddedKafka::brokers);
        let environment = roles::environment(&options, &database, &secrets, brokers.as_deref());

        let http = options.http_port.map_or_else(|| ports.of("nginx-http"), Ok)?;
        let ocpp = options.ocpp_port.map_or_else(|| ports.of("nginx-ocpp"), Ok)?;
        let mut recipes: Vec<Recipe> = vec![];
        for part in role_parts(&options) {
            recipes.push(roles::recipe(part, &options, &environment, &mut ports)?);
        }
        let mut addresses = BTreeMap::new();
        for recipe in &recipes {
            addresses.insert(recipe.part, ports.of(&recipe.part.to_string())?);
        }
        let mut of = |wanted: fn(Part) -> bool, suffix: &str| -> Result<Vec<u16>, Error> {
            let parts = recipes.iter().map(|recipe| recipe.part).filter(|part| wanted(*part));
            parts.map(|part| ports.of(&format!("{part}{suffix}"))).collect()
        };
        let upstreams = Upstreams {
            commands: of(|part| matches!(part, Part::Command(_)), "")?,
            realtimes: of(|part| matches!(part, Part::Realtime(_)), "")?,
            edges: of(|part| matches!(part, Part::Edge(_)), "-ocpp")?,
        };
        let conf = nginx::configure(&directory.join("nginx"), http, ocpp, &upstreams)?;
        addresses.insert(Part::Nginx, http);
        recipes.push(Recipe {
            part: Part::Nginx,
            program: nginx::program()?,
            arguments: ["-e", "stderr", "-c", &conf.display().to_string()].map(str::to_owned).to_vec(),
            environment: vec![],
            ready: Ready::Port(http),
        });
        let (http, ocpp) = (format!("http://127.0.0.1:{http}"), format!("ws://127.0.0.1:{ocpp}"));
        if options.traffic == Traffic::Demo {
            recipes.push(roles::demo(&options, &directory, &secrets, &http, &ocpp));
        }
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

    /// Of nginx: commands and queries. Without a trailing slash.
    pub fn http(&self) -> &str {
        &self.published.http
    }

    /// Of nginx: the full address of the WebSocket.
    pub fn ws(&self) -> &str {
        &self.published.ws
    }

    /// Of nginx: to which `/{charger}` is added.
    pub fn ocpp(&self) -> &str {
        &self.published.ocpp
    }

    pub fn operator(&self) -> &Login {
        &self.published.operator
    }

    /// None without Kafka.
    pub fn kafka_brokers(&self) -> Option<&str> {
        self.published.kafka_brokers.as_deref()
    }

    /// As roles have it: through PgBouncer, if there is one.
    pub fn database_url(&self) -> &str {
        &self.published.database_url
    }

    /// The address of one Postgres itself.
    pub async fn postgres_url(&self, part: Part) -> Result<String, Error> {
        let Part::Postgres(number) = part else { return Err(Error::NoPart(part)) };
        self.database.lock().await.url_of(number).ok_or(Error::NoPart(part))
    }

    /// Where a role answers `/ready` and `/metrics`, and HTTP if it does that.
    ///
    /// # Errors
    /// [`Error::NoPart`].
    pub fn url_of(&self, part: Part) -> Result<String, Error> {
        let port = self.addresses.get(&part).ok_or(Error::NoPart(part))?;
        Ok(format!("http://127.0.0.1:{port}"))
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// All parts, those first that others need.
    pub async fn parts(&self) -> Vec<Part> {
        let kafka = self.kafka.iter().flat_map(|kafka| kafka.nodes().map(Part::Kafka));
        let database = self.database.lock().await.parts();
        kafka.chain(database).chain(self.processes.keys().copied()).collect()
    }

    /// The Postgres that takes writes.
    pub async fn primary(&self) -> Part {
        Part::Postgres(self.database.lock().await.primary())
    }

    /// The other one.
    pub async fn replica(&self) -> Part {
        Part::Postgres(3 - self.database.lock().await.primary())
    }

    /// How the replica follows, as the primary says; none, too, when that does not answer.
    pub async fn replication(&self) -> Replication {
        self.database.lock().await.replication().await
    }

    /// Makes the replica the primary, and leads PgBouncer to it. The old primary is killed if it still runs; started again,
    /// it comes back as a copy of the new one.
    ///
    /// # Errors
    /// [`Error::NoReplica`], or when it can't be promoted.
    pub async fn promote(&self) -> Result<(), Error> {
        self.database.lock().await.promote().await?;
        self.publish().await
    }

    /// Starts a part that does not run, where it was and with what it had, and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::NoPart`], or when it does not start.
    pub async fn start(&self, part: Part) -> Result<(), Error> {
        match part {
            Part::Kafka(number) => {
                let kafka = self.kafka(part)?;
                if kafka.state(number).await? == NodeState::Stopped {
                    kafka.restart(number).await?;
                }
                Ok(())
            }
            Part::Postgres(_) | Part::PgBouncer => self.database.lock().await.start_part(part).await,
            _ => {
                let mut process = self.process(part)?.lock().await;
                if process.pid().is_none() {
                    process.launch()?;
                }
                process.until_ready(&self.client).await
            }
        }
    }

    /// SIGKILL. The part is gone when this returns; of Postgres and Kafka, what they had written stays.
    ///
    /// # Errors
    /// [`Error::NoPart`], [`Error::NotRunning`].
    pub async fn kill(&self, part: Part) -> Result<(), Error> {
        match part {
            Part::Kafka(number) => Ok(self.kafka(part)?.kill(number).await?),
            Part::Postgres(_) | Part::PgBouncer => self.database.lock().await.kill(part).await,
            _ if self.process(part)?.lock().await.kill().await => Ok(()),
            _ => Err(Error::NotRunning(part)),
        }
    }

    /// SIGSTOP to all processes of the part: it keeps its connections and does nothing.
    ///
    /// # Errors
    /// [`Error::NoPart`], [`Error::NotRunning`].
    pub async fn freeze(&self, part: Part) -> Result<(), Error> {
        self.set_frozen(part, true).await
    }

    /// SIGCONT: what was frozen goes on.
    ///
    /// # Errors
    /// [`Error::NoPart`], [`Error::NotRunning`].
    pub async fn thaw(&self, part: Part) -> Result<(), Error> {
        self.set_frozen(part, false).await
    }

    async fn set_frozen(&self, part: Part, frozen: bool) -> Result<(), Error> {
        match part {
            Part::Kafka(number) if frozen => Ok(self.kafka(part)?.freeze(number).await?),
            Part::Kafka(number) => Ok(self.kafka(part)?.thaw(number).await?),
            Part::PgBouncer => self.database.lock().await.set_bouncer_frozen(frozen).await,
            Part::Postgres(_) => self.database.lock().await.set_frozen(part, frozen),
            _ if self.process(part)?.lock().await.set_frozen(frozen) => Ok(()),
            _ => Err(Error::NotRunning(part)),
        }
    }

    /// In good order: SIGTERM, on which roles drain, and after a while SIGKILL. Answers when it has ended.
    ///
    /// # Errors
    /// [`Error::NoPart`].
    pub async fn stop_part(&self, part: Part) -> Result<(), Error> {
        match part {
            Part::Kafka(number) => Ok(self.kafka(part)?.stop_node(number).await?),
            Part::Postgres(_) | Part::PgBouncer => self.database.lock().await.stop(part).await,
            _ => {
                self.process(part)?.lock().await.stop().await;
                Ok(())
            }
        }
    }

    /// [`Cluster::stop_part`] if it runs, then [`Cluster::start`].
    ///
    /// # Errors
    /// As those.
    pub async fn restart(&self, part: Part) -> Result<(), Error> {
        self.stop_part(part).await?;
        self.start(part).await
    }

    /// # Errors
    /// [`Error::NoPart`].
    pub async fn state(&self, part: Part) -> Result<State, Error> {
        match part {
            Part::Kafka(number) => Ok(match self.kafka(part)?.state(number).await? {
                NodeState::Running => State::Running,
                NodeState::Frozen => State::Frozen,
                NodeState::Stopped => State::Stopped,
            }),
            Part::Postgres(_) | Part::PgBouncer => self.database.lock().await.state(part),
            _ => Ok(self.process(part)?.lock().await.state()),
        }
    }

    /// # Errors
    /// [`Error::NoPart`].
    pub async fn memory(&self, part: Part) -> Result<Memory, Error> {
        let pid = match part {
            Part::Kafka(number) => self.kafka(part)?.pid(number).await?,
            Part::Postgres(_) | Part::PgBouncer => return Ok(self.database.lock().await.memory(part)),
            _ => self.process(part)?.lock().await.pid(),
        };
        Ok(pid.map(Memory::of_tree).unwrap_or_default())
    }

    /// Where a part listens, for people.
    pub async fn address(&self, part: Part) -> String {
        let address = match part {
            Part::Kafka(number) => {
                let brokers = self.kafka_brokers().unwrap_or_default();
                brokers.split(',').nth(usize::from(number.saturating_sub(1))).map(str::to_owned)
            }
            Part::Postgres(_) | Part::PgBouncer => self.database.lock().await.address(part),
            _ => self.url_of(part).ok(),
        };
        address.unwrap_or_default()
    }

    /// Where a part writes what it says.
    ///
    /// # Errors
    /// [`Error::NoPart`].
    pub async fn log(&self, part: Part) -> Result<PathBuf, Error> {
        match part {
            Part::Kafka(number) => Ok(self.kafka(part)?.log(number)),
            Part::Postgres(_) | Part::PgBouncer => Ok(self.database.lock().await.log(part)),
            _ => Ok(self.process(part)?.lock().await.log()),
        }
    }

    /// Stops everything in good order, who uses others first. An ephemeral cluster is killed and removed.
    ///
    /// # Errors
    /// When Postgres does not stop.
    pub async fn stop(self) -> Result<(), Error> {
        Published::remove(&self.directory)?;
        let end = async |parts: &[Part]| {
            let ends = parts.iter().filter_map(|part| self.processes.get(part)).map(async |process| {
                let mut process = process.lock().await;
                if self.ephemeral {
                    process.kill().await;
                } else {
                    process.stop().await;
                }
            });
            join_all(ends).await;
        };
        end(&[Part::Traffic]).await;
        let roles: Vec<Part> = self.processes.keys().copied().filter(|part| part.is_role()).collect();
        end(&roles).await;
        end(&[Part::Nginx]).await;
        let Self { kafka, database, guardian, .. } = self;
        let kafka = async {
            if let Some(kafka) = kafka {
                kafka.stop().await;
            }
        };
        let mut database = database.into_inner();
        let ((), stopped) = tokio::join!(kafka, database.stop_all());
        guardian.dismiss().await;
        stopped
    }

    /// Writes `cluster.json`.
    async fn publish(&self) -> Result<(), Error> {
        let database = self.database.lock().await;
        let servers = database.parts().into_iter().filter_map(|part| match part {
            Part::Postgres(number) => Some(PostgresAddress {
                part: part.to_string(),
                primary: number == database.primary(),
                url: database.url_of(number)?,
            }),
            _ => None,
        });
        Published { postgres: servers.collect(), ..self.published.clone() }.write(&self.directory)
    }

    fn kafka(&self, part: Part) -> Result<&EmbeddedKafka, Error> {
        let Part::Kafka(number) = part else { return Err(Error::NoPart(part)) };
        self.kafka.as_ref().filter(|kafka| kafka.nodes().contains(&number)).ok_or(Error::NoPart(part))
    }

    fn process(&self, part: Part) -> Result<&Mutex<Process>, Error> {
        self.processes.get(&part).ok_or(Error::NoPart(part))
    }
}

fn role_parts(options: &Options) -> Vec<Part> {
    // Without Kafka there is nothing to relay to.
    let relays = if options.kafka_nodes == 0 { 0 } else { options.relays };
    let Options { projections, commands, realtimes, edges, .. } = options;
    let of = |part: fn(u16) -> Part, number: u16| (1..=number).map(part);
    let all = of(Part::Relay, relays).chain(of(Part::Projection, *projections)).chain(of(Part::Command, *commands));
    all.chain(of(Part::Realtime, *realtimes)).chain(of(Part::Edge, *edges)).collect()
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

/// One owner at a time. The kernel releases it however the process ends.
fn take(directory: &Path) -> Result<File, Error> {
    let path = directory.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(Error::file("can't open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse(directory.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(Error::file("can't lock", &path)(source)),
    }
}

async fn migrate(options: &Options, database: &Database, environment: &[(String, String)]) -> Result<(), Error> {
    // Past PgBouncer: migrations hold a lock of their session.
    let url = database.url_of(database.primary()).unwrap_or_default();
    let of_the_way = ["COULOMB_DATABASE_POOLER", "COULOMB_DIRECT_DATABASE_URL", "COULOMB_READ_DATABASE_URL"];
    let mut environment = roles::with(environment.to_vec(), &[("DATABASE_URL".to_owned(), url)]);
    environment.retain(|(name, _)| !of_the_way.contains(&name.as_str()));
    let mut command = tokio::process::Command::new(&options.program);
    command.arg("migrate").stdin(Stdio::null()).kill_on_drop(true);
    for name in of_the_way {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG").envs(environment);
    let output = command.output().await;
    let output = output.map_err(|source| Error::Spawn { program: options.program.display().to_string(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Error::Migrate(String::from_utf8_lossy(&said).trim().to_owned()))
}
