//! How this program reads ranges of the log that were moved to object storage.

use std::sync::Arc;

use event_store::Archive;

/// None: it was built without the feature `archive`. What needs such a range says so then.
pub fn reader() -> Option<Arc<dyn Archive>> {
    #[cfg(feature = "archive")]
    return Some(Arc::new(archive::Reader::default()));
    #[cfg(not(feature = "archive"))]
    None
}
