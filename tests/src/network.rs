//! A running platform, as its operator sees it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use simulator::charger::{ChargerConfig, OutletConfig};
use simulator::phone::{Account, Error, Line, LineConfig, LineEvent, Person, Phone, Problem, TokenBy};
use tokio::sync::{OnceCell, mpsc};

use crate::program::{Program, ProgramBuilder, free_port};
use crate::within;

const OPERATOR_EMAIL: &str = "operator@tests.example";
const OPERATOR_PASSWORD: &str = "operators-password";
pub const MASTER_KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// More than a test's line has to tell.
const LINE_EVENTS_MAX: usize = 16_384;

/// Where a platform answers, and what was made in it. Cheap to clone.
#[derive(Clone)]
pub struct Network {
    /// Where commands are taken; queries too, where one process does both.
    pub http: String,
    /// Where queries are answered.
    pub queries: String,
    pub ws: String,
    pub ocpp: String,
    /// Of the database, for those who look at it.
    pub database_url: String,
    made: Arc<Made>,
}

#[derive(Default)]
struct Made {
    next: AtomicU32,
    plan: OnceCell<(String, String)>,
}

/// A charger that the operator has registered.
#[derive(Clone, Debug)]
pub struct Registered {
    pub id: String,
    pub password: String,
}

/// How to run `coulomb up`, on ports of its own.
pub fn up(arguments: &[&str], log: PathBuf) -> (ProgramBuilder, u16, u16) {
    let (http, ocpp) = (free_port(), free_port());
    let ports = [http.to_string(), ocpp.to_string()];
    let mut all = arguments.to_vec();
    all.extend(["up", "--http", &ports[0], "--ocpp", &ports[1]]);
    (configured(ProgramBuilder::new(&all, http, log)), http, ocpp)
}

/// Email and password of the operator of every platform that tests start.
pub fn operator() -> (&'static str, &'static str) {
    (OPERATOR_EMAIL, OPERATOR_PASSWORD)
}

/// With the operator, and no limits.
pub fn configured(builder: ProgramBuilder) -> ProgramBuilder {
    let builder = cluster::NO_LIMITS.iter().fold(builder, |builder, (name, value)| builder.env(name, *value));
    builder.env("COULOMB_OPERATOR_EMAIL", OPERATOR_EMAIL).env("COULOMB_OPERATOR_PASSWORD", OPERATOR_PASSWORD)
}

impl Network {
    /// `coulomb up` on a database that is somebody else's.
    pub async fn start_on(database_url: &str, log: PathBuf, settings: &[(&str, &str)]) -> (Self, Program) {
        let (builder, http, ocpp) = up(&[], log);
        let builder = builder.env("DATABASE_URL", database_url).env("COULOMB_MASTER_KEY", MASTER_KEY);
        let builder = settings.iter().fold(builder, |builder, (name, value)| builder.env(name, *value));
        let program = builder.start().await;
        (Self::at(http, ocpp, database_url), program)
    }

    /// One that runs already.
    pub fn at(http: u16, ocpp: u16, database_url: &str) -> Self {
        Self {
            http: format!("http://127.0.0.1:{http}"),
            queries: format!("http://127.0.0.1:{http}"),
            ws: format!("ws://127.0.0.1:{http}/ws"),
            ocpp: format!("ws://127.0.0.1:{ocpp}"),
            database_url: database_url.to_owned(),
            made: Arc::default(),
        }
    }

    /// Commands and queries on two ports, as roles alone have them.
    pub fn apart(commands: u16, queries: u16, ocpp: u16, database_url: &str) -> Self {
        let ws = format!("ws://127.0.0.1:{queries}/ws");
        let queries = format!("http://127.0.0.1:{queries}");
        Self { queries, ws, ..Self::at(commands, ocpp, database_url) }
    }

    /// The same, with its chargers at another port.
    pub fn with_chargers_at(&self, ocpp: u16) -> Self {
        Self { ocpp: format!("ws://127.0.0.1:{ocpp}"), ..self.clone() }
    }

    /// A query in the account's name: an [`Account`] itself asks where it takes its commands.
    ///
    /// # Panics
    /// Without an answer, or with one that is not as documented.
    pub async fn query(&self, account: &Account, path: &str) -> Result<Value, Problem> {
        let token = account.access_token().await.expect("an account has a token");
        let request = reqwest::Client::new().get(format!("{}{path}", self.queries)).bearer_auth(token);
        let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let succeeded = answer.status().is_success();
        let body: Value = answer.json().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        if succeeded { Ok(body) } else { Err(serde_json::from_value(body).expect("a refusal is a problem")) }
    }

    /// The private Postgres of a program, as it left word below its data directory.
    pub fn private_database(data_dir: &Path) -> String {
        let directory = data_dir.join("postgres");
        let read = |name: &str| std::fs::read_to_string(directory.join(name)).expect("Postgres has run");
        let (password, port) = (read("password"), read("port"));
        let socket = directory.join("socket").display().to_string().replace('/', "%2F");
        format!("postgres://coulomb:{}@{socket}:{}/coulomb?sslmode=disable", password.trim(), port.trim())
    }

    /// A name that nobody else has.
    pub fn name(&self, prefix: &str) -> String {
        format!("{prefix}{:04}", self.made.next.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub async fn operator(&self) -> Account {
        let login = Account::login(reqwest::Client::new(), &self.http, OPERATOR_EMAIL, OPERATOR_PASSWORD, None);
        login.await.expect("the operator can log in")
    }

    /// A site with a tariff, and a plan: made once. The ids of site and plan.
    pub async fn plan(&self) -> &(String, String) {
        let make = async || {
            let operator = self.operator().await;
            let tariff = json!({"name": "Tests", "currency": "EUR", "tax_included": true,
                "taxes": [{"name": "VAT", "percent": 19}],
                "elements": [{"price_components": [{"type": "ENERGY", "price": "0.50"}]}]});
            let tariff = operator.post("/api/tariffs", &tariff, None).await.expect("a tariff can be published");
            let site = json!({"name": "Tests", "time_zone": "Europe/Berlin", "currency": "EUR",
                "tariff_id": tariff["tariff_id"],
                "address": {"street": "Am Kai 1", "city": "Hamburg", "country": "DE"}});
            let site = operator.post("/api/sites", &site, None).await.expect("a site can be registered");
            let plan = operator.post("/api/plans", &json!({"name": "Tests"}), None).await.expect("a plan can be made");
            (text(&site["site_id"]), text(&plan["plan_id"]))
        };
        self.made.plan.get_or_init(make).await
    }

    /// A registered charger with two outlets.
    pub async fn charger(&self) -> Registered {
        self.charger_named(self.name("T")).await
    }

    pub async fn charger_named(&self, id: String) -> Registered {
        let password = format!("password-of-{id}");
        let evse = |number: u32| json!({"evse_id": number, "connectors": [{"connector_id": 1, "max_power_w": 50_000}]});
        let body = json!({"charger_id": id, "password": password, "site_id": self.plan().await.0,
            "evses": [evse(1), evse(2)]});
        let operator = self.operator().await;
        operator
            .post("/api/chargers", &body, Some(&format!("charger-{id}")))
            .await
            .expect("a charger can be registered");
        Registered { id, password }
    }

    /// How a simulated charger is that stands for a registered one.
    pub fn simulated(&self, registered: &Registered) -> ChargerConfig {
        ChargerConfig {
            password: Some(registered.password.clone()),
            outlets: vec![OutletConfig::dc(50_000.0), OutletConfig::dc(50_000.0)],
            ..ChargerConfig::new(&self.ocpp, &registered.id)
        }
    }

    pub fn person(&self) -> Person {
        self.person_named("driver")
    }

    pub fn person_named(&self, prefix: &str) -> Person {
        let name = self.name(prefix);
        Person {
            email: format!("{name}@tests.example"),
            password: format!("password-of-{name}"),
            name: "Somebody".to_owned(),
            phone: None,
        }
    }

    /// A driver with a plan, and with a card where one is given.
    pub async fn customer(&self, person: Person, card: Option<&str>) -> Account {
        let account = Account::login_or_register(reqwest::Client::new(), &self.http, person).await;
        let account = account.expect("a driver can register");
        let operator = self.operator().await;
        let me = self.query(&account, "/api/me").await.expect("a driver can ask who they are");
        let id = text(&me["driver_id"]);
        let plan = json!({"plan_id": self.plan().await.1});
        operator.post(&format!("/api/drivers/{id}/plan"), &plan, None).await.expect("a plan can be activated");
        if let Some(card) = card {
            let card = json!({"type": "ISO14443", "value": card});
            let path = format!("/api/drivers/{id}/tokens");
            operator.post(&path, &card, None).await.expect("a token can be registered");
        }
        account
    }

    /// A driver with a plan and a phone that follows `me`.
    pub async fn driver(&self) -> Phone {
        self.driver_named("driver").await
    }

    pub async fn driver_named(&self, prefix: &str) -> Phone {
        let account = self.customer(self.person_named(prefix), None).await;
        let line = self.line(&account, &["me"]);
        within("the snapshot of me", line.wait_for(|held| held.topic("me").is_some_and(|me| me.upto.is_some())))
            .await
            .expect("the line is open");
        Phone { account, line }
    }

    /// The same, with its phones at another port.
    pub fn with_phones_at(&self, http: u16) -> Self {
        Self { ws: format!("ws://127.0.0.1:{http}/ws"), ..self.clone() }
    }

    pub fn line(&self, account: &Account, topics: &[&str]) -> Line {
        self.open_line(account, topics, None)
    }

    /// A line, and what it tells.
    pub fn telling_line(&self, account: &Account, topics: &[&str]) -> (Line, mpsc::Receiver<LineEvent>) {
        let (told, telling) = mpsc::channel(LINE_EVENTS_MAX);
        (self.open_line(account, topics, Some(told)), telling)
    }

    fn open_line(&self, account: &Account, topics: &[&str], events: Option<mpsc::Sender<LineEvent>>) -> Line {
        Line::spawn(LineConfig {
            ws: self.ws.clone(),
            account: account.clone(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            token_by: TokenBy::Header,
            events,
            seed: 1,
        })
    }
}

/// GET, until the answer is as wanted.
pub async fn until(account: &Account, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    crate::eventually(path, || async {
        match account.get(path).await {
            Ok(answer) => Some(answer).filter(|answer| wanted(answer)),
            Err(Error::Refused(_)) => None,
            Err(error) => panic!("{path}: {error}"),
        }
    })
    .await
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
