//! What operators make known.

use application::command::{
    ActivatePlan, PublishPlan, RegisterCharger, RegisterToken, SendStationCommand, activate_plan, publish_plan,
    register_charger, register_driver, register_token, send_station_command,
};
use domain::id::{DriverId, PlanId, SiteId, TenantId, TokenId};
use domain::plan::PlanDetails;
use domain::station_command::StationAction;

use crate::support::{code, evse, identity, keyed, operator, process, world};

fn charger(name: &str) -> RegisterCharger {
    RegisterCharger { identity: identity(name), credential: None, site_id: None, evses: vec![evse(1)] }
}

#[tokio::test]
async fn an_identity_is_one_chargers() {
    let world = world().await;
    let app = &world.app;
    assert_eq!(code(register_charger(app, &world.driver().await, charger("CP002")).await), "forbidden");
    let accepted = register_charger(app, &operator(), charger("CP002")).await.expect("registered");
    assert_eq!(accepted.charger_id.as_deref(), Some("CP002"));
    assert_eq!(code(register_charger(app, &operator(), charger("CP002")).await), "already-exists");
    // The same request under its key is answered as the first.
    let context = keyed(&operator(), "a key", 1);
    let first = register_charger(app, &context, charger("CP003")).await.expect("registered");
    assert_eq!(register_charger(app, &context, charger("CP003")).await.expect("replayed"), first);
    // Two at one moment.
    let other = process(&world.database, &world.master).await;
    let (operator, charger) = (operator(), || charger("CP004"));
    let (one, two) =
        tokio::join!(register_charger(app, &operator, charger()), register_charger(&other, &operator, charger()));
    assert_eq!([&one, &two].iter().filter(|answer| answer.is_ok()).count(), 1, "{one:?} {two:?}");
}

#[tokio::test]
async fn a_refused_charger_leaves_no_password_behind_that_counts() {
    let world = world().await;
    let nowhere = RegisterCharger {
        site_id: Some(SiteId::generate()),
        credential: Some("$argon2id$first".into()),
        ..charger("CP002")
    };
    assert_eq!(code(register_charger(&world.app, &operator(), nowhere).await), "invalid-request");
    let again = RegisterCharger { credential: Some("$argon2id$second".into()), ..charger("CP002") };
    register_charger(&world.app, &operator(), again.clone()).await.expect("registered");
    let changed = RegisterCharger { credential: Some("$argon2id$third".into()), ..again };
    assert_eq!(code(register_charger(&world.app, &operator(), changed).await), "already-exists");
    let entry = world.app.chargers().find(TenantId::DEFAULT, &identity("CP002")).await.unwrap().unwrap();
    assert_eq!(entry.credential.as_deref(), Some("$argon2id$second"));
}

/// Whoever is told that the charger is registered has a password that counts; what the other sent does not.
#[tokio::test]
async fn of_two_registrations_at_one_moment_the_winners_password_stands() {
    const ROUNDS: usize = 100;
    let world = world().await;
    let (app, other, operator) = (&world.app, process(&world.database, &world.master).await, operator());
    let mut won = [0; 2];
    for round in 0..ROUNDS {
        let name = format!("RACE{round}");
        // Now and then one of them wants none.
        let credential = |whose: &str| (round % 5 != 0 || whose == "two").then(|| format!("$argon2id${whose}"));
        let request = |whose: &str| RegisterCharger { credential: credential(whose), ..charger(&name) };
        let (one, two) = tokio::join!(
            register_charger(app, &operator, request("one")),
            register_charger(&other, &operator, request("two"))
        );
        let (nth, winner) = match (&one, &two) {
            (Ok(_), Err(_)) => (0, "one"),
            (Err(_), Ok(_)) => (1, "two"),
            both => panic!("{both:?}"),
        };
        won[nth] += 1;
        let entry = app.chargers().find(TenantId::DEFAULT, &identity(&name)).await.unwrap().unwrap();
        assert_eq!(entry.credential, credential(winner), "round {round}");
    }
    println!("of {ROUNDS} races {} were won by the first and {} by the second", won[0], won[1]);
}

/// Its process may end between its event and its credential: then what it had proposed is what counts, and not what somebody
/// proposed meanwhile who was refused.
#[tokio::test]
async fn who_is_refused_withdraws_its_password() {
    let world = world().await;
    let find = async || world.app.chargers().find(TenantId::DEFAULT, &identity("CP002")).await.unwrap().unwrap();
    let nowhere = |credential: Option<&str>| RegisterCharger {
        site_id: Some(SiteId::generate()),
        credential: credential.map(str::to_owned),
        ..charger("CP002")
    };
    assert_eq!(
        code(register_charger(&world.app, &operator(), nowhere(Some("$argon2id$refused"))).await),
        "invalid-request"
    );
    assert_eq!(find().await.credential, None, "a charger that nobody has registered has none");
    for (proposed, refused) in [
        (Some("$argon2id$proposed"), Some("$argon2id$refused")),
        (Some("$argon2id$proposed"), None),
        (None, Some("$argon2id$refused")),
    ] {
        let propose = sqlx::query("UPDATE charger_registry SET credential = $1 WHERE identity = 'CP002'");
        propose.bind(proposed).execute(world.database.pool()).await.unwrap();
        assert_eq!(code(register_charger(&world.app, &operator(), nowhere(refused)).await), "invalid-request");
        assert_eq!(find().await.credential.as_deref(), proposed, "after {refused:?}");
    }
}

/// A process that ends between the event and the credential leaves the rest to the repetition.
#[tokio::test]
async fn a_repeated_registration_settles_its_password() {
    let world = world().await;
    let context = keyed(&operator(), "a key", 1);
    let request = RegisterCharger { credential: Some("$argon2id$winner".into()), ..charger("CP002") };
    let first = register_charger(&world.app, &context, request.clone()).await.expect("registered");
    let proposed = sqlx::query("UPDATE charger_registry SET credential = '$argon2id$loser' WHERE identity = 'CP002'");
    proposed.execute(world.database.pool()).await.unwrap();
    assert_eq!(register_charger(&world.app, &context, request).await.expect("replayed"), first);
    let entry = world.app.chargers().find(TenantId::DEFAULT, &identity("CP002")).await.unwrap().unwrap();
    assert_eq!(entry.credential.as_deref(), Some("$argon2id$winner"));
}

/// A charger that nobody registered and that is let in needs no password: not one of a registration that was refused either.
#[tokio::test]
async fn an_admitted_charger_has_no_password() {
    let world = world().await;
    let credential = Some("$argon2id$refused".into());
    let nowhere = RegisterCharger { site_id: Some(SiteId::generate()), credential, ..charger("CP002") };
    assert_eq!(code(register_charger(&world.app, &operator(), nowhere).await), "invalid-request");
    application::report::admit(&world.app, TenantId::DEFAULT, &identity("CP002"), None).await.expect("admitted");
    let entry = world.app.chargers().find(TenantId::DEFAULT, &identity("CP002")).await.unwrap().unwrap();
    assert_eq!(entry.credential, None);
}

#[tokio::test]
async fn plans_and_tokens_are_somebodys() {
    let world = world().await;
    let (app, operator) = (&world.app, operator());
    let driver_id = DriverId(world.driver().await.caller.user_id);
    let nobody = DriverId::generate();
    let plan = |driver_id, plan_id| ActivatePlan { driver_id, plan_id };
    assert_eq!(code(activate_plan(app, &operator, plan(driver_id, PlanId::generate())).await), "invalid-request");
    assert_eq!(code(activate_plan(app, &operator, plan(nobody, world.plan_id)).await), "driver-unknown");
    let details = PlanDetails { name: "Commuter".into(), tariff_id: None };
    let unknown = PublishPlan { plan_id: Some(PlanId::generate()), details };
    assert_eq!(code(publish_plan(app, &operator, unknown).await), "invalid-request");

    let card = |driver_id, value: &str| RegisterToken {
        driver_id,
        kind: "ISO14443".into(),
        value: value.into(),
        expires_at: None,
    };
    assert_eq!(code(register_token(app, &operator, card(nobody, "CARD")).await), "driver-unknown");
    assert_eq!(code(register_token(app, &operator, card(driver_id, " ")).await), "invalid-request");
    assert_eq!(code(register_token(app, &operator, card(driver_id, &"x".repeat(37))).await), "invalid-request");
    let token: Option<TokenId> =
        register_token(app, &operator, card(driver_id, "CARD")).await.expect("registered").token_id;
    let same = register_token(app, &operator, card(driver_id, "card")).await.expect("the same in another letter case");
    assert_eq!(same.token_id, token);
    let other = DriverId(world.driver().await.caller.user_id);
    assert_eq!(code(register_token(app, &operator, card(other, "CARD")).await), "already-exists");
    let head = world.head().await;
    register_driver(app, TenantId::DEFAULT, driver_id, None).await.expect("known");
    assert_eq!(world.head().await, head);
}

#[tokio::test]
async fn a_charger_is_asked_while_it_is_there() {
    let world = world().await;
    let ask = |name: &str| SendStationCommand { charger_id: name.into(), action: StationAction::ClearCache {} };
    let app = &world.app;
    assert_eq!(code(send_station_command(app, &world.driver().await, ask("CP001")).await), "forbidden");
    assert_eq!(code(send_station_command(app, &operator(), ask("CP404")).await), "charger-unknown");
    assert_eq!(code(send_station_command(app, &operator(), ask("CP001")).await), "charger-offline");
    world.connect().await;
    let accepted = send_station_command(app, &operator(), ask("CP001")).await.expect("accepted");
    assert!(world.charge_point().await.open_commands.contains(&accepted.command_id));
}
