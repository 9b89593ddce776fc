//! What waits for one socket: of each resource of each of its subscriptions the newest state, never a queue of old ones.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use schema::log::Position;

use super::update::{ResourceKey, Update};

/// One subscription of one connection; never used twice on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriptionId(pub u32);

#[derive(Debug, Default)]
pub struct Inbox {
    /// Everything up to here that concerns this socket has been put in.
    upto: Position,
    waiting: Vec<Waiting>,
}

/// An update to be sent, and what may be said with it.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub update: Arc<Update>,
    /// With it, all of the topic up to here has been sent.
    pub upto: Position,
}

#[derive(Debug)]
struct Waiting {
    id: SubscriptionId,
    /// What is not above this has been sent with the snapshot.
    floor: Position,
    /// In the order in which it is sent. The first part of the place is the position up to which nothing of it is owed.
    places: BTreeMap<Place, Arc<Update>>,
    place_of: HashMap<ResourceKey, Place>,
}

/// Owed since, position, key.
type Place = (Position, Position, ResourceKey);

impl Inbox {
    pub fn open(&mut self, id: SubscriptionId) {
        self.waiting.push(Waiting { id, floor: Position::START, places: BTreeMap::new(), place_of: HashMap::new() });
    }

    pub fn close(&mut self, id: SubscriptionId) {
        self.waiting.retain(|waiting| waiting.id != id);
        self.waiting.shrink_to_fit();
    }

    /// Takes in what a batch has for this socket, all at once: nothing of a batch is sent without the rest.
    ///
    /// Answers how many older states were replaced before they were sent.
    pub fn put<'u>(
        &mut self,
        after: Position,
        upto: Position,
        updates: impl Iterator<Item = (SubscriptionId, &'u Arc<Update>)>,
    ) -> usize {
        let mut conflated = 0;
        for (id, update) in updates {
            if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.id == id) {
                conflated += usize::from(waiting.put(after, update));
            }
        }
        self.upto = self.upto.max(upto);
        conflated
    }

    /// Another history begins: what waits may never have been, and where this was says nothing any more.
    pub fn begin_again(&mut self) {
        self.upto = Position::START;
        for waiting in &mut self.waiting {
            (waiting.places, waiting.place_of) = (BTreeMap::new(), HashMap::new());
        }
    }

    /// All that waits for a subscription whose snapshot holds everything up to `floor`; what is not above it is dropped.
    /// `complete` is what the shard has delivered to all of its sockets.
    pub fn begin(&mut self, id: SubscriptionId, floor: Position, complete: Position) -> (Vec<Arc<Update>>, Position) {
        let complete = complete.max(self.upto).max(floor);
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.id == id) else {
            return (vec![], complete);
        };
        waiting.floor = floor;
        waiting.place_of = HashMap::new();
        let updates = std::mem::take(&mut waiting.places).into_values();
        (updates.filter(|update| update.position > floor).collect(), complete)
    }

    /// The next to be sent of a subscription.
    pub fn take(&mut self, id: SubscriptionId, complete: Position) -> Option<Delivery> {
        let complete = complete.max(self.upto);
        let waiting = self.waiting.iter_mut().find(|waiting| waiting.id == id)?;
        let update = waiting.take()?;
        let upto = waiting.owed_since().unwrap_or(complete);
        Some(Delivery { update, upto })
    }

    /// Up to where everything of every subscription has been sent.
    pub fn sent_upto(&self, complete: Position) -> Position {
        let owed = self.waiting.iter().filter_map(Waiting::owed_since).min();
        owed.unwrap_or_else(|| complete.max(self.upto))
    }
}

impl Waiting {
    /// Whether it took the place of an older state.
    fn put(&mut self, after: Position, update: &Arc<Update>) -> bool {
        if update.position <= self.floor {
            return false;
        }
        let former = self.place_of.get(&update.key).copied();
        if former.is_some_and(|(_, position, _)| position >= update.position) {
            return false;
        }
        let owed = match former {
            Some(place) => {
                self.places.remove(&place);
                place.0
            }
            None => after,
        };
        let place = (owed, update.position, update.key);
        self.place_of.insert(update.key, place);
        self.places.insert(place, update.clone());
        former.is_some()
    }

    fn take(&mut self) -> Option<Arc<Update>> {
        // No floor is kept for each key: what the hub says of one key rises in position, so nothing older can follow.
        let ((.., key), update) = self.places.pop_first()?;
        self.place_of.remove(&key);
        if self.places.is_empty() {
            // Most sockets are idle most of the time: no memory is kept for a burst that is over.
            self.place_of = HashMap::new();
        }
        Some(update)
    }

    fn owed_since(&self) -> Option<Position> {
        self.places.first_key_value().map(|((owed, ..), _)| *owed)
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use domain::envelope::Actor;
    use domain::id::{CommandId, TenantId};
    use domain::station_command::CommandState;
    use schema::log::Generation;
    use schema::partition::Partition;
    use schema::view::{CommandRow, Row, RowChange};
    use uuid::Uuid;

    use super::*;

    const ONE: SubscriptionId = SubscriptionId(1);
    const TWO: SubscriptionId = SubscriptionId(2);

    fn update(key: u128, position: i64) -> Arc<Update> {
        let row = CommandRow {
            tenant_id: TenantId::DEFAULT,
            command_id: CommandId(Uuid::from_u128(key)),
            kind: "reset".to_owned(),
            charge_point_id: None,
            session_id: None,
            state: CommandState::Sent,
            reason: None,
            answer: None,
            requested_by: Actor::system("test"),
            requested_at: Utc::now(),
            settled_at: None,
        };
        let change = RowChange {
            key: row.command_id.to_string(),
            partition: Partition::new(0).expect("the first"),
            generation: Generation::FIRST,
            position: Position(position),
            removed: false,
            row: Row::Commands(Box::new(row)),
        };
        let update = Update::of(&Arc::new(change), &Arc::default(), &Arc::default());
        Arc::new(update.expect("commands can be followed"))
    }

    fn inbox(ids: &[SubscriptionId]) -> Inbox {
        let mut inbox = Inbox::default();
        ids.iter().for_each(|id| inbox.open(*id));
        inbox
    }

    fn put(inbox: &mut Inbox, after: i64, upto: i64, updates: &[(SubscriptionId, u128, i64)]) -> usize {
        let updates: Vec<_> = updates.iter().map(|(id, key, position)| (*id, update(*key, *position))).collect();
        inbox.put(Position(after), Position(upto), updates.iter().map(|(id, update)| (*id, update)))
    }

    /// Position and `upto` of all that waits for a subscription.
    fn drained(inbox: &mut Inbox, id: SubscriptionId) -> Vec<(i64, i64)> {
        let all = std::iter::from_fn(|| inbox.take(id, Position(0)));
        all.map(|delivery| (delivery.update.position.0, delivery.upto.0)).collect()
    }

    #[test]
    fn nothing_of_a_former_history_is_told_in_another() {
        let mut inbox = inbox(&[ONE]);
        put(&mut inbox, 1000, 1001, &[(ONE, 7, 1001)]);
        inbox.begin_again();
        let (updates, upto) = inbox.begin(ONE, Position(900), Position(900));
        assert_eq!((updates.len(), upto), (0, Position(900)));
        put(&mut inbox, 900, 950, &[(ONE, 7, 950)]);
        assert_eq!(drained(&mut inbox, ONE), [(950, 950)]);
    }

    #[test]
    fn upto_is_claimed_only_when_nothing_below_is_owed() {
        let mut inbox = inbox(&[ONE]);
        put(&mut inbox, 10, 13, &[(ONE, 1, 11), (ONE, 2, 13)]);
        put(&mut inbox, 13, 14, &[(ONE, 3, 14)]);
        assert_eq!(inbox.sent_upto(Position(14)), Position(10));
        // Of a batch that comes in parts only the last may claim it.
        assert_eq!(drained(&mut inbox, ONE), [(11, 10), (13, 13), (14, 14)]);
        assert_eq!(inbox.sent_upto(Position(20)), Position(20));
    }

    #[test]
    fn a_slow_client_gets_the_newest_state_of_each_and_not_a_queue() {
        let mut inbox = inbox(&[ONE]);
        put(&mut inbox, 10, 11, &[(ONE, 1, 11)]);
        put(&mut inbox, 11, 12, &[(ONE, 2, 12)]);
        for position in 13..1_000 {
            assert_eq!(put(&mut inbox, position - 1, position, &[(ONE, 1, position)]), 1, "it replaced one");
        }
        // The first keeps its place: what was owed first is sent first.
        assert_eq!(drained(&mut inbox, ONE), [(999, 11), (12, 999)]);
        assert!(inbox.waiting[0].place_of.is_empty());
    }

    #[test]
    fn what_is_not_newer_is_dropped() {
        let mut inbox = inbox(&[ONE]);
        put(&mut inbox, 10, 12, &[(ONE, 1, 12)]);
        assert_eq!(put(&mut inbox, 10, 12, &[(ONE, 1, 12), (ONE, 1, 11)]), 0);
        assert_eq!(drained(&mut inbox, ONE), [(12, 12)]);
    }

    #[test]
    fn a_snapshot_takes_what_waited_and_sets_the_floor() {
        let mut inbox = inbox(&[ONE, TWO]);
        put(&mut inbox, 10, 15, &[(ONE, 1, 11), (ONE, 2, 15), (TWO, 1, 11)]);
        let (late, upto) = inbox.begin(ONE, Position(12), Position(14));
        assert_eq!((late.len(), late[0].position, upto), (1, Position(15), Position(15)));
        put(&mut inbox, 11, 12, &[(ONE, 3, 12)]);
        assert_eq!(drained(&mut inbox, ONE), []);
        assert_eq!(drained(&mut inbox, TWO), [(11, 15)]);
    }

    #[test]
    fn what_comes_for_an_ended_subscription_is_let_go() {
        let mut inbox = inbox(&[ONE]);
        inbox.close(ONE);
        put(&mut inbox, 10, 11, &[(ONE, 1, 11)]);
        assert_eq!(drained(&mut inbox, ONE), []);
        assert_eq!(inbox.sent_upto(Position(11)), Position(11));
    }
}
