use domain::refusal::Refusal;
use domain::token::{Token, TokenCommand};
use event_store::session::Error;
use event_store::{Appended, EventStore};
use uuid::Uuid;

use crate::support::{assert_sound, database, details, envelope, event_count, key, store};

#[derive(Debug)]
enum Outcome {
    Refused,
    /// Shown when a test fails.
    Failed(#[expect(dead_code, reason = "only its Debug is of use")] Error),
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Refusal> for Outcome {
    fn from(_: Refusal) -> Self {
        Self::Refused
    }
}

/// Runs one command on one token.
async fn command(store: &EventStore, id: Uuid, command: TokenCommand) -> Result<Option<Appended>, Outcome> {
    let envelope = envelope();
    let ran: Result<_, Outcome> = store
        .run(&envelope, |session| {
            let command = command.clone();
            Box::pin(async move {
                session.decide::<Token>(id, id, command).await??;
                Ok(())
            })
        })
        .await;
    Ok(ran?.1)
}

#[tokio::test]
async fn a_command_is_decided_on_the_newest_state() {
    let database = database().await;
    let (here, elsewhere) = (store(&database).await, store(&database).await);
    let id = Uuid::now_v7();
    let refused = command(&here, id, TokenCommand::Block).await;
    assert!(matches!(refused, Err(Outcome::Refused)), "{refused:?}");
    // Registered elsewhere: the cache here says that there is none, and a refusal must not rest on that.
    command(&elsewhere, id, TokenCommand::Register(details(id))).await.expect("registered");
    let blocked = command(&here, id, TokenCommand::Block).await.expect("blocked");
    assert!(matches!(blocked, Some(Appended::Committed { versions, .. }) if versions == [2]));
    // Nothing to do, says the newest state; the cache elsewhere says otherwise, and its append loses first.
    assert_eq!(command(&elsewhere, id, TokenCommand::Block).await.expect("nothing to do"), None);
    let unblocked = command(&elsewhere, id, TokenCommand::Unblock).await.expect("unblocked");
    assert!(unblocked.is_some());
    // Nor must "nothing to do" rest on an old state.
    assert!(command(&here, id, TokenCommand::Unblock).await.expect("nothing to do").is_none());
    assert!(here.load::<Token>(id).await.is_ok_and(|token| !token.state.blocked && token.version == 3));
    assert_sound(&database).await;
}

#[tokio::test]
async fn a_session_sees_what_it_has_decided_and_commits_all_of_it() {
    let database = database().await;
    let store = store(&database).await;
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    let mut session = store.session(envelope());
    for id in [one, other] {
        session
            .decide::<Token>(id, id, TokenCommand::Register(details(id)))
            .await
            .expect("loaded")
            .expect("registered");
    }
    let blocked = session.decide::<Token>(one, one, TokenCommand::Block).await.expect("loaded").expect("blocked");
    assert_eq!(blocked.len(), 1);
    assert!(session.load::<Token>(one).await.expect("loaded").blocked);
    assert_eq!(session.version::<Token>(one).await.expect("loaded"), 2);
    assert_eq!(store.load_cached::<Token>(one).await.expect("loaded").version, 0, "not committed yet");
    session.key(key("k", 1));
    session.commit().await.expect("committed");
    assert_eq!(store.load_cached::<Token>(one).await.expect("loaded").version, 2);
    assert_eq!(event_count(&database).await, 3);
    assert_sound(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_race_are_all_decided() {
    let database = database().await;
    let stores = [store(&database).await, store(&database).await];
    let id = Uuid::now_v7();
    let commands = (0..4).map(|n| command(&stores[n % 2], id, TokenCommand::Register(details(id))));
    let outcomes = futures_util::future::join_all(commands).await;
    let appended = outcomes.into_iter().filter_map(|outcome| outcome.expect("decided")).count();
    assert_eq!((appended, event_count(&database).await), (1, 1));
}
