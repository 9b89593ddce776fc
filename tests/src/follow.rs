//! Whether what followers hold is what queries say.

use simulator::phone::{Account, Error, Line};

use crate::eventually;

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
            let position = answer["position"].as_i64().expect("a resource has a position");
            if resource.position == position {
                assert_eq!(resource.data, answer, "{key} differs at position {position}");
                return Some(());
            }
            None
        })
        .await;
    }
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
        let key = format!("session:{id}");
        eventually(&format!("{key} to be held in {topic}"), || async {
            let held = line.held().topic(topic).is_some_and(|topic| topic.resources.contains_key(&key));
            let answer = if held { None } else { account.get(&format!("/api/sessions/{id}")).await.ok() };
            (held || answer.is_some_and(|session| is_over(&session))).then_some(())
        })
        .await;
    }
}

/// Whether a resource is one that leaves the topics of what is open.
fn is_over(resource: &serde_json::Value) -> bool {
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
