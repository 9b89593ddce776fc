//! Personal values stand nowhere in clear.

use application::command::{RegisterToken, SendStationCommand, register_token, send_station_command};
use application::report::{CommandAnswer, Notice, Status};
use domain::charge_point::StatusReport;
use domain::id::{DriverId, TokenId};
use domain::station_command::StationAction;
use serde_json::json;

use crate::support::{World, at, operator, outlet, start_of, stop_of, told, world};

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
    let status = || Status {
        report: StatusReport {
            outlet: Some(outlet(1)),
            ocpp_status: "Faulted".into(),
            error_code: Some("OtherError".into()),
            info: Some("card SECRETCARD rejected".into()),
            vendor_id: None,
            vendor_error_code: None,
            at: None,
        },
    };
    link.status(&told(3), status()).await.expect("recorded");
    link.status(&told(4), status()).await.expect("recorded");
    let repeated = "SELECT array_agg(payload->'ConnectorStatusReported'->>'repeated' ORDER BY position) FROM events WHERE event_type = 'ConnectorStatusReported'";
    let repeated: Vec<String> = sqlx::query_scalar(repeated).fetch_one(world.database.pool()).await.unwrap();
    assert_eq!(repeated, ["false", "true"], "sealed, and still known to be the same");
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

#[tokio::test]
async fn a_chargers_password_does_not_become_history() {
    let world = world().await;
    let link = world.connect().await;
    let action = StationAction::GetConfiguration { keys: vec![] };
    let ask = SendStationCommand { charger_id: "CP001".into(), action };
    let command_id = send_station_command(&world.app, &operator(), ask).await.expect("accepted").command_id;
    link.command_sent(command_id, at(0)).await.expect("decided").expect("to be sent");
    let interval = json!({"key": "HeartbeatInterval", "readonly": false, "value": "60"});
    let answer =
        json!({"configurationKey": [interval, {"key": "authorizationkey", "readonly": false, "value": "SECRET"}]});
    link.command_answered(command_id, CommandAnswer::Accepted(answer)).await.expect("recorded");
    let kept = json!({"configurationKey": [interval, {"key": "authorizationkey", "readonly": false}]});
    assert_eq!(world.command(command_id).await.answer, Some(kept));
}
