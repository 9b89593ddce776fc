//! Whether what followers hold is what queries say.

use serde_json::{Value, json};
use simulator::phone::{Account, Error, Held, Line, Resource};

use crate::{WAIT_MAX, eventually};

/// Between two looks at what is not as it should be yet.
const LOOK: std::time::Duration = std::time::Duration::from_millis(50);
/// To be told whether a line is alive.
const ANSWERED_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Every resource that the line holds of the topic is, or becomes, what its GET says, and is in the same state as long as
/// it is at the same position.
///
/// # Panics
/// When one stays behind, or differs.
pub async fn holds_what_queries_say(line: &Line, account: &Account, topic: &str) {
    let held = line.held();
    let keys: Vec<String> = held.topic(topic).into_iter().flat_map(|topic| topic.resources.keys().cloned()).collect();
    for key in keys {
        eventually(&format!("{key} in {topic} to be what its GET says"), || async {
            let answer = match account.get(&path(&key)).await {
                Ok(answer) => answer,
                Err(Error::Refused(problem)) if problem.status != 503 => panic!("{key}: {problem:?}"),
                // The program may be starting.
                Err(_) => return None,
            };
            let held = line.held();
            let Some(resource) = held.topic(topic).and_then(|topic| topic.resources.get(&key)) else {
                // It has left the topic meanwhile: then it is over, or will be found to be.
                return is_over(&answer).then_some(());
            };
            is_as_answered(&key, resource, &answer).then_some(())
        })
        .await;
    }
}

/// Whether what a follower was told last is what the query answers, whole. It is not yet while one of the two is further.
///
/// # Panics
/// When they differ at the same position.
fn is_as_answered(key: &str, told: &Resource, answer: &Value) -> bool {
    let position = answer["position"].as_i64().expect("a resource has a position");
    if told.position == position {
        assert_eq!(told.data, *answer, "{key} differs at position {position}");
    }
    told.position == position
}

/// Every resource that has left the topic was told last as it is now: whatever changes it after it has left is told, too. How
/// many there are; what a snapshot has passed over since is not among them.
///
/// # Panics
/// When one stays behind, or differs.
pub async fn what_left_is_what_queries_say(line: &Line, account: &Account, topic: &str) -> usize {
    let left = |key: &str| line.held().topic(topic).and_then(|topic| topic.left.get(key).cloned());
    let keys: Vec<String> = line.held().topic(topic).into_iter().flat_map(|topic| topic.left.keys().cloned()).collect();
    for key in &keys {
        let mut answered = None;
        let as_told = async {
            loop {
                match (left(key), account.get(&path(key)).await) {
                    (None, _) => return,
                    (Some(told), Ok(answer)) if is_as_answered(key, &told, &answer) => return,
                    (Some(_), answer) => answered = Some(answer),
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, as_told).await.is_err() {
            let told = left(key);
            panic!("{key} as {} was told last, {topic}: {told:?}; as queries have it: {answered:?}", account.email());
        }
    }
    keys.len()
}

/// No charge is held any more: all are over.
///
/// # Panics
/// When one stays.
pub async fn holds_no_session(line: &Line, account: &Account, topic: &str) {
    let none = line.wait_for(|held| sessions(held, topic).next().is_none());
    if let Ok(none) = tokio::time::timeout(WAIT_MAX, none).await {
        none.expect("the line is open");
        return;
    }
    let held = line.held();
    let (upto, generation) = held.topic(topic).map(|topic| (topic.upto, topic.generation)).unwrap_or_default();
    let pong = tokio::time::timeout(ANSWERED_WITHIN, line.ask(json!({"action": "ping"}))).await;
    let mut stay = vec![];
    for (key, told) in sessions(&held, topic) {
        let answer = account.get(&path(key)).await;
        stay.push(format!("{key} was told last as {told:?}; as queries have it: {answer:?}"));
    }
    panic!(
        "{} holds charges in {topic} that are over, having heard all up to {upto:?} of generation {generation:?}; a ping is \
         answered with {pong:?}: {stay:#?}",
        account.email()
    );
}

/// The charges that are held of a topic, by key.
fn sessions<'h>(held: &'h Held, topic: &str) -> impl Iterator<Item = (&'h String, &'h Resource)> + use<'h> {
    let resources = held.topic(topic).into_iter().flat_map(|topic| &topic.resources);
    resources.filter(|(key, _)| key.starts_with("session:"))
}

/// Nothing that waits is missing: every unsettled command that the query lists is held, or is found to be settled meanwhile.
///
/// # Panics
/// When one stays missing.
pub async fn holds_all_open_commands(line: &Line, account: &Account, topic: &str) {
    let open = "/api/commands?state=requested,sent,accepted";
    let commands = eventually(open, || async { account.get(open).await.ok() }).await;
    for command in commands["items"].as_array().expect("it is a list") {
        let id = command["command_id"].as_str().expect("a command has an id");
        is_held_or_over(line, account, topic, &format!("command:{id}")).await;
    }
}

async fn is_held_or_over(line: &Line, account: &Account, topic: &str, key: &str) {
    eventually(&format!("{key} to be held in {topic}"), || async {
        let held = line.held().topic(topic).is_some_and(|topic| topic.resources.contains_key(key));
        let answer = if held { None } else { account.get(&path(key)).await.ok() };
        (held || answer.is_some_and(|answer| is_over(&answer))).then_some(())
    })
    .await;
}

/// Nothing that is open is missing: every session that the query lists is held, or is found to be over meanwhile.
///
/// # Panics
/// When one stays missing.
pub async fn holds_all_open_sessions(line: &Line, account: &Account, topic: &str) {
    let open = "/api/sessions?state=requested,active,stopping";
    let sessions = eventually(open, || async { account.get(open).await.ok() }).await;
    for session in sessions["items"].as_array().expect("it is a list") {
        let id = session["session_id"].as_str().expect("a session has an id");
        is_held_or_over(line, account, topic, &format!("session:{id}")).await;
    }
}

/// Whether a resource is one that leaves the topics of what is open.
fn is_over(resource: &Value) -> bool {
    let over = ["completed", "failed", "done", "rejected", "timed_out", "expired"];
    resource["state"].as_str().is_some_and(|state| over.contains(&state))
}

fn path(key: &str) -> String {
    let (kind, id) = key.split_once(':').expect("a key has a kind");
    match kind {
        "charger" => format!("/api/chargers/{id}"),
        "session" => format!("/api/sessions/{id}"),
        "command" => format!("/api/commands/{id}"),
        other => panic!("{other} is no kind of resource"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn session(position: i64, estimated: bool) -> Value {
        json!({"state": "completed", "cost": {"amount": "1.20", "estimated": estimated}, "position": position})
    }

    fn told(position: i64, estimated: bool) -> Resource {
        Resource { position, data: session(position, estimated) }
    }

    #[test]
    fn what_was_told_last_is_compared_whole() {
        assert!(is_as_answered("session:s", &told(20, false), &session(20, false)));
    }

    /// Its state is the same, and yet it was told of no settlement.
    #[test]
    fn a_session_that_was_settled_after_it_was_told_last_is_not_as_answered() {
        assert!(!is_as_answered("session:s", &told(15, true), &session(20, false)));
    }

    #[test]
    #[should_panic(expected = "session:s differs at position 20")]
    fn what_differs_at_one_position_is_found() {
        is_as_answered("session:s", &told(20, true), &session(20, false));
    }
}
