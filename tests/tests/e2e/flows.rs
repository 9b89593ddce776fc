//! A driver starts, watches and stops a charge; a charger's change reaches whoever it concerns.

use serde_json::{Value, json};
use tests::{PythonCharger, shared, within};

const STARTED_AT: &str = "2026-03-01T10:00:00Z";

#[tokio::test]
async fn a_driver_starts_a_charge_and_sees_it_start_meter_and_stop() {
    let network = shared().await;
    let (registered, driver) = (network.charger().await, network.driver().await);
    let mut charger = PythonCharger::online(network, &registered).await;

    let accepted = within("the start", driver.start(&registered.id, 1)).await.expect("a start is taken");
    let asked = charger.asked("RemoteStartTransaction").await;
    assert_eq!(asked["connector_id"], 1);
    let tag = asked["id_tag"].as_str().expect("there is a tag").to_owned();
    assert!(tag.len() <= 20, "{tag}");
    let waiting = driver.line.wait_for(|held| {
        let session = accepted.session_id.as_ref().and_then(|id| held.newest(&format!("session:{id}")));
        session.is_some_and(|session| session.data["needs"] == "plug_in")
    });
    within("the driver to be told to plug in", waiting).await.expect("the line is open");

    charger.status(1, "Preparing").await;
    let start = json!({"connector_id": 1, "id_tag": tag, "meter_start": 1000, "timestamp": STARTED_AT});
    let started = charger.call("StartTransaction", start).await;
    assert_eq!(started["id_tag_info"]["status"], "Accepted");
    let transaction_id = started["transaction_id"].as_i64().expect("a transaction has an id");
    assert!(transaction_id > 0);
    let session = within("the session", driver.wait_for_session(&accepted, &["active"])).await.expect("it starts");
    assert_eq!(session["transaction_id"], transaction_id.to_string());
    charger.status(1, "Charging").await;

    let values = |energy_wh: u32, power_w: u32| {
        json!([{"timestamp": "2026-03-01T10:10:00Z", "sampled_value": [
            {"value": energy_wh.to_string(), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            {"value": power_w.to_string(), "measurand": "Power.Active.Import", "unit": "W"}]}])
    };
    let meter = json!({"connector_id": 1, "transaction_id": transaction_id, "meter_value": values(3500, 22_000)});
    charger.call("MeterValues", meter).await;
    let metered = seen(&driver, &accepted, |session| session["energy_wh"] == 2500).await;
    assert_eq!(metered["power_w"], 22_000);
    assert_eq!(metered["cost"]["amount"], "1.25");
    assert_eq!(metered["cost"]["revision"], 0);

    let session_id = accepted.session_id.as_deref().expect("a start has a session");
    within("the stop", driver.stop(session_id)).await.expect("a stop is taken");
    let asked = charger.asked("RemoteStopTransaction").await;
    assert_eq!(asked["transaction_id"], transaction_id);
    seen(&driver, &accepted, |session| session["state"] == "stopping").await;
    let stop = json!({"transaction_id": transaction_id, "meter_stop": 6000, "timestamp": "2026-03-01T10:30:00Z",
        "reason": "Remote"});
    charger.call("StopTransaction", stop).await;
    let stopped =
        within("the end", driver.wait_for_session(&accepted, &["completed"])).await.expect("it is seen to end");
    assert_eq!((&stopped["energy_wh"], &stopped["cost"]["amount"]), (&json!(5000), &json!("2.50")));
    assert_eq!(stopped["cost"]["estimated"], false, "{stopped}");

    // What was held to the end is what is kept.
    let path = format!("/api/sessions/{session_id}?min_position={}", stopped["position"]);
    assert_eq!(driver.account.get(&path).await.expect("a session can be asked for"), stopped);
    let readings = driver.account.get(&format!("/api/sessions/{session_id}/meter-values")).await;
    let readings = readings.expect("its readings can be asked for");
    assert_eq!(readings["items"][0]["sampled"][0]["value"], "3500", "{readings}");
    let command = driver.account.get(&format!("/api/commands/{}", accepted.command_id)).await;
    assert_eq!(command.expect("a command can be asked for")["state"], "done");
}

#[tokio::test]
async fn a_change_of_a_charger_reaches_every_driver_who_follows_it() {
    let network = shared().await;
    let registered = network.charger().await;
    let drivers = [network.driver().await, network.driver().await];
    let topic = format!("charger:{}", registered.id);
    for driver in &drivers {
        driver.line.subscribe(topic.as_str()).await.expect("the line is open");
    }
    let mut charger = PythonCharger::online(network, &registered).await;
    for (ocpp, word) in [("Available", "available"), ("Preparing", "preparing"), ("Faulted", "faulted")] {
        charger.status(1, ocpp).await;
        for driver in &drivers {
            let seen = driver.line.wait_for(|held| {
                held.newest(&topic).is_some_and(|charger| charger.data["connectors"][0]["status"] == word)
            });
            let held = within(word, seen).await.expect("the line is open");
            let charger = &held.newest(&topic).expect("it is held").data;
            assert_eq!((&charger["online"], &charger["connectors"][0]["ocpp_status"]), (&json!(true), &json!(ocpp)));
        }
    }
}

async fn seen(
    driver: &simulator::phone::Phone,
    accepted: &simulator::phone::Accepted,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let key = format!("session:{}", accepted.session_id.as_deref().expect("a start has a session"));
    let held = driver.line.wait_for(|held| held.newest(&key).is_some_and(|session| wanted(&session.data)));
    let held = within("the session to change", held).await.expect("the line is open");
    held.newest(&key).expect("it is held").data.clone()
}
