//! The topics are made where they are missing, and looked at before anything is written to them.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schema::topics::{DEAD_LETTER_PARTITIONS, LogTopic, RECORD_BYTES_MAX};

use crate::kafka::KafkaOptions;
use crate::kafka::asking::ask;
use crate::kafka::context::{Quiet, because};
use crate::kafka::options;

/// How long one question to the brokers may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a topic that was made may take until every broker knows of it.
const MADE_WITHIN: Duration = Duration::from_secs(30);
/// Copies of each partition, where there are as many brokers and nothing else is set.
const REPLICAS: i32 = 3;
/// How long it is waited for as many brokers as there are to be copies: all may be starting.
const BROKERS_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Options(#[from] options::Error),
    #[error("the brokers at {brokers} can't be reached{}", because(.why.as_deref()))]
    Unreachable { brokers: String, why: Option<String>, source: Box<KafkaError> },
    #[error(
        "{there} of the brokers at {brokers} take part, and the topics, which are not there yet, are to have {wanted} copies \
         (COULOMB_KAFKA_REPLICAS): start the others, or set fewer"
    )]
    FewBrokers { brokers: String, there: i32, wanted: i32 },
    /// One sentence for each topic, which says how to mend it.
    #[error("{}", .0.join("; "))]
    Differ(Vec<String>),
    #[error(
        "the topic {topic} can't be made: {code}. Make it by hand with {partitions} partitions and \
         max.message.bytes={RECORD_BYTES_MAX}, or let {user} make it"
    )]
    NotMade { topic: String, code: RDKafkaErrorCode, partitions: i32, user: &'static str },
}

/// A topic as it has to be.
struct Wanted {
    name: String,
    partitions: i32,
    /// Of its largest record; none: any broker's default is enough.
    bytes: Option<usize>,
}

/// A topic as it is.
struct Found {
    partitions: i32,
    /// The fewest copies of a partition.
    replicas: i32,
}

/// Makes the topics that are missing and looks at those that are there. Answers the id of the cluster that has them.
///
/// # Errors
/// When the brokers can't be reached, or a topic is not what it has to be; what is only less safe than it could be is logged.
pub async fn ensure(options: &KafkaOptions) -> Result<String, Error> {
    let mut config = options.client();
    config.set("socket.timeout.ms", "10000");
    let admin: AdminClient<Quiet> = config.create_with_context(Quiet::default()).map_err(options::Error::of)?;
    let wanted = wanted(options);
    let (mut found, mut brokers) = find(&config, options).await?;
    let is_missing = |found: &BTreeMap<String, Found>| wanted.iter().any(|topic| !found.contains_key(&topic.name));
    let began = tokio::time::Instant::now();
    while is_missing(&found) && brokers < replicas(options, brokers) {
        if began.elapsed() > BROKERS_WITHIN {
            let (there, wanted) = (brokers, replicas(options, brokers));
            return Err(Error::FewBrokers { brokers: options.brokers.clone(), there, wanted });
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        (found, brokers) = find(&config, options).await?;
    }
    let missing: Vec<_> = wanted.iter().filter(|topic| !found.contains_key(&topic.name)).collect();
    if !missing.is_empty() {
        make(&admin, options, &missing, replicas(options, brokers)).await?;
        let began = tokio::time::Instant::now();
        while is_missing(&found) && began.elapsed() < MADE_WITHIN {
            tokio::time::sleep(Duration::from_millis(200)).await;
            found = find(&config, options).await?.0;
        }
    }
    let settings = describe(&admin, options).await;
    let differ: Vec<String> = wanted
        .iter()
        .filter_map(|wanted| {
            let name = &wanted.name;
            let Some(topic) = found.get(name) else {
                return Some(format!("the topic {name} was made, and the brokers don't show it: look at their logs"));
            };
            let settings = settings.get(name);
            let setting = |of: &str| settings.and_then(|all| all.get(of)).map(String::as_str);
            differs(wanted, topic, setting("cleanup.policy"), setting("max.message.bytes")).or_else(|| {
                warn_of_loss(name, topic, replicas(options, brokers), setting("min.insync.replicas"));
                None
            })
        })
        .collect();
    if !differ.is_empty() {
        return Err(Error::Differ(differ));
    }
    cluster_id(&config, options).await
}

fn wanted(options: &KafkaOptions) -> Vec<Wanted> {
    let log = LogTopic::ALL.map(|topic| Wanted {
        name: options.topics.of(topic),
        partitions: topic.partitions(),
        bytes: Some(RECORD_BYTES_MAX),
    });
    let dead_letters = Wanted { name: options.topics.dead_letters(), partitions: DEAD_LETTER_PARTITIONS, bytes: None };
    log.into_iter().chain([dead_letters]).collect()
}

/// Why nothing may be written to a topic, and what to do about it.
fn differs(wanted: &Wanted, found: &Found, cleanup: Option<&str>, bytes: Option<&str>) -> Option<String> {
    let Wanted { name, partitions, .. } = wanted;
    if found.partitions != *partitions {
        return Some(format!(
            "the topic {name} has {} partitions, and needs {partitions}: an event's partition is the log's own. Delete the topic, \
             and it is made and written anew; or take other topics by COULOMB_KAFKA_TOPIC_PREFIX",
            found.partitions
        ));
    }
    let compacted = cleanup.is_some_and(|policy| policy.split(',').any(|word| word.trim() == "compact"));
    if compacted {
        return Some(format!(
            "the topic {name} is compacted, which drops all but the last event of a charge point: set it right with \
             `kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config cleanup.policy=delete`"
        ));
    }
    let (takes, needs) = (bytes?.parse::<usize>().ok()?, wanted.bytes?);
    (takes < needs).then(|| {
        format!(
            "the topic {name} takes records of up to {takes} bytes, and the log's largest one, which nothing could be written after, has \
             {needs}: set it right with `kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config \
             max.message.bytes={needs}`"
        )
    })
}

/// What is less safe than the brokers could make it: all of it is in Postgres, so that consumers miss nothing.
fn warn_of_loss(name: &str, found: &Found, wanted: i32, min_insync: Option<&str>) {
    let in_sync = min_insync.and_then(|text| text.parse::<i32>().ok());
    if found.replicas < wanted {
        tracing::warn!(
            topic = name,
            replicas = found.replicas,
            wanted,
            "a topic has fewer copies than the brokers could keep: reassign its partitions with kafka-reassign-partitions.sh"
        );
    } else if in_sync.is_some_and(|in_sync| in_sync < self::in_sync(wanted)) {
        tracing::warn!(
            topic = name,
            min_insync_replicas = in_sync,
            wanted = self::in_sync(wanted),
            "a topic acknowledges what only one broker has: alter its min.insync.replicas with kafka-configs.sh"
        );
    }
}

/// How many copies of each partition there are to be.
fn replicas(options: &KafkaOptions, brokers: i32) -> i32 {
    options.replicas.map_or(brokers.clamp(1, REPLICAS), i32::from)
}

fn in_sync(replicas: i32) -> i32 {
    (replicas - 1).max(1)
}

async fn make(
    admin: &AdminClient<Quiet>,
    options: &KafkaOptions,
    missing: &[&Wanted],
    replicas: i32,
) -> Result<(), Error> {
    let (in_sync, bytes) = (in_sync(replicas).to_string(), RECORD_BYTES_MAX.to_string());
    let topics: Vec<NewTopic<'_>> = missing
        .iter()
        .map(|Wanted { name, partitions, .. }| {
            NewTopic::new(name, *partitions, TopicReplication::Fixed(replicas))
                .set("cleanup.policy", "delete")
                .set("min.insync.replicas", &in_sync)
                .set("unclean.leader.election.enable", "false")
                .set("message.timestamp.type", "CreateTime")
                .set("max.message.bytes", &bytes)
        })
        .collect();
    let unreachable =
        |error| Error::Unreachable { brokers: options.brokers.clone(), why: None, source: Box::new(error) };
    let made = admin.create_topics(&topics, &AdminOptions::new().request_timeout(Some(PATIENCE)));
    for outcome in made.await.map_err(unreachable)? {
        match outcome {
            Ok(name) => tracing::info!(topic = name, replicas, "made a topic"),
            // Another process was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                let partitions = missing.iter().find(|of| of.name == topic).map_or(1, |of| of.partitions);
                return Err(Error::NotMade { topic, code, partitions, user: "the user of this program" });
            }
        }
    }
    Ok(())
}

/// Those of our topics that are there, and how many brokers are.
async fn find(config: &ClientConfig, options: &KafkaOptions) -> Result<(BTreeMap<String, Found>, i32), Error> {
    let wanted = wanted(options);
    let found = with_client(config, options, move |client| {
        let metadata = client.fetch_metadata(None, PATIENCE)?;
        let of = |topic: &rdkafka::metadata::MetadataTopic| Found {
            partitions: topic.partitions().len() as i32,
            replicas: topic.partitions().iter().map(|of| of.replicas().len() as i32).min().unwrap_or(0),
        };
        let ours = metadata.topics().iter().filter(|topic| wanted.iter().any(|of| of.name == topic.name()));
        let found: BTreeMap<String, Found> = ours
            .filter(|topic| topic.error().is_none() && !topic.partitions().is_empty())
            .map(|topic| (topic.name().to_owned(), of(topic)))
            .collect();
        Ok((found, metadata.brokers().len() as i32))
    });
    found.await
}

async fn cluster_id(config: &ClientConfig, options: &KafkaOptions) -> Result<String, Error> {
    // Brokers that name no cluster are one all the same.
    with_client(config, options, |client| Ok(client.client().fetch_cluster_id(PATIENCE).unwrap_or_default())).await
}

async fn with_client<T: Send + 'static>(
    config: &ClientConfig,
    options: &KafkaOptions,
    question: impl FnOnce(&BaseConsumer<Quiet>) -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, Error> {
    let config = config.clone();
    let asked = ask(move |_| {
        // Of all clients a consumer says why it got no answer.
        let client: BaseConsumer<Quiet> =
            config.create_with_context(Quiet::default()).map_err(|source| (source, None))?;
        question(&client).map_err(|source| (source, Quiet::why_of(&client)))
    });
    let asked = asked.await.unwrap_or(Err((KafkaError::Canceled, None)));
    asked.map_err(|(error, why)| Error::Unreachable { brokers: options.brokers.clone(), why, source: Box::new(error) })
}

/// The settings of each topic, as far as one may know them.
async fn describe(admin: &AdminClient<Quiet>, options: &KafkaOptions) -> BTreeMap<String, BTreeMap<String, String>> {
    let wanted = wanted(options);
    let topics: Vec<_> = wanted.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
    let asked = admin.describe_configs(&topics, &AdminOptions::new().request_timeout(Some(PATIENCE))).await;
    let answers = asked.unwrap_or_else(|error| {
        tracing::warn!(%error, "the settings of the topics can't be looked at");
        vec![]
    });
    let mut settings = BTreeMap::new();
    for (answer, Wanted { name, .. }) in answers.into_iter().zip(&wanted) {
        match answer {
            Ok(resource) => {
                let entries = resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
                settings.insert(name.clone(), entries.collect());
            }
            Err(code) => tracing::warn!(topic = name, %code, "the settings of a topic can't be looked at"),
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_with_what_to_do() {
        let found = |partitions| Found { partitions, replicas: 1 };
        let wanted = Wanted { name: "x.events".to_owned(), partitions: 64, bytes: Some(RECORD_BYTES_MAX) };
        let enough = RECORD_BYTES_MAX.to_string();
        assert_eq!(differs(&wanted, &found(64), Some("delete"), Some(&enough)), None);
        assert_eq!(differs(&wanted, &found(64), None, None), None);
        let partitions = differs(&wanted, &found(12), None, None).expect("it differs");
        assert!(partitions.contains("has 12 partitions, and needs 64"), "{partitions}");
        assert!(partitions.contains("COULOMB_KAFKA_TOPIC_PREFIX"), "{partitions}");
        let compacted = differs(&wanted, &found(64), Some("compact,delete"), None).expect("it differs");
        assert!(compacted.contains("cleanup.policy=delete"), "{compacted}");
        let small = differs(&wanted, &found(64), Some("delete"), Some("1048588")).expect("it differs");
        assert!(
            small.contains("up to 1048588 bytes") && small.contains(&format!("max.message.bytes={enough}")),
            "{small}"
        );
        let any = Wanted { name: "x.dead-letters".to_owned(), partitions: 1, bytes: None };
        assert_eq!(differs(&any, &found(1), Some("delete"), Some("1048588")), None);
    }

    #[test]
    fn copies_are_as_many_as_are_set_or_as_brokers_and_at_most_three() {
        let options = KafkaOptions::new("a:1");
        assert_eq!([0, 1, 2, 3, 5].map(|brokers| replicas(&options, brokers)), [1, 1, 2, 3, 3]);
        let set = KafkaOptions { replicas: Some(3), ..options };
        assert_eq!([1, 3, 5].map(|brokers| replicas(&set, brokers)), [3, 3, 3]);
        assert_eq!([1, 2, 3].map(in_sync), [1, 1, 2]);
    }
}
