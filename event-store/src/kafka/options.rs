//! How Kafka is reached, and what its topics are called.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use schema::topics::Topics;

/// What the program sets itself, because its guarantees rest on it.
const OURS: [&str; 22] = [
    "acks",
    "allow.auto.create.topics",
    "bootstrap.servers",
    "compression.codec",
    "compression.type",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "group.id",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "partitioner",
    "request.required.acks",
    "retries",
    "delivery.timeout.ms",
    "security.protocol",
    "transactional.id",
    "enable.partition.eof",
    "isolation.level",
];

/// How to reach the brokers, and under which names the topics stand.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// `host:port`, separated by commas: some of the brokers, of which the client learns the others.
    pub brokers: String,
    pub topics: Topics,
    /// Copies of each partition of topics that are made; none: as many as there are brokers, and three at most.
    pub replicas: Option<u8>,
    pub security: Security,
    pub properties: Properties,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Security {
    #[default]
    Plaintext,
    Tls(Tls),
    Sasl(Sasl),
    SaslTls(Tls, Sasl),
}

/// Files in PEM. Without a CA file, the certificates that the system trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    pub ca_file: Option<PathBuf>,
    /// The client's own certificate, where brokers ask for one; with its key.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    /// PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; another one by properties.
    pub mechanism: String,
    pub username: String,
    pub password: Secret,
}

/// Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Further properties of librdkafka, by their names there. Values are not shown by `Debug`: some are secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("line {line} is not `name=value`")]
    Line { line: usize },
    #[error("the property {0} is set by the program itself, since nothing may be lost or come twice: leave it out")]
    Ours(String),
    /// Without the value, which may be a secret.
    #[error("librdkafka refuses the property {name}: {reason}")]
    Refused { name: String, reason: String },
    #[error("librdkafka can't be set up")]
    Kafka(#[source] KafkaError),
}

impl Properties {
    /// From lines `name=value`; empty ones and those that begin with `#` are passed over.
    ///
    /// # Errors
    /// When a line is something else, or sets what the program sets.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut properties = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, value) = line.split_once('=').ok_or(Error::Line { line: index + 1 })?;
            let (name, value) = (name.trim(), value.trim());
            if OURS.contains(&name) {
                return Err(Error::Ours(name.to_owned()));
            }
            properties.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self(properties))
    }
}

impl KafkaOptions {
    /// Without TLS or SASL, under the usual names.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topics: Topics::default(),
            replicas: None,
            security: Security::Plaintext,
            properties: Properties::default(),
        }
    }

    /// # Errors
    /// When librdkafka would refuse something of it. Files are not looked at.
    pub fn check(&self) -> Result<(), Error> {
        self.client().create_native_config().map(|_| ()).map_err(Error::of)
    }

    /// What every client has, whether it produces, consumes or administers. `client.id` is `coulomb`, where the properties have
    /// no other.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "coulomb");
        for (name, value) in &self.properties.0 {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        // A topic that is deleted is missed, and not made by a broker as it thinks best.
        config.set("allow.auto.create.topics", "false");
        let (protocol, tls, sasl) = match &self.security {
            Security::Plaintext => ("plaintext", None, None),
            Security::Tls(tls) => ("ssl", Some(tls), None),
            Security::Sasl(sasl) => ("sasl_plaintext", None, Some(sasl)),
            Security::SaslTls(tls, sasl) => ("sasl_ssl", Some(tls), Some(sasl)),
        };
        config.set("security.protocol", protocol);
        if let Some(Tls { ca_file, cert_file, key_file }) = tls {
            let files =
                [("ssl.ca.location", ca_file), ("ssl.certificate.location", cert_file), ("ssl.key.location", key_file)];
            for (name, file) in files {
                if let Some(file) = file {
                    config.set(name, file.to_string_lossy());
                }
            }
        }
        if let Some(Sasl { mechanism, username, password: Secret(password) }) = sasl {
            config.set("sasl.mechanism", mechanism).set("sasl.username", username).set("sasl.password", password);
        }
        config
    }
}

impl Error {
    pub(crate) fn of(error: KafkaError) -> Self {
        match error {
            // librdkafka's reason names the property, and may quote the value.
            KafkaError::ClientConfig(_, reason, name, value) => {
                let reason = if value.is_empty() { reason } else { reason.replace(&value, "(hidden)") };
                Self::Refused { name, reason }
            }
            other => Self::Kafka(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls() -> Tls {
        Tls {
            ca_file: Some("/etc/ca.pem".into()),
            cert_file: Some("/etc/me.pem".into()),
            key_file: Some("/etc/me.key".into()),
        }
    }

    fn sasl() -> Sasl {
        Sasl { mechanism: "SCRAM-SHA-512".into(), username: "coulomb".into(), password: Secret("s3cret-word".into()) }
    }

    fn native(options: &KafkaOptions, names: &[&str]) -> Vec<String> {
        let config = options.client().create_native_config().expect("librdkafka takes it");
        names.iter().map(|name| config.get(name).expect("a property")).collect()
    }

    /// As librdkafka has it in the end.
    #[test]
    fn tls_and_sasl_reach_librdkafka() {
        const NAMES: [&str; 8] = [
            "bootstrap.servers",
            "security.protocol",
            "ssl.ca.location",
            "ssl.certificate.location",
            "ssl.key.location",
            "sasl.mechanism",
            "sasl.username",
            "sasl.password",
        ];
        // What is not set librdkafka says it doesn't know.
        let (of_all, of_tls, of_sasl) = (&NAMES[..2], &NAMES[1..5], [&NAMES[1..2], &NAMES[5..]].concat());
        let options = KafkaOptions::new("a:9092,b:9092");
        assert_eq!(native(&options, of_all), ["a:9092,b:9092", "plaintext"]);
        let tls_only = KafkaOptions { security: Security::Tls(tls()), ..options.clone() };
        assert_eq!(native(&tls_only, of_tls), ["ssl", "/etc/ca.pem", "/etc/me.pem", "/etc/me.key"]);
        let sasl_only = KafkaOptions { security: Security::Sasl(sasl()), ..options.clone() };
        assert_eq!(native(&sasl_only, &of_sasl), ["sasl_plaintext", "SCRAM-SHA-512", "coulomb", "s3cret-word"]);
        let both = KafkaOptions { security: Security::SaslTls(tls(), sasl()), ..options };
        let all = native(&both, &NAMES);
        assert_eq!((all[1].as_str(), all[2].as_str(), all[7].as_str()), ("sasl_ssl", "/etc/ca.pem", "s3cret-word"));
    }

    #[test]
    fn further_properties_reach_librdkafka() {
        let text = "# of the network\n\nssl.endpoint.identification.algorithm = none\nclient.rack=r=1\n";
        let properties = Properties::parse(text).expect("properties");
        let options = KafkaOptions { properties, ..KafkaOptions::new("a:1") };
        options.check().expect("taken");
        let names = ["ssl.endpoint.identification.algorithm", "client.rack", "client.id"];
        assert_eq!(native(&options, &names), ["none", "r=1", "coulomb"]);
    }

    #[test]
    fn secrets_are_not_shown() {
        let properties = Properties::parse("ssl.key.password=s3cret-word").expect("properties");
        let security = Security::SaslTls(tls(), sasl());
        let options = KafkaOptions { security, properties, ..KafkaOptions::new("a:1") };
        let shown = format!("{options:?} {:?}", options.client());
        assert!(shown.contains("SCRAM-SHA-512") && shown.contains("ssl.key.password"), "{shown}");
        assert!(!format!("{options:?}").contains("s3cret-word"), "{options:?}");
    }

    #[test]
    fn what_cannot_be_is_refused_and_named() {
        assert!(matches!(Properties::parse("a=b\nfetch"), Err(Error::Line { line: 2 })));
        assert!(matches!(Properties::parse("acks=1"), Err(Error::Ours(name)) if name == "acks"));
        let of =
            |text| KafkaOptions { properties: Properties::parse(text).expect("lines"), ..KafkaOptions::new("a:1") };
        let unknown = of("no.such.thing=s3cret-word").check().unwrap_err().to_string();
        assert!(unknown.contains("no.such.thing") && !unknown.contains("s3cret-word"), "{unknown}");
        let wrong = of("socket.timeout.ms=s3cret-word").check().unwrap_err().to_string();
        assert!(wrong.contains("socket.timeout.ms") && !wrong.contains("s3cret-word"), "{wrong}");
    }
}
