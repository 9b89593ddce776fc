//! Two drivers want the same outlet.

use tests::{PythonCharger, shared, within};

#[tokio::test]
async fn the_second_of_two_drivers_at_one_outlet_is_refused() {
    let network = shared().await;
    let registered = network.charger().await;
    let (one, two) = (network.driver().await, network.driver().await);
    let mut charger = PythonCharger::online(network, &registered).await;

    // At the same moment, one by WebSocket and one over HTTP.
    let both = async { tokio::join!(one.start(&registered.id, 1), two.start_over_http(&registered.id, 1)) };
    let (first, second) = within("two starts", both).await;
    let (winner, accepted, refused) = match (first, second) {
        (Ok(accepted), Err(refused)) => (&one, accepted, refused),
        (Err(refused), Ok(accepted)) => (&two, accepted, refused),
        other => panic!("one is taken and one is refused, not {other:?}"),
    };
    assert_eq!(refused.code(), Some("connector-occupied"), "{refused}");
    // Who has it, and asks again, is answered with what they have.
    let again = within("the same again", winner.start(&registered.id, 1)).await.expect("it is theirs");
    assert_eq!(again.session_id, accepted.session_id);
    // The other outlet is free.
    let loser = if std::ptr::eq(winner, &one) { &two } else { &one };
    within("the other outlet", loser.start(&registered.id, 2)).await.expect("it is free");
    let asked = [charger.asked("RemoteStartTransaction").await, charger.asked("RemoteStartTransaction").await];
    assert_ne!(asked[0]["id_tag"], asked[1]["id_tag"]);
}
