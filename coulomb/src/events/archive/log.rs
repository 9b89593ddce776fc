//! The events of a class as the log itself has them, one after the other.

use std::collections::VecDeque;

use domain::envelope::Retention;
use event_store::EventStore;
use event_store::archiving::PAGE_EVENTS;
use schema::log::Position;
use schema::stored::StoredEvent;

pub struct Events<'a> {
    store: &'a EventStore,
    class: Retention,
    /// Everything up to here was read.
    at: Position,
    upto: Position,
    page: VecDeque<StoredEvent>,
}

impl<'a> Events<'a> {
    /// From `first` to `last`.
    pub fn of(store: &'a EventStore, class: Retention, first: Position, last: Position) -> Self {
        Self { store, class, at: Position(first.0 - 1), upto: last, page: VecDeque::new() }
    }

    pub async fn next(&mut self) -> anyhow::Result<Option<StoredEvent>> {
        self.fill().await?;
        Ok(self.page.pop_front())
    }

    /// The next one, if it is not after `upto`.
    pub async fn next_upto(&mut self, upto: Position) -> anyhow::Result<Option<StoredEvent>> {
        self.fill().await?;
        Ok(if self.page.front().is_some_and(|event| event.position <= upto) { self.page.pop_front() } else { None })
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        if self.page.is_empty() && self.at < self.upto {
            let page = self.store.page_of_class(self.class, self.at, self.upto).await?;
            let more = page.len() as i64 == PAGE_EVENTS;
            self.at = page.last().filter(|_| more).map_or(self.upto, |last| last.position);
            self.page = page.into();
        }
        Ok(())
    }
}
