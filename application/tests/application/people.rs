//! Personal values stand nowhere in clear.

use application::command::{RegisterToken, register_token};
use application::report::Notice;
use domain::id::{DriverId, TokenId};

use crate::support::{World, operator, start_of, stop_of, told, world};

/// A driver with a plan, and their card.
pub async fn card(world: &World, value: &str) -> TokenId {
    let driver_id = DriverId(world.driver().await.caller.user_id);
    let card = RegisterToken { driver_id, kind: "ISO14443".into(), value: value.into(), expires_at: None };
    register_token(&world.app, &operator(), card).await.expect("registered").token_id.expect("of the card")
}

#[tokio::test]
async fn what_people_and_chargers_say_is_sealed() {
    let world = world().await;
    let link = world.connect().await;
    card(&world, "SECRETCARD").await;
    link.authorize(&told(0), "SECRETCARD").await.expect("decided");
    link.authorize(&told(0), "SECRETSTRANGER").await.expect("decided");
    let started = link.start_transaction(&told(1), start_of(1, "SECRETCARD", 0)).await.expect("started");
    let mut stop = stop_of(&started, 1_000);
    stop.id_tag = Some("SECRETSTRANGER".into());
    link.stop_transaction(&told(2), stop).await.expect("recorded");
    let data = Notice::Data { vendor_id: "Vendor".into(), message_id: None, data: Some("SECRETDATA".into()) };
    link.notice(&told(3), data).await.expect("recorded");
    let broken = r#"{"idTag":"SECRETCARD"}"#.to_owned();
    let broken = Notice::Quarantined { action: "Authorize".into(), payload: broken, why: "broken".into() };
    link.notice(&told(4), broken).await.expect("recorded");

    let everywhere = "SELECT string_agg(payload::text || metadata::text, ' ') FROM events";
    let events: String = sqlx::query_scalar(everywhere).fetch_one(world.database.pool()).await.unwrap();
    assert!(!events.to_uppercase().contains("SECRET"), "in an event");
    for table in ["commands", "streams", "token_index", "aggregate_states", "vault_keys", "transactions"] {
        let rows = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t");
        let rows: String = sqlx::query_scalar(&rows).fetch_one(world.database.pool()).await.unwrap();
        assert!(!rows.to_uppercase().contains("SECRET"), "in {table}");
    }
    // Whoever has the key can read them.
    let query = "SELECT payload->'DataTransferred'->>'data' FROM events WHERE event_type = 'DataTransferred'";
    let sealed: String = sqlx::query_scalar(query).fetch_one(world.database.pool()).await.unwrap();
    let opened = world.app.vault().open(&domain::id::Sealed(sealed)).await.expect("opened");
    assert_eq!(opened.as_deref(), Some("SECRETDATA"));
}
