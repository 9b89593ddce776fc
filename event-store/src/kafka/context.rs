//! What librdkafka says goes to the log of the program at its own level: it repeats itself every second while a broker is gone,
//! and who uses the client tells of it once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What waits in librdkafka's queue when a question was not answered.
const WAITING_MAX: usize = 64;

/// Keeps why librdkafka doesn't get through: of a question that it asks in vain the outcome is only that the time was over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quiet(Arc<Mutex<Option<(RDKafkaErrorCode, String)>>>);

impl Quiet {
    /// What was said last, and what to look at.
    pub fn why(&self) -> Option<String> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.as_ref().map(|(code, reason)| match hint(*code, reason) {
            Some(hint) => format!("{reason}: {hint}"),
            None => reason.clone(),
        })
    }

    /// Of a consumer that was asked in vain. What librdkafka says is taken only from who polls.
    pub fn why_of(consumer: &BaseConsumer<Self>) -> Option<String> {
        for _ in 0..WAITING_MAX {
            // As an error it has no reason; the context got it with one.
            let _ = consumer.poll(Duration::ZERO);
        }
        rdkafka::consumer::Consumer::context(consumer).why()
    }

    /// It gets through again.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub fn keep(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That all are down says less than why one is; and that one hung up less than that it refused us.
        let rank = |code| match code {
            RDKafkaErrorCode::AllBrokersDown => 0,
            RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL => 2,
            _ => 1,
        };
        if said.as_ref().is_none_or(|(kept, _)| rank(code) >= rank(*kept)) {
            *said = Some((code, reason.to_owned()));
        }
    }
}

/// What an operator would look at.
fn hint(code: RDKafkaErrorCode, reason: &str) -> Option<&'static str> {
    match code {
        RDKafkaErrorCode::Authentication => {
            Some("look at COULOMB_KAFKA_SASL_MECHANISM, COULOMB_KAFKA_SASL_USERNAME and COULOMB_KAFKA_SASL_PASSWORD")
        }
        // What a broker refuses after the handshake is told as a connection that broke.
        code if code == RDKafkaErrorCode::SSL || reason.contains("SSL routines") => Some(
            "look at COULOMB_KAFKA_CA_FILE, and, where brokers ask for a certificate, COULOMB_KAFKA_CERT_FILE and \
             COULOMB_KAFKA_KEY_FILE",
        ),
        _ => None,
    }
}

/// In a message, after what failed.
pub(crate) fn because(why: Option<&str>) -> String {
    why.map(|why| format!(" ({why})")).unwrap_or_default()
}

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", ?level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason);
        self.keep(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_most_is_kept_with_what_to_look_at() {
        let quiet = Quiet::default();
        assert_eq!((quiet.why(), because(None)), (None, String::new()));
        let told = |code, reason| quiet.error(KafkaError::Global(code), reason);
        told(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
        told(RDKafkaErrorCode::BrokerTransportFailure, "connection refused");
        told(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
        assert_eq!(quiet.why().as_deref(), Some("connection refused"));
        told(RDKafkaErrorCode::Authentication, "invalid credentials");
        told(RDKafkaErrorCode::BrokerTransportFailure, "it hung up");
        let why = quiet.why().expect("it was told");
        assert!(
            why.starts_with("invalid credentials: look at") && why.contains("COULOMB_KAFKA_SASL_PASSWORD"),
            "{why}"
        );
        quiet.forget();
        assert_eq!(quiet.why(), None);
    }
}
