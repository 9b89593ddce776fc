//! Four processes on two servers: the primary is killed, the standby is promoted, and none of the processes is restarted.

use embedded_postgres::testing::Replicated;
use tests::eventually;

use super::replica::reads;
use super::*;

/// What a process says at `/ready`, if it is.
async fn ready(http: &str) -> Option<Value> {
    let answer = reqwest::get(format!("{http}/ready")).await.ok()?;
    if answer.status().is_success() { answer.json().await.ok() } else { None }
}

#[tokio::test]
async fn a_charge_goes_on_when_the_primary_is_killed_and_its_standby_promoted() {
    let mut pair = Replicated::start(true).await.expect("both start");
    let (first, second) = (pair.primary.take().expect("started"), pair.standby.take().expect("started"));
    let (one, two) = (format!("127.0.0.1:{}", first.port()), format!("127.0.0.1:{}", second.port()));
    let url = format!("postgres://coulomb:{}@{one},{two}/coulomb?sslmode=disable", first.password());
    let migrate = ProgramBuilder::new(&["migrate"], 0, logs("failover-migrate"));
    migrate.env("DATABASE_URL", &*url).env("COULOMB_MASTER_KEY", MASTER_KEY).run().await;
    // Reads go to the standby, which is the primary later.
    let environment = [("DATABASE_URL", url.clone()), ("COULOMB_READ_DATABASE_URL", url)];
    let roles = Roles::start_with("failover", &environment, &second.url()).await;
    let network = &roles.network;
    let http = network.queries.clone();
    let mut charge = Charge::begun(network, network.driver().await).await;
    charge.meter("2026-03-01T10:10:00Z", 3500).await;
    charge.seen(|session| session["energy_wh"] == 2500).await;
    let said = eventually("the primary to be named", || async {
        ready(&http).await.filter(|said| said.to_string().contains("synchronous replication"))
    })
    .await;
    assert!(said["about"]["database"].as_str().is_some_and(|about| about.starts_with(&one)), "{said}");
    // A server that is the only one left is read from too, and is not what answers for a replica.
    let path = charge.path();
    let is_counted = async |answered_by: &str| {
        eventually(answered_by, || async {
            network.query(&charge.driver.account, &path).await.ok()?;
            (reads(&http, answered_by).await > 0.0).then_some(())
        })
        .await;
    };
    is_counted("replica").await;
    assert_eq!(reads(&http, "primary, no replica").await, 0.0);

    first.kill().await;
    // The charger has more to say. Nobody can record it, so nobody may acknowledge it.
    let reading = charge.reading("2026-03-01T10:20:00Z", 4500);
    charge.charger.say("MeterValues", reading).await;
    let token = charge.driver.account.access_token().await.expect("an account has a token");
    let refused = |path: &'static str, body: Value| {
        let asked = reqwest::Client::new().post(format!("{}{path}", network.http)).bearer_auth(&token).json(&body);
        async move { (path, within("a refusal", asked.send()).await.expect("an answer")) }
    };
    let login = json!({"email": "nobody@tests.example", "password": "nobodys-password"});
    let refusals = [
        refused("/api/sessions/stop", json!({"session_id": charge.session_id})).await,
        refused("/api/auth/login", login).await,
    ];
    for (path, refusal) in refusals {
        assert_eq!(refusal.status(), 503, "{path} without a primary");
        assert!(refusal.headers().contains_key("retry-after"), "{path}");
    }
    let (said, code) = charge.charger.until_closed().await;
    let answered = said.iter().any(|frame| frame[0] == 3 || frame[0] == 4);
    assert!(!answered, "it would throw the reading away: {said:?}");
    assert_eq!(code, Some(1013));
    eventually("nobody to be ready", || async { ready(&http).await.is_none().then_some(()) }).await;
    second.promote().await.expect("it is promoted");
    let said = eventually("the other to be named", || async { ready(&http).await }).await;
    assert!(said["about"]["database"].as_str().is_some_and(|about| about.starts_with(&two)), "{said}");
    let of_replica = reads(&http, "replica").await;
    is_counted("primary, no replica").await;
    assert_eq!(reads(&http, "replica").await, of_replica);

    // The log takes nothing before its new generation is begun, which the first process to notice does.
    eventually("the log to go on", || async {
        let pool = sqlx::PgPool::connect(&second.url()).await.ok()?;
        let begun: i64 = sqlx::query_scalar("SELECT generation FROM log_head").fetch_one(&pool).await.ok()?;
        pool.close().await;
        (begun > 1).then_some(())
    })
    .await;
    // It comes back, and says again what nobody took.
    charge.charger = RawCharger::connect(network, &charge.registered).await;
    charge.meter("2026-03-01T10:20:00Z", 4500).await;
    charge.seen(|session| session["energy_wh"] == 3500).await;
    charge.stop().await;
    charge.ended(network).await;
    roles.is_consistent(&charge.session_id, 2).await;
}
