//! A person's data in the clear is in the accounts, and nowhere else in the database.

use std::process::Command;

use serde_json::json;
use simulator::phone::Person;
use tests::{RawCharger, binary, shared, text, until};

const CARD: &str = "CARDOFMIRANDA42";
const NAME: &str = "Miranda Quillfeather";
const EMAIL: &str = "miranda.quillfeather@tests.example";
const PHONE: &str = "+49305550123987";
const FREE_TEXT: &str = "my car is the blue Zanzibar";

#[tokio::test]
async fn nothing_of_a_person_is_in_the_clear_outside_of_the_accounts() {
    let network = shared().await;
    let registered = network.charger().await;
    let person = Person {
        email: EMAIL.to_owned(),
        password: "a password of hers".to_owned(),
        name: NAME.to_owned(),
        phone: Some(PHONE.to_owned()),
    };
    let driver = network.customer(person, Some(CARD)).await;
    let mut charger = RawCharger::connect(network, &registered).await;
    charger.boot().await;
    charger.ask("Authorize", json!({"idTag": CARD})).await;
    let start = json!({"connectorId": 1, "idTag": CARD, "meterStart": 0, "timestamp": "2026-03-01T10:00:00Z"});
    let started = charger.ask("StartTransaction", start).await;
    assert_eq!(started["idTagInfo"]["status"], "Accepted");
    let transfer = json!({"vendorId": "com.example", "messageId": "note", "data": FREE_TEXT});
    charger.ask("DataTransfer", transfer).await;
    let info = json!({"connectorId": 1, "errorCode": "OtherError", "status": "Faulted", "info": FREE_TEXT});
    charger.ask("StatusNotification", info).await;
    let stop = json!({"transactionId": started["transactionId"], "idTag": CARD, "meterStop": 10,
        "timestamp": "2026-03-01T10:10:00Z"});
    charger.ask("StopTransaction", stop).await;
    // A tag that belongs to nobody is somebody's all the same.
    charger.ask("Authorize", json!({"idTag": format!("X{CARD}")})).await;
    // What can't be understood is kept, and may hold anything.
    charger.call("StopTransaction", json!({"idTag": CARD, "comment": FREE_TEXT})).await;
    let over = |sessions: &serde_json::Value| sessions["items"][0]["state"] == "completed";
    until(&driver, "/api/sessions", over).await;
    let me = driver.get("/api/me").await.expect("she can ask who she is");
    assert_eq!((text(&me["name"]), text(&me["email"])), (NAME.to_owned(), EMAIL.to_owned()));

    let dump = dumped(&network.database_url, &[]);
    assert!(contains(&dump, NAME), "the account holds the name");
    let dump = dumped(&network.database_url, &["--exclude-table-data=accounts"]);
    assert!(contains(&dump, "TransactionStarted"), "the log is in the dump");
    for clear in [CARD, NAME, EMAIL, PHONE, FREE_TEXT, "Quillfeather", "Zanzibar", "305550123987"] {
        assert!(!contains(&dump, clear), "{clear} is in the database: {}", around(&dump, clear));
    }
}

fn dumped(database_url: &str, arguments: &[&str]) -> String {
    let output = Command::new(binary::postgres("pg_dump")).args(arguments).arg(database_url).output();
    let output = output.expect("pg_dump runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// In whatever case: tokens are compared without it.
fn contains(dump: &str, clear: &str) -> bool {
    dump.to_lowercase().contains(&clear.to_lowercase())
}

fn around(dump: &str, clear: &str) -> String {
    let (lower, clear) = (dump.to_lowercase(), clear.to_lowercase());
    lower.lines().find(|line| line.contains(&clear)).unwrap_or_default().chars().take(500).collect()
}
