//! A real Kafka for tests.
//!
//! One node for each test process (or the brokers at `COULOMB_TEST_KAFKA_BROKERS`), shared by its tests: each takes a
//! [`topic_prefix`] of its own. The node ends with the process, however that ends. A test that kills nodes, or wants three
//! of them, or TLS and SASL, has its own: [`own`].

use std::sync::atomic::{AtomicU32, Ordering};

use rand::Rng;
use tokio::sync::OnceCell;

use crate::error::Error;
use crate::kafka::{EmbeddedKafka, Options};

/// Brokers that run already; none are started then.
pub const BROKERS_VARIABLE: &str = "COULOMB_TEST_KAFKA_BROKERS";

/// Never dropped: it lives until the process ends, which its guardian sees.
static SHARED: OnceCell<Shared> = OnceCell::const_new();

struct Shared {
    brokers: String,
    _kafka: Option<EmbeddedKafka>,
}

/// The brokers that all tests of this process share.
///
/// # Errors
/// As of [`EmbeddedKafka::start`].
pub async fn try_brokers() -> Result<&'static str, Error> {
    let start = async || {
        if let Ok(brokers) = std::env::var(BROKERS_VARIABLE)
            && !brokers.is_empty()
        {
            return Ok::<_, Error>(Shared { brokers, _kafka: None });
        }
        let kafka = try_own(|_| {}).await?;
        Ok(Shared { brokers: kafka.brokers(), _kafka: Some(kafka) })
    };
    Ok(&SHARED.get_or_try_init(start).await?.brokers)
}

/// [`try_brokers`] for tests, which have nothing better to do with the error than to show it.
///
/// # Panics
/// When there is no Kafka; the message has the whole chain of causes.
pub async fn brokers() -> &'static str {
    try_brokers().await.unwrap_or_else(|error| panic!("no Kafka for tests: {}", chain(&error)))
}

/// A Kafka of a test's own, in a directory of its own that is removed with it.
///
/// # Errors
/// As of [`EmbeddedKafka::start`].
pub async fn try_own(change: impl FnOnce(&mut Options)) -> Result<EmbeddedKafka, Error> {
    let place = std::env::temp_dir();
    let directory = tempfile::Builder::new()
        .prefix("coulomb-test-kafka-")
        .tempdir_in(&place)
        .map_err(Error::file("can't create a directory in", &place))?;
    let mut options = Options { ephemeral: true, ..Options::new(directory.path()) };
    change(&mut options);
    let kafka = EmbeddedKafka::start(options).await?;
    // From here on the guardian removes it.
    let _ = directory.keep();
    Ok(kafka)
}

/// [`try_own`] for tests: `testing::own(|options| options.nodes = 3).await`.
///
/// # Panics
/// When it does not start; the message has the whole chain of causes.
pub async fn own(change: impl FnOnce(&mut Options)) -> EmbeddedKafka {
    try_own(change).await.unwrap_or_else(|error| panic!("no Kafka for tests: {}", chain(&error)))
}

/// A prefix for topics that no other test has, on a Kafka that outlives the test process too.
pub fn topic_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let random: u32 = rand::rng().random();
    format!("t{}-{}-{random:08x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
