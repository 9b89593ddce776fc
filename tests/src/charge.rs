//! One charge, from the driver's request to the bill, step by step.

use serde_json::{Value, json};
use simulator::phone::{Accepted, Phone};

use crate::network::{Network, Registered};
use crate::raw::RawCharger;
use crate::within;

/// A charge that has begun: asked for at command-service, seen at realtime-api, reported to ocpp-edge.
pub struct Charge {
    pub charger: RawCharger,
    pub registered: Registered,
    pub driver: Phone,
    pub accepted: Accepted,
    pub session_id: String,
    pub transaction_id: i64,
}

impl Charge {
    pub async fn begun(network: &Network, driver: Phone) -> Self {
        Self::begun_at(network, network, driver).await
    }

    /// The charger connects to `edge`, which is another network only in that.
    pub async fn begun_at(network: &Network, edge: &Network, driver: Phone) -> Self {
        let registered = network.charger().await;
        let mut charger = RawCharger::connect(edge, &registered).await;
        charger.boot().await;
        let status = json!({"connectorId": 1, "errorCode": "NoError", "status": "Preparing"});
        charger.ask("StatusNotification", status).await;
        let starting = driver.start_over_http(&registered.id, 1);
        let accepted = within("the start", starting).await.expect("a start is taken");
        let session_id = accepted.session_id.clone().expect("a start has a session");
        let asked = charger.asked("RemoteStartTransaction").await;
        charger.accept(&asked).await;
        let start = json!({"connectorId": 1, "idTag": asked[3]["idTag"], "meterStart": 1000,
            "timestamp": "2026-03-01T10:00:00Z"});
        let started = charger.ask("StartTransaction", start).await;
        assert_eq!(started["idTagInfo"]["status"], "Accepted");
        let transaction_id = started["transactionId"].as_i64().expect("a transaction has an id");
        let charge = Self { charger, registered, driver, accepted, session_id, transaction_id };
        let active = charge.seen(|session| session["state"] == "active").await;
        assert_eq!(active["transaction_id"], transaction_id.to_string());
        charge
    }

    /// Waits until the phone shows the session as wanted.
    pub async fn seen(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let key = format!("session:{}", self.session_id);
        let seen = self.driver.line.wait_for(|held| held.newest(&key).is_some_and(|session| wanted(&session.data)));
        let held = within("the session to change", seen).await.expect("the line is open");
        held.newest(&key).expect("it is held").data.clone()
    }

    /// The payload of MeterValues with one reading.
    pub fn reading(&self, timestamp: &str, register_wh: u32) -> Value {
        json!({"connectorId": 1, "transactionId": self.transaction_id, "meterValue": [
            {"timestamp": timestamp, "sampledValue": [{"value": register_wh.to_string(), "unit": "Wh"}]}]})
    }

    /// Reports the meter; acknowledged when this returns.
    pub async fn meter(&mut self, timestamp: &str, register_wh: u32) {
        let values = self.reading(timestamp, register_wh);
        self.charger.ask("MeterValues", values).await;
    }

    /// The driver asks at command-service, the charger is asked, and ends the transaction: all acknowledged.
    pub async fn stop(&mut self) -> Accepted {
        let accepted = self.ask_to_stop().await;
        self.stop_when_asked().await;
        accepted
    }

    pub async fn ask_to_stop(&self) -> Accepted {
        let stopping = self.driver.stop_over_http(&self.session_id);
        within("the stop", stopping).await.expect("a stop is taken")
    }

    /// The charger is asked, and ends the transaction.
    pub async fn stop_when_asked(&mut self) {
        let asked = self.charger.asked("RemoteStopTransaction").await;
        assert_eq!(asked[3]["transactionId"], self.transaction_id);
        self.charger.accept(&asked).await;
        let stop = json!({"transactionId": self.transaction_id, "meterStop": 6000,
            "timestamp": "2026-03-01T10:30:00Z", "reason": "Remote"});
        self.charger.ask("StopTransaction", stop).await;
    }

    /// The end as the phone sees it, which is what a query says.
    pub async fn ended(&self, network: &Network) -> Value {
        // Its price is recorded with its end, and through Kafka may be seen a moment later.
        let is_final = |session: &Value| session["state"] == "completed" && session["cost"]["estimated"] == false;
        let ended = self.seen(is_final).await;
        assert_eq!((&ended["energy_wh"], &ended["cost"]["amount"]), (&json!(5000), &json!("2.50")), "{ended}");
        let path = format!("{}?min_position={}", self.path(), ended["position"]);
        assert_eq!(network.query(&self.driver.account, &path).await.expect("a session can be asked for"), ended);
        ended
    }

    pub fn path(&self) -> String {
        format!("/api/sessions/{}", self.session_id)
    }
}
