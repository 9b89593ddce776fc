//! Where what concerns a connected charger is put: station commands to send, and the end of its connection.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use application::report::Requested;
use domain::id::{ChargePointId, Epoch};
use tokio::sync::Notify;

/// Commands that wait to be fetched. The charge point's aggregate lets fewer be open at a time.
const COMMANDS_MAX: usize = 128;

/// Why a connection is to end, seen from outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A newer socket of the charger was authenticated, here or on another edge.
    Superseded,
    /// Others took this edge for gone and have recorded the charger as disconnected: it must connect anew.
    PresumedGone,
    /// The edge is shutting down: what is under way is finished first.
    Draining,
}

/// The mailbox of one connection.
#[derive(Default)]
pub struct Mailbox {
    content: Mutex<Content>,
    changed: Notify,
}

#[derive(Default)]
struct Content {
    commands: VecDeque<Requested>,
    ending: Option<Ending>,
    /// None: the connection does not stand in the log yet.
    epoch: Option<Epoch>,
    /// Of the charger's connections that the log has told of since.
    newest: Epoch,
}

impl Content {
    /// The first ending counts, but none waits for a drain.
    fn end(&mut self, ending: Ending) {
        if self.ending.is_none_or(|present| present == Ending::Draining) {
            self.ending = Some(ending);
        }
    }
}

impl Mailbox {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False: there is no room.
    pub fn put(&self, command: Requested) -> bool {
        let mut content = self.content();
        let has_room = content.commands.len() < COMMANDS_MAX;
        if has_room {
            content.commands.push_back(command);
        }
        drop(content);
        self.changed.notify_one();
        has_room
    }

    pub fn end(&self, ending: Ending) {
        self.content().end(ending);
        self.changed.notify_one();
    }

    /// The connection stands in the log, under this epoch.
    pub fn connected(&self, epoch: Epoch) {
        let mut content = self.content();
        content.epoch = Some(epoch);
        if content.newest > epoch {
            content.end(Ending::Superseded);
        }
    }

    /// The log tells of a connection of the charger.
    fn told_of(&self, epoch: Epoch) {
        let mut content = self.content();
        content.newest = content.newest.max(epoch);
        if content.epoch.is_none_or(|own| own >= epoch) {
            return;
        }
        content.end(Ending::Superseded);
        drop(content);
        self.changed.notify_one();
    }

    pub fn ending(&self) -> Option<Ending> {
        self.content().ending
    }

    pub fn take(&self) -> VecDeque<Requested> {
        std::mem::take(&mut self.content().commands)
    }

    /// Something was put in, or may have been. Look first, then wait.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Completes when the connection must end whatever it is doing.
    pub async fn cut_off(&self) -> Ending {
        loop {
            if let Some(ending) = self.ending().filter(|ending| *ending != Ending::Draining) {
                return ending;
            }
            self.changed.notified().await;
        }
    }
}

/// The mailboxes of all chargers that are connected here. One for each charger: a newer socket's takes the place.
#[derive(Default)]
pub struct Mailboxes {
    by_charger: Mutex<HashMap<ChargePointId, Arc<Mailbox>>>,
}

impl Mailboxes {
    fn map(&self) -> MutexGuard<'_, HashMap<ChargePointId, Arc<Mailbox>>> {
        self.by_charger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a socket that was authenticated. An older one of the same charger ends at once.
    pub fn register(&self, charger: ChargePointId) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::default());
        let older = self.map().insert(charger, Arc::clone(&mailbox));
        if let Some(older) = older {
            older.end(Ending::Superseded);
        }
        mailbox
    }

    /// Of an older socket this changes nothing.
    pub fn remove(&self, charger: ChargePointId, mailbox: &Arc<Mailbox>) {
        let mut map = self.map();
        if map.get(&charger).is_some_and(|present| Arc::ptr_eq(present, mailbox)) {
            map.remove(&charger);
        }
    }

    pub fn find(&self, charger: ChargePointId) -> Option<Arc<Mailbox>> {
        self.map().get(&charger).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Mailbox>> {
        self.map().values().cloned().collect()
    }

    /// Those that stand in the log, with their epochs.
    pub fn connections(&self) -> Vec<(ChargePointId, Epoch)> {
        let all: Vec<_> = self.map().iter().map(|(charger, mailbox)| (*charger, Arc::clone(mailbox))).collect();
        all.into_iter().filter_map(|(charger, mailbox)| Some((charger, mailbox.content().epoch?))).collect()
    }

    /// The log says that the charger is connected under this epoch.
    pub fn connected_elsewhere(&self, charger: ChargePointId, epoch: Epoch) {
        if let Some(mailbox) = self.find(charger) {
            mailbox.told_of(epoch);
        }
    }

    /// The log says that the connection of this epoch has ended.
    pub fn disconnected(&self, charger: ChargePointId, epoch: Epoch) {
        if let Some(mailbox) = self.find(charger)
            && mailbox.content().epoch == Some(epoch)
        {
            mailbox.end(Ending::PresumedGone);
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::id::CommandId;

    use super::*;

    #[test]
    fn a_newer_socket_ends_the_older_and_is_not_removed_by_it() {
        let mailboxes = Mailboxes::default();
        let charger = ChargePointId::generate();
        let older = mailboxes.register(charger);
        let newer = mailboxes.register(charger);
        assert_eq!(older.ending(), Some(Ending::Superseded));
        mailboxes.remove(charger, &older);
        assert!(mailboxes.find(charger).is_some_and(|found| Arc::ptr_eq(&found, &newer)));
        mailboxes.remove(charger, &newer);
        assert!(mailboxes.find(charger).is_none());
    }

    #[test]
    fn only_what_the_log_says_of_this_or_a_newer_epoch_ends_a_connection() {
        let ends = |own: Option<i64>, tell: fn(&Mailboxes, ChargePointId)| {
            let mailboxes = Mailboxes::default();
            let charger = ChargePointId::generate();
            let mailbox = mailboxes.register(charger);
            if let Some(own) = own {
                mailbox.connected(Epoch(own));
            }
            tell(&mailboxes, charger);
            mailbox.ending()
        };
        let connected: fn(&Mailboxes, ChargePointId) = |all, charger| all.connected_elsewhere(charger, Epoch(5));
        let disconnected: fn(&Mailboxes, ChargePointId) = |all, charger| all.disconnected(charger, Epoch(5));
        for (own, told, expected) in [
            (None, connected, None),
            (Some(4), connected, Some(Ending::Superseded)),
            (Some(5), connected, None),
            (Some(6), connected, None),
            (None, disconnected, None),
            (Some(4), disconnected, None),
            (Some(5), disconnected, Some(Ending::PresumedGone)),
            (Some(6), disconnected, None),
        ] {
            assert_eq!(ends(own, told), expected, "{own:?}");
        }
    }

    #[test]
    fn a_connection_that_is_recorded_after_a_newer_one_was_told_of_ends() {
        let mailboxes = Mailboxes::default();
        let charger = ChargePointId::generate();
        let mailbox = mailboxes.register(charger);
        mailboxes.connected_elsewhere(charger, Epoch(6));
        mailbox.connected(Epoch(5));
        assert_eq!(mailbox.ending(), Some(Ending::Superseded));
    }

    #[test]
    fn a_drain_gives_way_to_a_newer_socket() {
        let mailbox = Mailbox::default();
        mailbox.end(Ending::Draining);
        mailbox.end(Ending::Superseded);
        mailbox.end(Ending::Draining);
        assert_eq!(mailbox.ending(), Some(Ending::Superseded));
    }

    #[test]
    fn a_full_mailbox_takes_no_more() {
        let mailbox = Mailbox::default();
        let requested = || Requested { command_id: CommandId::generate(), trace_id: None };
        assert!((0..COMMANDS_MAX).all(|_| mailbox.put(requested())));
        assert!(!mailbox.put(requested()));
        assert_eq!(mailbox.take().len(), COMMANDS_MAX);
    }
}
