//! A sample of every version of every event that was ever stored, filled to the last optional field.

#[derive(Debug, Clone, Copy)]
pub struct Golden {
    pub aggregate: &'static str,
    pub event_type: &'static str,
    pub version: &'static str,
    /// The stored payload, as JSON text.
    pub payload: &'static str,
}

/// All of `schema/golden`, by aggregate, type and version.
pub static GOLDEN: &[Golden] = include!(concat!(env!("OUT_DIR"), "/golden.rs"));

/// The sample of one version of an event.
pub fn find(event_type: &str, version: &str) -> Option<&'static Golden> {
    GOLDEN.iter().find(|golden| golden.event_type == event_type && golden.version == version)
}

/// How many versions of an event are stored.
pub fn versions(event_type: &str) -> usize {
    GOLDEN.iter().filter(|golden| golden.event_type == event_type).count()
}
