//! cqrs-es reads what we write.

use cqrs_es::persist::PersistedEventRepository;
use domain::token::{Token, TokenEvent};
use postgres_es::PostgresEventRepository;

use crate::support::{append, database, envelope, store, stream, write};

#[tokio::test]
async fn the_stock_repository_reads_our_streams() {
    let database = database().await;
    let store = store(&database).await;
    let (one, other) = (stream(), stream());
    store.append(append(vec![write(one, 0, 2), write(other, 0, 1)])).await.expect("appended");
    store.append(append(vec![write(one, 2, 1)])).await.expect("appended");

    let stock = PostgresEventRepository::new(database.pool().clone());
    let read = stock.get_events::<Token>(&one.id.to_string()).await.expect("read");
    assert_eq!(read.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(read[1].event_type, "TokenBlocked");
    let blocked: TokenEvent = serde_json::from_value(read[1].payload.clone()).expect("its payload");
    assert_eq!(blocked, TokenEvent::TokenBlocked {});
    let metadata = schema::metadata::from_json(&read[1].metadata.to_string()).expect("its metadata");
    assert_eq!(metadata, *envelope());
    let last = stock.get_last_events::<Token>(&one.id.to_string(), 2).await.expect("read");
    assert_eq!(last.len(), 1);
}
