//! What a client holds of the topics it follows: the whole of the rule for clients.

use std::collections::BTreeMap;

use serde_json::Value;

/// By topic.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    pub topics: BTreeMap<String, Topic>,
}

/// One topic. It survives the connection: with `generation` and `upto` the next one goes on from here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Topic {
    pub generation: Option<i64>,
    /// All of the topic up to here has arrived.
    pub upto: Option<i64>,
    /// By key, such as `session:<id>`.
    pub resources: BTreeMap<String, Resource>,
    /// Those that have left the topic, as they were last told. What a snapshot may have passed over is not among them.
    pub left: BTreeMap<String, Resource>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    pub position: i64,
    pub data: Value,
}

/// What a message meant to who holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It changed what is held.
    News,
    /// It was not newer than what is held.
    Stale,
    /// It says nothing of a topic that is followed.
    Other,
}

/// Left resources that are remembered, of each topic.
const LEFT_MAX: usize = 256;

impl Held {
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    /// The newest state of a resource, in whatever topic it came, also when it has left the topic meanwhile.
    pub fn newest(&self, key: &str) -> Option<&Resource> {
        let all = self.topics.values().flat_map(|topic| [topic.resources.get(key), topic.left.get(key)]);
        all.flatten().max_by_key(|resource| resource.position)
    }

    pub fn hear(&mut self, message: &Value) -> Heard {
        let Some(topic) = message["topic"].as_str().and_then(|name| self.topics.get_mut(name)) else {
            return Heard::Other;
        };
        let name = message["topic"].as_str().unwrap_or_default();
        let is_gapless = topic.has_all_of(message);
        topic.generation = message["generation"].as_i64().or(topic.generation);
        let heard = match message["type"].as_str() {
            Some("snapshot") => {
                topic.resources = resources(name, &message["data"]);
                if !is_gapless {
                    // What of these changed in between is not told.
                    topic.left.clear();
                }
                Heard::News
            }
            Some("resumed" | "live") => Heard::News,
            _ if message["key"].is_string() => topic.change(message),
            _ => return Heard::Other,
        };
        topic.upto = message["upto"].as_i64().or(topic.upto);
        heard
    }
}

impl Topic {
    /// Whether all that a snapshot says has been told before: then nothing lies between the two.
    fn has_all_of(&self, snapshot: &Value) -> bool {
        let upto = snapshot["upto"].as_i64();
        upto.is_some() && upto <= self.upto && snapshot["generation"].as_i64() == self.generation
    }

    fn change(&mut self, message: &Value) -> Heard {
        let key = message["key"].as_str().unwrap_or_default();
        let position = message["position"].as_i64().unwrap_or_default();
        if self.resources.get(key).is_some_and(|held| held.position >= position) {
            return Heard::Stale;
        }
        let resource = Resource { position, data: message["data"].clone() };
        if message["removed"] == true {
            self.resources.remove(key);
            if self.left.len() >= LEFT_MAX {
                let oldest = self.left.iter().min_by_key(|(_, left)| left.position).map(|(key, _)| key.clone());
                oldest.and_then(|oldest| self.left.remove(&oldest));
            }
            self.left.insert(key.to_owned(), resource);
        } else {
            self.left.remove(key);
            self.resources.insert(key.to_owned(), resource);
        }
        Heard::News
    }
}

/// The resources of a snapshot: one, or a set in lists.
fn resources(topic: &str, data: &Value) -> BTreeMap<String, Resource> {
    let lists = [
        ("chargers", "charger", "charger_id"),
        ("sessions", "session", "session_id"),
        ("commands", "command", "command_id"),
    ];
    let resource =
        |data: &Value| Resource { position: data["position"].as_i64().unwrap_or_default(), data: data.clone() };
    if lists.iter().all(|(list, _, _)| !data[list].is_array()) {
        return BTreeMap::from([(topic.to_owned(), resource(data))]);
    }
    let items = lists.iter().flat_map(|(list, kind, id)| {
        let items = data[list].as_array().into_iter().flatten();
        items.map(move |item| (format!("{kind}:{}", item[id].as_str().unwrap_or_default()), resource(item)))
    });
    items.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn following(topic: &str) -> Held {
        Held { topics: BTreeMap::from([(topic.to_owned(), Topic::default())]) }
    }

    #[test]
    fn newer_state_wins_and_a_snapshot_replaces_everything() {
        let mut held = following("me");
        let session = |position: i64, state: &str| json!({"session_id": "s", "state": state, "position": position});
        let change = |position: i64, upto: i64, state: &str, removed: bool| {
            json!({"type": "session_updated", "topic": "me", "key": "session:s", "position": position, "upto": upto,
                "data": session(position, state), "removed": removed})
        };
        let snapshot = json!({"type": "snapshot", "topic": "me", "upto": 10, "generation": 1,
            "data": {"sessions": [session(9, "requested")], "commands": []}});
        assert_eq!(held.hear(&snapshot), Heard::News);
        assert_eq!(held.hear(&change(9, 11, "requested", false)), Heard::Stale);
        assert_eq!(held.hear(&change(12, 12, "active", false)), Heard::News);
        assert_eq!(held.newest("session:s").unwrap().data["state"], "active");
        let topic = held.topic("me").unwrap();
        assert_eq!((topic.generation, topic.upto), (Some(1), Some(12)));

        assert_eq!(held.hear(&change(15, 15, "completed", true)), Heard::News);
        assert!(held.topic("me").unwrap().resources.is_empty());
        assert_eq!(held.newest("session:s").unwrap().data["state"], "completed");

        // Another log: positions begin anew.
        let snapshot = json!({"type": "snapshot", "topic": "me", "upto": 3, "generation": 2,
            "data": {"sessions": [session(2, "active")], "commands": []}});
        assert_eq!(held.hear(&snapshot), Heard::News);
        let topic = held.topic("me").unwrap();
        assert_eq!((topic.generation, topic.upto), (Some(2), Some(3)));
        assert_eq!(topic.resources["session:s"].position, 2);
    }

    /// Only of what left and could not change unheard is it known how it was last.
    #[test]
    fn what_a_snapshot_may_have_passed_over_is_not_taken_for_the_last_word() {
        let snapshot = |upto: i64, generation: i64| {
            json!({"type": "snapshot", "topic": "me", "upto": upto, "generation": generation,
                "data": {"sessions": [], "commands": []}})
        };
        let left = json!({"type": "session_stopped", "topic": "me", "key": "session:s", "position": 15, "upto": 15,
            "data": {"state": "completed"}, "removed": true});
        for (upto, generation, stays) in [(12, 1, true), (15, 1, true), (16, 1, false), (12, 2, false)] {
            let mut held = following("me");
            held.hear(&snapshot(10, 1));
            held.hear(&left);
            held.hear(&snapshot(upto, generation));
            assert_eq!(held.newest("session:s").is_some(), stays, "up to {upto} of generation {generation}");
        }
    }

    #[test]
    fn a_topic_of_one_resource_is_its_own_key_and_others_are_not_ours() {
        let mut held = following("charger:CP001");
        let data = json!({"charger_id": "CP001", "connectors": [], "position": 4});
        held.hear(&json!({"type": "snapshot", "topic": "charger:CP001", "upto": 5, "generation": 1, "data": data}));
        assert_eq!(held.topic("charger:CP001").unwrap().resources["charger:CP001"].position, 4);
        assert_eq!(held.hear(&json!({"type": "pong", "upto": 9})), Heard::Other);
        assert_eq!(held.hear(&json!({"type": "live", "topic": "me", "upto": 9})), Heard::Other);
    }
}
