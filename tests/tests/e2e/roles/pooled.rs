//! Four processes on a database behind PgBouncer in transaction mode, with few connections to the server.

use embedded_postgres::testing::Replicated;

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
    let (pooled, direct) = (bouncer.url_of("coulomb"), server.url());
    let through = |builder: ProgramBuilder| {
        builder.env("DATABASE_URL", &*pooled).env("COULOMB_DATABASE_POOLER", "transaction")
    };
    let migrate = |name: &str| {
        let log = logs(&format!("pooled-{name}-migrate"));
        through(ProgramBuilder::new(&["migrate"], 0, log)).env("COULOMB_MASTER_KEY", MASTER_KEY)
    };
    let said = migrate("without").refused().await;
    assert!(said.contains("COULOMB_DIRECT_DATABASE_URL"), "{said}");
    migrate("direct").env("COULOMB_DIRECT_DATABASE_URL", &*direct).run().await;
    // With nothing left to do.
    migrate("again").run().await;

    // Without LISTEN, and with it.
    let mut environment = vec![("DATABASE_URL", pooled.clone()), ("COULOMB_DATABASE_POOLER", "transaction".to_owned())];
    for name in ["pooled-polling", "pooled-listening"] {
        let roles = Roles::start_with(name, &environment, &direct).await;
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
        roles.is_consistent(&charge.session_id, 1).await;
        environment.push(("COULOMB_DIRECT_DATABASE_URL", direct.clone()));
    }

    let said = std::fs::read_to_string(server.log()).expect("the server has a log");
    let failed: Vec<&str> = said.lines().filter(|line| NOT_CARRIED.iter().any(|word| line.contains(word))).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("ERROR:")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    bouncer.stop().await;
}
