//! Sealing under a key per person.

use application::vault::{Error, MasterKey, Subject, Vault};
use domain::id::{DriverId, Sealed};
use embedded_postgres::testing;

fn driver() -> Subject {
    Subject::Driver(DriverId::generate())
}

#[tokio::test]
async fn what_was_sealed_can_be_opened() {
    let database = testing::database(&schema::MIGRATOR).await;
    let vault = Vault::new(database.pool().clone(), MasterKey::new(rand::random()));
    let subject = driver();
    for clear in ["04A2B3C4", "", "Grüße 🚗", &"x".repeat(100_000)] {
        let sealed = vault.seal(subject, clear).await.expect("sealed");
        assert!(clear.is_empty() || !sealed.0.contains(clear));
        assert_eq!(vault.open(&sealed).await.expect("opened").as_deref(), Some(clear));
    }
    // The same value is sealed otherwise each time, so that equal ones can't be told.
    assert_ne!(vault.seal(subject, "a").await.expect("sealed"), vault.seal(subject, "a").await.expect("sealed"));
    // A person has one key, whoever asks first.
    let (one, other) = (driver(), Vault::new(database.pool().clone(), vault.master().clone()));
    let (first, second) = tokio::join!(vault.seal(one, "a"), other.seal(one, "b"));
    let key = |sealed: Sealed| sealed.0.split('.').nth(1).map(str::to_owned);
    assert_eq!(key(first.expect("sealed")), key(second.expect("sealed")));
}

#[tokio::test]
async fn a_database_keeps_to_its_first_master_key() {
    let database = testing::database(&schema::MIGRATOR).await;
    let master = MasterKey::new(rand::random());
    for _ in 0..2 {
        Vault::new(database.pool().clone(), master.clone()).check_master_key().await.expect("the same key");
    }
    let stranger = Vault::new(database.pool().clone(), MasterKey::new(rand::random()));
    assert!(matches!(stranger.check_master_key().await, Err(Error::WrongKey)));
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let database = testing::database(&schema::MIGRATOR).await;
    let vault = Vault::new(database.pool().clone(), MasterKey::new(rand::random()));
    let subject = driver();
    let sealed = vault.seal(subject, "04A2B3C4").await.expect("sealed");
    let stranger = Vault::new(database.pool().clone(), MasterKey::new(rand::random()));
    assert!(matches!(stranger.open(&sealed).await, Err(Error::WrongKey)));
    assert!(matches!(stranger.seal(subject, "more").await, Err(Error::WrongKey)));
    assert_ne!(vault.index_hash("token", "a"), stranger.index_hash("token", "a"));
    assert_ne!(vault.index_hash("token", "a"), vault.index_hash("e-mail", "a"));
    assert_eq!(vault.index_hash("token", "a"), vault.index_hash("token", "a"));
}

#[tokio::test]
async fn without_their_key_a_person_is_erased() {
    let database = testing::database(&schema::MIGRATOR).await;
    let master = MasterKey::new(rand::random());
    let vault = Vault::new(database.pool().clone(), master.clone());
    let (erased, other) = (driver(), driver());
    let sealed = vault.seal(erased, "04A2B3C4").await.expect("sealed");
    let kept = vault.seal(other, "04A2B3C4").await.expect("sealed");
    sqlx::query("DELETE FROM vault_keys WHERE subject = $1")
        .bind(erased.to_string())
        .execute(database.pool())
        .await
        .expect("deleted");
    let later = Vault::new(database.pool().clone(), master);
    assert_eq!(later.open(&sealed).await.expect("read"), None);
    assert_eq!(later.open(&kept).await.expect("read").as_deref(), Some("04A2B3C4"));
}

#[tokio::test]
async fn what_was_altered_is_refused() {
    let database = testing::database(&schema::MIGRATOR).await;
    let vault = Vault::new(database.pool().clone(), MasterKey::new(rand::random()));
    let (one, other) = (driver(), driver());
    let sealed = vault.seal(one, "04A2B3C4").await.expect("sealed").0;
    let elsewhere = vault.seal(other, "04A2B3C4").await.expect("sealed").0;
    let parts = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (mine, theirs) = (parts(&sealed), parts(&elsewhere));
    let flipped = |text: &str| {
        let other = if text.starts_with('A') { "B" } else { "A" };
        format!("{other}{}", &text[1..])
    };
    let table = [
        String::new(),
        "v1".into(),
        sealed.replace("v1.", "v2."),
        format!("v1.{}.", mine[1]),
        format!("v1.{}.{}", mine[1], theirs[2]),
        format!("v1.{}.{}", mine[1], flipped(&mine[2])),
        format!("v1.nobody.{}", mine[2]),
    ];
    for altered in table {
        assert!(matches!(vault.open(&Sealed(altered.clone())).await, Err(Error::WrongKey)), "{altered}");
    }
}

#[test]
fn a_master_key_is_never_shown() {
    assert_eq!(format!("{:?}", MasterKey::new([7; 32])), "MasterKey(…)");
}
