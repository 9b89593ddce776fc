//! Other keys in the place of those that are, and all that was under the old ones can still be read.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;
use simulator::phone::Account;
use tests::{Network, RawCharger, binary, logs, passable, text, up};

const CARD: &str = "CARDOFKEYS1";

fn coulomb(data_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary::coulomb());
    command.arg("--data-dir").arg(data_dir).args(arguments).env_remove("DATABASE_URL").env_remove("COULOMB_MASTER_KEY");
    command.output().expect("it runs")
}

fn said(data_dir: &Path, arguments: &[&str]) -> String {
    let output = coulomb(data_dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(data_dir: &Path, arguments: &[&str]) -> String {
    let output = coulomb(data_dir, arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_and_nothing_is_lost() {
    let parent = passable();
    let data_dir = parent.path().join("data");
    let key_file = parent.path().join("new-key");
    std::fs::write(&key_file, "1f".repeat(32)).expect("it can be written");
    let rotate = ["keys", "rotate", "--master-key-file", key_file.to_str().expect("it is text")];

    let (builder, http, ocpp) = up(&["--data-dir", data_dir.to_str().expect("it is text")], logs("keys"));
    let program = builder.start().await;
    let network = Network::at(http, ocpp, &Network::private_database(&data_dir));
    let registered = network.charger().await;
    let person = network.person();
    let driver = network.customer(person.clone(), Some(CARD)).await;
    let driver_id = text(&driver.get("/api/me").await.expect("they can ask")["driver_id"]);
    let signed_before = driver.access_token().await.expect("it is good");

    // While all runs: a new key for signatures, and one for what is sealed for a driver later.
    let signing_keys = || async { keys(&network, "signing_keys").await };
    let before = signing_keys().await;
    said(&data_dir, &["keys", "rotate", "--signing"]);
    assert_eq!(signing_keys().await, before + 1);
    said(&data_dir, &["keys", "rotate", "--person", &driver_id]);
    let nobody = "00000000-0000-7000-8000-000000000000";
    assert!(refused(&data_dir, &["keys", "rotate", "--person", nobody]).contains("there is no key to change"));
    assert_eq!(asked(&network, &signed_before).await, 200, "signed with the old key, and good until it expires");
    assert!(said(&data_dir, &["keys", "expire"]).starts_with("0 keys"));

    let in_use = refused(&data_dir, &rotate);
    assert!(in_use.contains("Stop them") && in_use.contains("Nothing was changed"), "{in_use}");
    program.stop();
    std::fs::write(parent.path().join("short"), "1f1f").expect("it can be written");
    let short = parent.path().join("short");
    let short = refused(&data_dir, &["keys", "rotate", "--master-key-file", short.to_str().expect("it is text")]);
    assert!(short.contains("a key is 32 bytes"), "{short}");
    let old = std::fs::read_to_string(data_dir.join("master-key")).expect("it is there");
    let rotated = said(&data_dir, &rotate);
    assert!(rotated.contains("are under the new master key"), "{rotated}");
    assert_ne!(std::fs::read_to_string(data_dir.join("master-key")).expect("it is there"), old);

    // As if it had been cut off before the file was written: to do it again completes it.
    std::fs::write(data_dir.join("master-key"), &old).expect("it can be written");
    let with_the_old = builder.refused().await;
    assert!(with_the_old.contains("not the key that this database has been used with"), "{with_the_old}");
    assert!(said(&data_dir, &rotate).contains("was under the new master key before"));

    // Found by their hashes, opened with their keys: everything is as it was.
    let _program = builder.start().await;
    let login = Account::login(reqwest::Client::new(), &network.http, &person.email, &person.password, None).await;
    let again = login.expect("the address is found by its hash");
    assert_eq!(text(&again.get("/api/me").await.expect("they can ask")["driver_id"]), driver_id);
    driver.refresh().await.expect("a refresh token from before is exchanged");
    assert_eq!(asked(&network, &signed_before).await, 200);
    let operator = network.operator().await;
    let tokens = format!("/api/tokens?driver_id={driver_id}");
    let value = || async { operator.get(&tokens).await.expect("tokens can be listed")["items"][0]["value"].clone() };
    assert_eq!(value().await, CARD);
    let mut charger = RawCharger::connect(&network, &registered).await;
    charger.boot().await;
    let told = charger.ask("Authorize", json!({"idTag": CARD})).await;
    assert_eq!(told["idTagInfo"]["status"], "Accepted", "the card is found by its hash");

    // Sealed under the driver's new key; one can be told from the other.
    let second = json!({"type": "ISO14443", "value": "SECONDCARD1"});
    operator.post(&format!("/api/drivers/{driver_id}/tokens"), &second, None).await.expect("it can be registered");
    assert_eq!(vault_keys_of(&network, &driver_id).await, 2);
    // And both are gone with the driver.
    operator.post(&format!("/api/drivers/{driver_id}/erase"), &json!({}), None).await.expect("they are erased");
    assert_eq!(vault_keys_of(&network, &driver_id).await, 0);
    assert!(value().await.is_null());
}

async fn asked(network: &Network, token: &str) -> u16 {
    let request = reqwest::Client::new().get(format!("{}/api/me", network.queries)).bearer_auth(token);
    request.send().await.expect("it is answered").status().as_u16()
}

async fn keys(network: &Network, table: &str) -> i64 {
    count(network, &format!("SELECT count(*) FROM {table}")).await
}

async fn vault_keys_of(network: &Network, driver_id: &str) -> i64 {
    count(network, &format!("SELECT count(*) FROM vault_keys WHERE subject = 'driver:{driver_id}'")).await
}

async fn count(network: &Network, statement: &str) -> i64 {
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(&network.database_url).await.expect("it can be looked at");
    let count = sqlx::query_scalar(statement).fetch_one(&mut connection).await.expect("it can be counted");
    connection.close().await.expect("it is closed");
    count
}
