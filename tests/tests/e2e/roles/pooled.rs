//! Four processes on a database behind PgBouncer in transaction mode, with few connections to the server.

use embedded_postgres::testing::Replicated;

use super::replica::reads;
use super::*;

const SERVER_CONNECTIONS: u16 = 4;
/// What a server says of a statement that was made on another connection.
const NOT_CARRIED: [&str; 4] =
    ["prepared statement", "bind message supplies", "unnamed portal", "current transaction is aborted"];

#[tokio::test]
async fn a_charge_runs_behind_pgbouncer() {
    let pair = Replicated::start(false).await.expect("both start");
    let server = pair.primary.as_ref().expect("it was started");
    let bouncer = pair.pgbouncer(server, SERVER_CONNECTIONS).await.expect("PgBouncer starts");
    server.ask("CREATE DATABASE listening").await.expect("another database");
    // Without LISTEN, and with it.
    for database in ["coulomb", "listening"] {
        let (pooled, direct) = (bouncer.url_of(database), server.url_of(database));
        let mut environment =
            vec![("DATABASE_URL", pooled.clone()), ("COULOMB_DATABASE_POOLER", "transaction".to_owned())];
        let migrate = |environment: &[(&str, String)]| {
            let log = logs(&format!("pooled-{database}-migrate"));
            let builder = ProgramBuilder::new(&["migrate"], 0, log).env("COULOMB_MASTER_KEY", MASTER_KEY);
            environment.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
        };
        let said = migrate(&environment).refused().await;
        assert!(said.contains("COULOMB_DIRECT_DATABASE_URL"), "{said}");
        environment.push(("COULOMB_DIRECT_DATABASE_URL", direct.clone()));
        migrate(&environment).run().await;
        if database == "coulomb" {
            environment.pop();
            // With nothing left to do.
            migrate(&environment).run().await;
        } else {
            // A replica behind a pooler would be reached so; this one is far enough at all times.
            environment.push(("COULOMB_READ_DATABASE_URL", pooled));
        }
        let roles = Roles::start_with(&format!("pooled-{database}"), &environment, &direct).await;
        let network = &roles.network;
        let mut charge = Charge::begun(network, network.driver().await).await;
        charge.meter("2026-03-01T10:10:00Z", 3500).await;
        charge.seen(|session| session["energy_wh"] == 2500).await;
        charge.stop().await;
        charge.ended(network).await;
        let operator = network.operator().await;
        for path in ["/api/chargers", "/api/sessions", "/api/drivers", "/api/tokens", "/api/commands", "/api/sites"] {
            let listed = network.query(&operator, path).await.expect("an operator may ask");
            assert!(listed["items"].is_array(), "{path}: {listed}");
        }
        let me = network.query(&charge.driver.account, "/api/me").await.expect("a driver may ask");
        assert!(me["email"].is_string(), "{me}");
        // It is no replica, and is not counted as one.
        assert_eq!(reads(&network.queries, "primary, no replica").await > 0.0, database == "listening");
        assert_eq!(reads(&network.queries, "replica").await, 0.0);
        roles.is_consistent(&charge.session_id, 1).await;
    }

    let said = std::fs::read_to_string(server.log()).expect("the server has a log");
    let failed: Vec<&str> = said.lines().filter(|line| NOT_CARRIED.iter().any(|word| line.contains(word))).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    // An append that lost against another is refused so, and decided again.
    let lost = |line: &str| line.contains("a stream is not as expected") || line.contains("a guard does not hold");
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("ERROR:") && !lost(line)).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    bouncer.stop().await;
}
