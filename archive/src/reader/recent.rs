//! What was made last, held for who asks next. Who asks for what is being made waits for it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

type Slot<V> = Arc<OnceCell<Arc<V>>>;

pub(super) struct Recent<K, V> {
    /// The one that was asked for last is at the end.
    slots: Mutex<VecDeque<(K, Slot<V>)>>,
    max: usize,
}

impl<K: PartialEq, V> Recent<K, V> {
    pub fn new(max: usize) -> Self {
        Self { slots: Mutex::default(), max }
    }

    fn slot(&self, key: K) -> Slot<V> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let there = slots.iter().position(|(other, _)| *other == key);
        let (key, slot) = there.and_then(|index| slots.remove(index)).unwrap_or_else(|| (key, Slot::default()));
        slots.push_back((key, Arc::clone(&slot)));
        if slots.len() > self.max {
            slots.pop_front();
        }
        slot
    }

    /// What is held, or what is made now. What can't be made is tried again by the next one who asks.
    pub async fn get<E>(&self, key: K, make: impl Future<Output = Result<V, E>>) -> Result<Arc<V>, E> {
        let slot = self.slot(key);
        slot.get_or_try_init(|| async { make.await.map(Arc::new) }).await.cloned()
    }
}

#[cfg(test)]
impl<K, V> Recent<K, V> {
    pub fn len(&self) -> usize {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl<K, V> fmt::Debug for Recent<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("max", &self.max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn what_was_asked_for_longest_ago_goes_first() {
        let recent = Recent::new(2);
        let mut made = vec![];
        for key in [1, 2, 1, 3, 1, 2] {
            let make = async {
                made.push(key);
                Ok::<_, Infallible>(key * 10)
            };
            let Ok(value) = recent.get(key, make).await;
            assert_eq!(*value, key * 10);
        }
        assert_eq!(made, [1, 2, 3, 2]);
    }

    #[tokio::test]
    async fn what_could_not_be_made_is_made_the_next_time() {
        let recent = Recent::<_, i32>::new(2);
        assert_eq!(recent.get("a", async { Err("no") }).await, Err("no"));
        assert_eq!(recent.get("a", async { Ok::<_, &str>(1) }).await, Ok(Arc::new(1)));
    }
}
