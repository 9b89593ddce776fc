//! Access tokens: issued, verified, rotated; strangers', old and broken ones.

use application::auth::{ACCESS_TOKEN_LIFE_S, Role, Signer, Unauthenticated, Verifier};
use application::vault::MasterKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use domain::id::TenantId;
use embedded_postgres::testing::{self, TestDatabase};
use uuid::Uuid;

use crate::support::at;

async fn issue(signer: &Signer, now: DateTime<Utc>) -> String {
    signer.issue(Uuid::from_u128(7), Role::Driver, TenantId::DEFAULT, now).await.expect("issued").token
}

async fn keys(database: &TestDatabase) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM signing_keys").fetch_one(database.pool()).await.unwrap()
}

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).expect("a header").kid.expect("a key id")
}

#[tokio::test]
async fn a_token_says_who_calls_until_it_expires() {
    let database = testing::database(&schema::MIGRATOR).await;
    let signer = Signer::new(database.pool().clone(), MasterKey::new(rand::random()));
    let verifier = Verifier::new(database.pool().clone());
    let issued = signer.issue(Uuid::from_u128(7), Role::Operator, TenantId::DEFAULT, at(0)).await.expect("issued");
    assert_eq!(issued.expires_in_s, ACCESS_TOKEN_LIFE_S);
    let caller = verifier.verify(&issued.token, at(0)).await.expect("good");
    assert_eq!(
        (caller.user_id, caller.role, caller.tenant_id),
        (Uuid::from_u128(7), Role::Operator, TenantId::DEFAULT)
    );
    assert_eq!((caller.is_operator(), caller.driver_id()), (true, None));
    let end = at(0) + TimeDelta::seconds(ACCESS_TOKEN_LIFE_S);
    assert_eq!(caller.expires_at, end);
    assert!(verifier.verify(&issued.token, end - TimeDelta::seconds(1)).await.is_ok());
    assert!(matches!(verifier.verify(&issued.token, end).await, Err(Unauthenticated::Expired)));
}

#[tokio::test]
async fn keys_rotate_and_the_old_ones_tokens_stay_good() {
    let database = testing::database(&schema::MIGRATOR).await;
    let master = MasterKey::new(rand::random());
    let signer = Signer::new(database.pool().clone(), master.clone());
    let verifier = Verifier::new(database.pool().clone());
    let day = TimeDelta::hours(24);
    let first = issue(&signer, at(0)).await;
    let last = issue(&signer, at(0) + day - TimeDelta::seconds(1)).await;
    assert_eq!((kid(&first), keys(&database).await), (kid(&last), 1));
    let next = issue(&signer, at(0) + day).await;
    assert_ne!(kid(&next), kid(&first));
    assert_eq!(keys(&database).await, 2);
    let soon_after = at(0) + day + TimeDelta::minutes(14);
    assert!(verifier.verify(&last, soon_after).await.is_ok());
    assert!(verifier.verify(&next, soon_after).await.is_ok());
    // Another process signs with the same key, and one that started later verifies the same.
    let other = Signer::new(database.pool().clone(), master);
    assert_eq!(kid(&issue(&other, soon_after).await), kid(&next));
    assert!(Verifier::new(database.pool().clone()).verify(&last, soon_after).await.is_ok());
    // With another master key none can be opened.
    let stranger = Signer::new(database.pool().clone(), MasterKey::new(rand::random()));
    assert!(stranger.issue(Uuid::nil(), Role::Driver, TenantId::DEFAULT, soon_after).await.is_err());
}

#[tokio::test]
async fn a_key_made_later_is_found() {
    let database = testing::database(&schema::MIGRATOR).await;
    let master = MasterKey::new(rand::random());
    let verifier = Verifier::new(database.pool().clone());
    let early = issue(&Signer::new(database.pool().clone(), master.clone()), at(0)).await;
    verifier.verify(&early, at(0)).await.expect("good");
    let late = at(0) + TimeDelta::hours(24);
    let token = issue(&Signer::new(database.pool().clone(), master), late).await;
    verifier.verify(&token, late).await.expect("good");
}

#[tokio::test]
async fn strangers_and_garbage_are_refused() {
    let database = testing::database(&schema::MIGRATOR).await;
    let elsewhere = testing::database(&schema::MIGRATOR).await;
    let good = issue(&Signer::new(database.pool().clone(), MasterKey::new(rand::random())), at(0)).await;
    let foreign = issue(&Signer::new(elsewhere.pool().clone(), MasterKey::new(rand::random())), at(0)).await;
    let verifier = Verifier::new(database.pool().clone());
    verifier.verify(&good, at(0)).await.expect("good");
    let part = |token: &str, n: usize| token.split('.').nth(n).expect("three parts").to_owned();
    let header = |json: String| URL_SAFE_NO_PAD.encode(json);
    let promoted =
        String::from_utf8(URL_SAFE_NO_PAD.decode(part(&good, 1)).unwrap()).unwrap().replace("driver", "operator");
    let unsigned = header(format!(r#"{{"alg":"none","kid":"{}"}}"#, kid(&good)));
    let symmetric = header(format!(r#"{{"alg":"HS256","kid":"{}"}}"#, kid(&good)));
    let keyless = header(r#"{"alg":"EdDSA"}"#.to_owned());
    let table = [
        ("nothing", String::new()),
        ("words", "Bearer of bad news".into()),
        ("dots", "..".into()),
        ("not text", "\u{0}.\u{0}.\u{0}".into()),
        ("another network's", foreign.clone()),
        ("another's signature", format!("{}.{}.{}", part(&good, 0), part(&good, 1), part(&foreign, 2))),
        ("promoted", format!("{}.{}.{}", part(&good, 0), URL_SAFE_NO_PAD.encode(promoted), part(&good, 2))),
        ("no signature", format!("{}.{}.", part(&good, 0), part(&good, 1))),
        ("algorithm none", format!("{unsigned}.{}.", part(&good, 1))),
        ("a symmetric algorithm", format!("{symmetric}.{}.{}", part(&good, 1), part(&good, 2))),
        ("no key named", format!("{keyless}.{}.{}", part(&good, 1), part(&good, 2))),
    ];
    for (case, token) in table {
        let refused = verifier.verify(&token, at(0)).await;
        assert!(matches!(refused, Err(Unauthenticated::Invalid)), "{case}: {refused:?}");
    }
}
