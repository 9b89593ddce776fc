//! How Kafka is reached, where the log goes through it.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use event_store::kafka::KafkaOptions;
use event_store::kafka::options::{Properties, Sasl, Secret, Security, Tls};
use schema::topics::{DEFAULT_PREFIX, Topics};

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Plaintext,
    Tls,
    Sasl,
    /// Both
    SaslTls,
}

#[derive(Args, Clone, Debug)]
pub struct KafkaArgs {
    /// Bring the log to other processes through this Kafka (some of its brokers); without it they read it from Postgres
    #[arg(long, env = "KAFKA_BROKERS", global = true, value_name = "HOST:PORT,...", value_parser = brokers)]
    pub kafka_brokers: Option<String>,

    /// What the names of the topics begin with
    #[arg(long, env = "COULOMB_KAFKA_TOPIC_PREFIX", global = true, value_name = "PREFIX", default_value = DEFAULT_PREFIX,
        value_parser = topics, hide_short_help = true)]
    pub kafka_topic_prefix: Topics,

    /// Copies of each partition of the topics that the relay makes, which waits for as many brokers; without it as many as there are
    /// brokers by then, and three at most
    #[arg(long, env = "COULOMB_KAFKA_REPLICAS", global = true, value_name = "COUNT",
        value_parser = clap::value_parser!(u8).range(1..=9), hide_short_help = true)]
    pub kafka_replicas: Option<u8>,

    /// How the brokers are spoken to
    #[arg(
        long,
        env = "COULOMB_KAFKA_SECURITY",
        global = true,
        value_enum,
        default_value_t,
        value_name = "PROTOCOL",
        hide_short_help = true
    )]
    pub kafka_security: Protocol,

    /// With tls: certificates (PEM) of who may vouch for a broker; without it those that the system trusts
    #[arg(long, env = "COULOMB_KAFKA_CA_FILE", global = true, value_name = "FILE", hide_short_help = true)]
    pub kafka_ca_file: Option<PathBuf>,

    /// With tls: this client's own certificate (PEM), where brokers ask for one
    #[arg(long, env = "COULOMB_KAFKA_CERT_FILE", global = true, value_name = "FILE", hide_short_help = true)]
    pub kafka_cert_file: Option<PathBuf>,

    /// With tls: its key (PEM)
    #[arg(long, env = "COULOMB_KAFKA_KEY_FILE", global = true, value_name = "FILE", hide_short_help = true)]
    pub kafka_key_file: Option<PathBuf>,

    /// With sasl: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
    #[arg(
        long,
        env = "COULOMB_KAFKA_SASL_MECHANISM",
        global = true,
        value_name = "NAME",
        default_value = "SCRAM-SHA-512",
        hide_short_help = true
    )]
    pub kafka_sasl_mechanism: String,

    /// With sasl: the user's name
    #[arg(long, env = "COULOMB_KAFKA_SASL_USERNAME", global = true, value_name = "NAME", hide_short_help = true)]
    pub kafka_sasl_username: Option<String>,

    /// With sasl: the user's password
    #[arg(long, env = "COULOMB_KAFKA_SASL_PASSWORD", hide_env_values = true, global = true, value_name = "PASSWORD",
        value_parser = secret, hide_short_help = true)]
    pub kafka_sasl_password: Option<Secret>,

    /// A file of further properties of librdkafka, a line `name=value` for each
    #[arg(long, env = "COULOMB_KAFKA_PROPERTIES", global = true, value_name = "FILE", hide_short_help = true)]
    pub kafka_properties: Option<PathBuf>,
}

fn brokers(text: &str) -> Result<String, String> {
    let is_broker = |broker: &str| {
        broker.trim().rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    match text.split(',').all(is_broker) {
        true => Ok(text.to_owned()),
        false => Err("must be host:port, or several of these, separated by commas".to_owned()),
    }
}

fn topics(text: &str) -> Result<Topics, String> {
    Topics::new(text).map_err(|error| error.to_string())
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret(text.to_owned()))
}

impl KafkaArgs {
    /// None: the log is read from Postgres.
    ///
    /// # Errors
    /// When something is missing, or librdkafka would not take it.
    pub fn options(&self) -> anyhow::Result<Option<KafkaOptions>> {
        let Some(brokers) = &self.kafka_brokers else { return Ok(None) };
        let properties = match &self.kafka_properties {
            None => Properties::default(),
            Some(file) => {
                let said = || format!("COULOMB_KAFKA_PROPERTIES {}", file.display());
                let text = std::fs::read_to_string(file).with_context(said)?;
                Properties::parse(&text).with_context(said)?
            }
        };
        let options = KafkaOptions {
            brokers: brokers.clone(),
            topics: self.kafka_topic_prefix.clone(),
            replicas: self.kafka_replicas,
            security: self.security()?,
            properties,
        };
        options.check().context("the settings of Kafka (COULOMB_KAFKA_*)")?;
        Ok(Some(options))
    }

    fn security(&self) -> anyhow::Result<Security> {
        let tls = || {
            let files = [
                ("COULOMB_KAFKA_CA_FILE", &self.kafka_ca_file),
                ("COULOMB_KAFKA_CERT_FILE", &self.kafka_cert_file),
                ("COULOMB_KAFKA_KEY_FILE", &self.kafka_key_file),
            ];
            for (variable, file) in files {
                if let Some(file) = file {
                    std::fs::File::open(file).with_context(|| format!("{variable} {}", file.display()))?;
                }
            }
            if self.kafka_cert_file.is_some() != self.kafka_key_file.is_some() {
                bail!("COULOMB_KAFKA_CERT_FILE and COULOMB_KAFKA_KEY_FILE belong together: give both or none");
            }
            anyhow::Ok(Tls {
                ca_file: self.kafka_ca_file.clone(),
                cert_file: self.kafka_cert_file.clone(),
                key_file: self.kafka_key_file.clone(),
            })
        };
        let sasl = || {
            let of = "with COULOMB_KAFKA_SECURITY=sasl or sasl-tls";
            anyhow::Ok(Sasl {
                mechanism: self.kafka_sasl_mechanism.clone(),
                username: self
                    .kafka_sasl_username
                    .clone()
                    .with_context(|| format!("COULOMB_KAFKA_SASL_USERNAME is needed {of}"))?,
                password: self
                    .kafka_sasl_password
                    .clone()
                    .with_context(|| format!("COULOMB_KAFKA_SASL_PASSWORD is needed {of}"))?,
            })
        };
        Ok(match self.kafka_security {
            Protocol::Plaintext => Security::Plaintext,
            Protocol::Tls => Security::Tls(tls()?),
            Protocol::Sasl => Security::Sasl(sasl()?),
            Protocol::SaslTls => Security::SaslTls(tls()?, sasl()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(flatten)]
        kafka: KafkaArgs,
    }

    fn options(arguments: &[&str]) -> Result<Option<KafkaOptions>, String> {
        let line = Line::try_parse_from(std::iter::once("coulomb").chain(arguments.iter().copied()));
        let line = line.map_err(|error| error.to_string())?;
        assert!(!format!("{line:?}").contains("s3cret"), "{line:?}");
        line.kafka.options().map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn without_brokers_there_is_no_kafka() {
        assert!(options(&["--kafka-security", "tls"]).expect("fine").is_none());
    }

    #[test]
    fn settings_become_options() {
        let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let found = options(&[
            "--kafka-brokers",
            "a:9092,b:9092",
            "--kafka-topic-prefix",
            "mine",
            "--kafka-replicas",
            "3",
            "--kafka-security",
            "sasl-tls",
            "--kafka-ca-file",
            ca,
            "--kafka-sasl-username",
            "me",
            "--kafka-sasl-password",
            "s3cret",
        ]);
        let found = found.expect("fine").expect("some");
        assert_eq!((found.brokers.as_str(), found.topics.prefix()), ("a:9092,b:9092", "mine"));
        assert_eq!(found.replicas, Some(3));
        let Security::SaslTls(tls, sasl) = found.security else { panic!("{:?}", found.security) };
        assert_eq!(tls, Tls { ca_file: Some(ca.into()), ..Tls::default() });
        let password = Secret("s3cret".to_owned());
        assert_eq!(sasl, Sasl { mechanism: "SCRAM-SHA-512".to_owned(), username: "me".to_owned(), password });
    }

    #[test]
    fn what_is_wrong_is_named() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let table: [(&[&str], &str); 9] = [
            (&["--kafka-brokers", "a"], "host:port"),
            (&["--kafka-brokers", "a:1,:2"], "host:port"),
            (&["--kafka-brokers", "a:1", "--kafka-topic-prefix", "a b"], "names of topics"),
            (&["--kafka-brokers", "a:1", "--kafka-replicas", "0"], "--kafka-replicas"),
            (&["--kafka-brokers", "a:1", "--kafka-security", "sasl"], "COULOMB_KAFKA_SASL_USERNAME is needed"),
            (
                &["--kafka-brokers", "a:1", "--kafka-security", "sasl", "--kafka-sasl-username", "me"],
                "COULOMB_KAFKA_SASL_PASSWORD is needed",
            ),
            (
                &["--kafka-brokers", "a:1", "--kafka-security", "tls", "--kafka-ca-file", "/no/such"],
                "COULOMB_KAFKA_CA_FILE /no/such",
            ),
            (
                &["--kafka-brokers", "a:1", "--kafka-security", "tls", "--kafka-key-file", here],
                "COULOMB_KAFKA_CERT_FILE and",
            ),
            (&["--kafka-brokers", "a:1", "--kafka-properties", here], "COULOMB_KAFKA_PROPERTIES"),
        ];
        for (arguments, expected) in table {
            let message = options(arguments).unwrap_err();
            assert!(message.contains(expected), "{arguments:?}: {message}");
        }
    }
}
