//! The log in Kafka: the relay that writes it there, and what it is reached by (docs/decisions/0010).

pub mod options;

pub use options::KafkaOptions;
