use crate::support::World;

#[tokio::test]
async fn at_the_end_sockets_are_told_when_to_come_back() {
    let world = World::new().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(world.driver_socket().await);
    }
    world.begin_shutdown();
    for client in &mut clients {
        let (code, reason) = client.closed().await;
        let wait = reason.strip_prefix("reconnect_after_ms=").and_then(|wait| wait.parse::<u64>().ok());
        assert_eq!((code, wait.is_some()), (1001, true), "{reason}");
    }
    drop(clients);
    world.ended().await;
}
