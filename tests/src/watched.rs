//! A town that charges, watched from the outside: what was acknowledged to chargers and people, and what phones hold.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::Value;
use simulator::charger::{ChargerConfig, Journal};
use simulator::phone::{Accepted, Account, Line, Person};
use simulator::town::{CommandWitness, Pace, ResidentConfig, Town, TownConfig};

use crate::checks::{
    everything_acknowledged_is_there_once, nobody_is_billed_twice, nothing_is_held_by_what_is_over,
    nothing_was_asked_twice,
};
use crate::follow::{
    holds_all_open_commands, holds_all_open_sessions, holds_no_session, holds_what_queries_say,
    what_left_is_what_queries_say,
};
use crate::log::{Log, is_dense_and_ordered};
use crate::network::{Network, operator, until};
use crate::{personal, within};

/// The commands of people that were taken.
#[derive(Default)]
pub struct Commands(Mutex<Vec<String>>);

impl CommandWitness for Commands {
    fn accepted(&self, command: &Accepted) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(command.command_id.clone());
    }
}

impl Commands {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What watches the town from the outside.
pub struct Watched {
    pub journal: Arc<Journal>,
    pub commands: Arc<Commands>,
    pub town: Town,
    pub operator: Account,
    /// With whose they are, and the topic: first the operator's.
    pub lines: Vec<(Line, Account, &'static str)>,
    pub residents: Vec<ResidentConfig>,
    /// Free text that chargers report, of people.
    pub free_texts: Vec<String>,
    long_outages: bool,
}

/// Who is watched, and how they live.
#[derive(Debug, Clone)]
pub struct WatchedConfig {
    pub chargers: usize,
    pub residents: usize,
    pub pace: Pace,
    /// Between two readings of a charge.
    pub sample_interval: Duration,
    /// For how long chargers wait for an answer before they say the same again.
    pub answer_wait: Duration,
    /// The log may be away for longer than an Authorize waits for it (docs/ocpp.md): some are refused then, and nothing else.
    pub long_outages: bool,
    pub seed: u64,
}

/// Registrations at a time.
const REGISTERED_AT_ONCE: usize = 8;
/// Followers who are compared with queries at a time.
const COMPARED_AT_ONCE: usize = 8;

/// Somebody with a name and a number that nobody else has.
fn resident_named(network: &Network, number: usize) -> Person {
    let name = network.name("Sorgenfrei");
    let phone = format!("+49 40 5550{number:05}");
    Person { name: format!("Edeltraud {name}"), phone: Some(phone), ..network.person() }
}

/// What somebody wrote on a charger's display when it broke.
fn free_text(somebody: &Person) -> String {
    format!("{} was here", somebody.name)
}

impl Watched {
    /// A town of so many chargers and residents, as hectic as can be.
    pub async fn new(network: &Network, chargers: usize, residents: usize, seed: u64) -> Self {
        let config = WatchedConfig {
            chargers,
            residents,
            pace: Pace::hectic(),
            sample_interval: Duration::from_millis(400),
            answer_wait: Duration::from_secs(5),
            long_outages: false,
            seed,
        };
        Self::of(network, config).await
    }

    pub async fn of(network: &Network, config: WatchedConfig) -> Self {
        let (journal, commands) = (Arc::new(Journal::default()), Arc::new(Commands::default()));
        let WatchedConfig { chargers, residents, pace, sample_interval, answer_wait, long_outages, seed } = config;
        // Made before those that need it are made at once.
        network.plan().await;
        let charger = async |number: usize| {
            let registered = network.charger().await;
            let somebody = resident_named(network, number);
            ChargerConfig {
                fault_info: Some(free_text(&somebody)),
                witness: Some(journal.clone()),
                sample_interval,
                answer_wait,
                boots_on_reconnect: !number.is_multiple_of(3),
                reuses_message_ids: number.is_multiple_of(4),
                seed,
                ..network.simulated(&registered)
            }
        };
        let chargers: Vec<_> = stream::iter((0..chargers).map(charger)).buffered(REGISTERED_AT_ONCE).collect().await;
        let operator = network.operator().await;
        let mut lines = vec![(network.line(&operator, &["fleet"]), operator.clone(), "fleet")];
        let resident = async |number: usize| {
            let card = number.is_multiple_of(2).then(|| format!("CARD{number:04}"));
            let person = resident_named(network, number);
            let account = network.customer(person.clone(), card.as_deref()).await;
            (account, ResidentConfig { person, card })
        };
        let made: Vec<_> = stream::iter((0..residents).map(resident)).buffered(REGISTERED_AT_ONCE).collect().await;
        let mut residents = vec![];
        for (account, resident) in made {
            lines.push((network.line(&account, &["me"]), account, "me"));
            residents.push(resident);
        }
        let free_texts = chargers.iter().filter_map(|charger| charger.fault_info.clone()).collect();
        let town = Town::spawn(TownConfig {
            http: network.http.clone(),
            ws: network.ws.clone(),
            chargers,
            residents: residents.clone(),
            pace,
            witness: Some(commands.clone()),
            seed,
        });
        Self { journal, commands, town, operator, lines, residents, free_texts, long_outages }
    }

    /// All that people have given of themselves, and what chargers have said of them.
    pub fn personal_values(&self) -> Vec<String> {
        let residents = self.residents.iter();
        let of_residents =
            residents.flat_map(|resident| personal::given_by(&resident.person, resident.card.as_deref()));
        let (email, password) = operator();
        of_residents.chain(self.free_texts.clone()).chain([email.to_owned(), password.to_owned()]).collect()
    }

    /// What is true at any moment: the log is sound, and has everything that was acknowledged, once.
    ///
    /// # Panics
    /// When it is not.
    pub async fn is_recorded(&self, log: &Log) {
        // First what was acknowledged, then the log: what comes meanwhile is in the log alone.
        let (acknowledged, accepted, asked) = (self.journal.acknowledged(), self.commands.all(), self.journal.asked());
        let events = log.events().await;
        is_dense_and_ordered(&events);
        everything_acknowledged_is_there_once(&events, &acknowledged, &accepted);
        nothing_was_asked_twice(&events, &asked);
        nobody_is_billed_twice(&events);
        nothing_is_held_by_what_is_over(&events);
        log.views_equal_a_fresh_fold().await;
    }

    /// Every phone holds, or comes to hold, what queries say.
    ///
    /// # Panics
    /// When one does not.
    pub async fn is_followed(&self) {
        for (line, account, topic) in &self.lines {
            holds_what_queries_say(line, account, topic).await;
            holds_all_open_sessions(line, account, topic).await;
        }
    }

    /// Lets everybody finish and go home, and looks at everything once more.
    ///
    /// # Panics
    /// When something was lost, or is shown otherwise than it is.
    pub async fn comes_to_rest(&mut self, database_url: &str) {
        within("everybody to go home", self.town.rest()).await;
        for charger in self.town.chargers() {
            within(charger.id(), charger.wait_for(|view| view.is_settled())).await.expect("it is switched on");
        }
        // A charge that was asked for and never began fails after its deadline; everything else has ended.
        let no_items = |list: &Value| list["items"].as_array().is_some_and(Vec::is_empty);
        until(&self.operator, "/api/sessions?state=requested,active,stopping", no_items).await;
        for (line, account, topic) in &self.lines {
            holds_no_session(line, account, topic).await;
            holds_what_queries_say(line, account, topic).await;
        }
        holds_all_open_commands(&self.lines[0].0, &self.operator, "fleet").await;
        let left = stream::iter(&self.lines)
            .map(|(line, account, topic)| what_left_is_what_queries_say(line, account, topic))
            .buffer_unordered(COMPARED_AT_ONCE);
        let left: Vec<usize> = left.collect().await;
        println!(
            "{} of {} followers know how {} ended",
            left.iter().filter(|left| **left > 0).count(),
            left.len(),
            left.iter().sum::<usize>()
        );
        assert!(left.iter().any(|left| *left > 0), "somebody was told how something ended");
        let fleet = self.lines[0].0.held();
        let held = fleet.topic("fleet").expect("it is followed");
        for charger in self.town.chargers() {
            assert!(held.resources.contains_key(&format!("charger:{}", charger.id())), "{} is held", charger.id());
        }
        let (authorize, other): (Vec<_>, Vec<_>) = self.journal.refused().into_iter().partition(|refused| {
            self.long_outages && refused.contains(" Authorize ") && refused.ends_with(": InternalError")
        });
        assert_eq!(other, Vec::<String>::new(), "nothing was answered with a CALLERROR");
        if !authorize.is_empty() {
            println!("could not be decided in time: {authorize:?}");
        }
        let log = Log::open(database_url).await;
        self.is_recorded(&log).await;
        log.close().await;
    }
}
