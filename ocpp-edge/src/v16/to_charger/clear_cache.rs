use serde::{Deserialize, Serialize};

/// `ClearCache.req` (1.6 section 6.11): forget the tags you know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClearCache {}
