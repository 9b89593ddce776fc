use event_store::append::Error;
use event_store::{Append, Appended};
use schema::log::Position;
use serde_json::json;

use crate::support::{append, assert_sound, database, event_count, key, store, stream, write};

#[tokio::test]
async fn the_same_key_and_body_get_the_first_answer() {
    let database = database().await;
    let store = store(&database).await;
    let one = stream();
    let keyed = |body| Append { key: Some(key("k", body)), ..append(vec![write(one, 0, 2)]) };
    let first = store.append(keyed(1)).await.expect("appended");
    assert!(matches!(first, Appended::Committed { position: Position(2), .. }));
    // Although the stream has moved on: the key comes first.
    let again = store.append(keyed(1)).await.expect("replayed");
    assert_eq!(again, Appended::Replayed { answer: json!({ "body": 1 }), position: Position(2) });
    assert!(matches!(store.append(keyed(2)).await, Err(Error::KeyReused)));
    assert_eq!(event_count(&database).await, 2);

    let found = store.lookup("test", "k").await.expect("looked up").expect("there");
    assert_eq!((found.answer, found.body_hash, found.position), (json!({ "body": 1 }), [1; 32], Position(2)));
    assert_eq!(store.lookup("another", "k").await.expect("looked up"), None);
    assert_sound(&database).await;
}

#[tokio::test]
async fn the_same_key_many_times_at_once_is_appended_once() {
    let database = database().await;
    let stores = [store(&database).await, store(&database).await, store(&database).await];
    let appends = (0..60).map(|n| {
        let keyed = Append { key: Some(key("k", 1)), ..append(vec![write(stream(), 0, 1)]) };
        stores[n % 3].append(keyed)
    });
    let outcomes: Vec<_> = futures_util::future::join_all(appends).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.expect("an answer")).collect();
    let committed = outcomes.iter().filter(|outcome| matches!(outcome, Appended::Committed { .. })).count();
    assert_eq!(committed, 1);
    assert!(outcomes.iter().all(|outcome| outcome.position() == Position(1)));
    assert_sound(&database).await;
}

#[tokio::test]
async fn a_refusal_is_recorded_without_an_event() {
    let database = database().await;
    let store = store(&database).await;
    store.append(append(vec![write(stream(), 0, 3)])).await.expect("appended");
    let refusal = || Append { key: Some(key("refused", 1)), ..Append::default() };
    let first = store.append(refusal()).await.expect("recorded");
    assert!(matches!(&first, Appended::Committed { position: Position(3), versions, .. } if versions.is_empty()));
    let again = store.append(refusal()).await.expect("replayed");
    assert_eq!(again, Appended::Replayed { answer: json!({ "body": 1 }), position: Position(3) });
    assert_sound(&database).await;
}

#[tokio::test]
async fn a_loser_leaves_no_key_behind() {
    let database = database().await;
    let store = store(&database).await;
    let lost = Append { key: Some(key("k", 1)), ..append(vec![write(stream(), 4, 1)]) };
    assert!(matches!(store.append(lost).await, Err(Error::Conflict { .. })));
    assert_eq!(store.lookup("test", "k").await.expect("looked up"), None);
    let other = Append { key: Some(key("k", 2)), ..append(vec![write(stream(), 0, 1)]) };
    assert!(matches!(store.append(other).await, Ok(Appended::Committed { .. })));
}

#[tokio::test]
async fn an_expired_key_may_be_used_for_something_else() {
    let database = database().await;
    let store = store(&database).await;
    let mut expired = key("k", 1);
    expired.expires_at = Some(chrono::Utc::now() - chrono::TimeDelta::seconds(1));
    let first = Append { key: Some(expired), ..append(vec![write(stream(), 0, 1)]) };
    store.append(first).await.expect("appended");
    assert_eq!(store.lookup("test", "k").await.expect("looked up"), None);
    let second = Append { key: Some(key("k", 2)), ..append(vec![write(stream(), 0, 1)]) };
    let second = store.append(second).await.expect("appended");
    assert!(matches!(second, Appended::Committed { position: Position(2), .. }));
    let found = store.lookup("test", "k").await.expect("looked up").expect("there");
    assert_eq!((found.body_hash, found.position), ([2; 32], Position(2)));
}
