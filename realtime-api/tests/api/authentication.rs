use std::time::Duration;

use application::auth::{ACCESS_TOKEN_LIFE_S, Role};
use realtime_api::Limits;
use serde_json::json;
use uuid::Uuid;

use crate::support::{World, limits};

#[tokio::test]
async fn a_token_comes_by_header_subprotocol_or_message() {
    let world = World::new().await;
    let token = world.driver_token().await;
    let bearer = format!("Bearer {token}");
    let offered = format!("coulomb, bearer.{token}");

    let mut by_header = world.raw_socket(&[("Authorization", &bearer)]).await;
    let mut by_subprotocol = world.raw_socket(&[("Sec-WebSocket-Protocol", &offered)]).await;
    let mut by_message = world.raw_socket(&[("Sec-WebSocket-Protocol", "coulomb")]).await;
    by_message.say(json!({"action": "auth", "token": token, "id": 7})).await;
    for client in [&mut by_header, &mut by_subprotocol, &mut by_message] {
        let said = client.next().await;
        assert_eq!(said["type"], "authenticated");
        assert_eq!(said["generation"], 1);
        assert_eq!(said["data"]["driver_id"], world.driver.to_string());
        assert_eq!(said["data"]["role"], "driver");
        let answered = format!("{:?}", client.response.headers());
        assert!(!answered.contains(&token), "the token is not given back");
    }
    assert_eq!(by_subprotocol.response.headers()["sec-websocket-protocol"], "coulomb");
    assert!(!by_header.response.headers().contains_key("sec-websocket-protocol"));
}

#[tokio::test]
async fn what_is_no_good_token_is_refused_where_the_client_can_see_it() {
    let world = World::new().await;
    let expired = world.token_for(world.driver, Role::Driver, ACCESS_TOKEN_LIFE_S + 1).await;
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Authorization", "Bearer nonsense"),
    ];
    let refused = world.get_raw("/ws", &upgrade).await;
    assert_eq!(refused.status().as_u16(), 401);
    assert_eq!(world.get_raw("/ws", &upgrade[..1]).await.status().as_u16(), 400);

    for (token, code) in [("nonsense", 4002), (expired.as_str(), 4001)] {
        let offered = format!("coulomb, bearer.{token}");
        let mut client = world.raw_socket(&[("Sec-WebSocket-Protocol", &offered)]).await;
        assert_eq!(client.closed().await.0, code);
        let mut client = world.raw_socket(&[]).await;
        let said = client.ask(json!({"action": "auth", "token": token, "id": "a"})).await;
        assert_eq!((&said["type"], &said["id"], &said["data"]["status"]), (&"error".into(), &"a".into(), &401.into()));
        assert_eq!(client.closed().await.0, code);
    }
}

#[tokio::test]
async fn the_token_is_renewed_on_the_open_socket_by_its_own_user_only() {
    let world = World::new().await;
    let mut client = world.driver_socket().await;
    assert_eq!(
        client.ask(json!({"action": "auth", "token": world.driver_token().await})).await["type"],
        "authenticated"
    );
    // A bad one changes nothing.
    assert_eq!(client.ask(json!({"action": "auth", "token": "nonsense"})).await["data"]["status"], 401);
    assert_eq!(client.ask(json!({"action": "subscribe", "topic": "me"})).await["type"], "snapshot");
    let other = world.token(Uuid::now_v7(), Role::Driver).await;
    client.say(json!({"action": "auth", "token": other})).await;
    assert_eq!(client.closed().await.0, 4007);
}

#[tokio::test]
async fn a_socket_without_a_token_or_with_one_that_ends_is_closed() {
    let world = World::with(Limits { auth_wait: Duration::from_secs(2), ..limits() }).await;
    let mut silent = world.raw_socket(&[]).await;
    let error = silent.ask(json!({"action": "subscribe", "topic": "me"})).await;
    assert_eq!(error["data"]["type"], "/problems/unauthenticated");
    assert_eq!(silent.closed().await.0, 4003);
    let short = world.token_for(world.driver, Role::Driver, ACCESS_TOKEN_LIFE_S - 4).await;
    let mut ending = world.socket(&short).await;
    assert_eq!(ending.closed().await.0, 4001);
}
