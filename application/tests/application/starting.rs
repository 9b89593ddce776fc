//! A driver starts to charge.

use application::command::{
    BlockToken, RegisterCharger, RegisterToken, RemoteStart, SendStationCommand, StartCharging, block_token,
    parse_action, register_charger, register_token, remote_start, send_station_command, start_charging,
};
use application::report::{StartTransaction, Status, connect};
use domain::charge_point::StatusReport;
use domain::event::AggregateType;
use domain::id::{ConnectorId, DriverId, EvseId, EvseUid, Outlet, TenantId};
use domain::outlet::{Connector, Evse};
use domain::session::SessionState;
use domain::station_command::{CommandState, StationAction};
use schema::api::target::Target;
use serde_json::json;

use crate::support::{
    World, at, code, identity, keyed, on_connector, operator, outlet, process, start_of, told, world,
};

fn status_report(status: &str) -> StatusReport<String> {
    StatusReport {
        outlet: None,
        ocpp_status: status.to_owned(),
        error_code: Some("NoError".into()),
        info: None,
        vendor_id: None,
        vendor_error_code: None,
        at: Some(at(0)),
    }
}

async fn report(world: &World, link: &application::report::Link, connector: u32, status: &str) {
    let report = StatusReport { outlet: Some(outlet(connector)), ..status_report(status) };
    link.status(&told(0), Status { report }).await.expect("recorded");
    assert!(world.charge_point().await.online);
}

#[tokio::test]
async fn a_start_is_one_append_of_all_it_needs() {
    let world = world().await;
    world.connect().await;
    let driver = world.driver().await;
    let before = world.head().await;
    let accepted = world.start(&driver, 1).await;
    let session_id = accepted.session_id.expect("a session");
    // Claimed, the command queued, the session requested, the command requested.
    assert_eq!(accepted.position.0, before + 4);
    let charge_point = world.charge_point().await;
    let claim = &charge_point.claims[&EvseId(1)];
    assert_eq!((claim.session_id, claim.command_id), (session_id, Some(accepted.command_id)));
    assert!(charge_point.open_commands.contains(&accepted.command_id));
    let session = world.session(session_id).await;
    assert_eq!((session.state, session.driver_id), (SessionState::Requested, driver.caller.driver_id()));
    assert_eq!(session.pricing.map(|pricing| pricing.version), Some(1));
    let request = world.command(accepted.command_id).await.request.expect("requested");
    let StationAction::RemoteStart { tag, group, .. } = request.action else { panic!("{:?}", request.action) };
    assert_eq!((tag.len(), session.remote_tag), (20, Some(tag)));
    assert_eq!(group.map(|group| group.len()), Some(20));
}

#[tokio::test]
async fn refusals_come_in_their_order() {
    let world = world().await;
    let (driver, nobody) = (world.driver().await, world.driver_without_plan().await);
    let elsewhere = |charger: &str| StartCharging {
        target: Target::Connector { charger_id: charger.into(), connector_id: ConnectorId(1) },
    };
    let uid = |evse| {
        Target::EvseUid(EvseUid { charge_point_id: domain::id::ChargePointId::generate(), evse_id: EvseId(evse) })
    };
    let app = &world.app;
    assert_eq!(code(start_charging(app, &operator(), on_connector(1)).await), "forbidden");
    assert_eq!(code(start_charging(app, &nobody, elsewhere("CP404")).await), "charger-unknown");
    assert_eq!(code(start_charging(app, &nobody, elsewhere(" ")).await), "charger-unknown");
    assert_eq!(code(start_charging(app, &nobody, StartCharging { target: uid(1) }).await), "charger-unknown");
    assert_eq!(code(start_charging(app, &nobody, on_connector(1)).await), "no-active-plan");
    assert_eq!(code(start_charging(app, &driver, on_connector(9)).await), "charger-offline");
    let link = world.connect().await;
    assert_eq!(code(start_charging(app, &nobody, on_connector(9)).await), "no-active-plan");
    assert_eq!(code(start_charging(app, &driver, on_connector(9)).await), "invalid-request");
    report(&world, &link, 1, "Faulted").await;
    assert_eq!(code(start_charging(app, &driver, on_connector(1)).await), "connector-faulted");
    report(&world, &link, 1, "Charging").await;
    assert_eq!(code(start_charging(app, &driver, on_connector(1)).await), "connector-occupied");
    report(&world, &link, 1, "Available").await;
    world.start(&driver, 1).await;
    let other = world.driver().await;
    assert_eq!(code(start_charging(app, &other, on_connector(1)).await), "connector-occupied");
    link.disconnect("closed", at(1)).await.expect("disconnected");
    assert_eq!(code(start_charging(app, &other, on_connector(1)).await), "charger-offline");
}

#[tokio::test]
async fn an_evse_has_three_names() {
    let world = world().await;
    world.connect().await;
    let driver = world.driver().await;
    let first = world.start(&driver, 2).await;
    let charge_point_id = world.charge_point_id().await;
    let targets = [
        Target::Evse { charger_id: "CP001".into(), evse_id: EvseId(2) },
        Target::EvseUid(EvseUid { charge_point_id, evse_id: EvseId(2) }),
    ];
    let head = world.head().await;
    for target in targets {
        // The same driver, on an EVSE where they already have a request, is answered with that one.
        let again = start_charging(&world.app, &driver, StartCharging { target }).await.expect("accepted");
        assert_eq!((again.session_id, again.command_id), (first.session_id, first.command_id));
        assert_eq!(again.position.0, head);
    }
    assert_eq!(world.head().await, head);
}

#[tokio::test]
async fn an_evse_of_another_tenant_is_unknown() {
    let world = world().await;
    world.connect().await;
    let uid = EvseUid { charge_point_id: world.charge_point_id().await, evse_id: EvseId(1) };
    let mut stranger = world.driver().await;
    stranger.caller.tenant_id = TenantId(uuid::Uuid::from_u128(404));
    let start = StartCharging { target: Target::EvseUid(uid) };
    assert_eq!(code(start_charging(&world.app, &stranger, start).await), "charger-unknown");
    assert!(world.charge_point().await.claims.is_empty());
}

#[tokio::test]
async fn connectors_that_are_grouped_are_one_evse() {
    let world = world().await;
    let connector = |n| Connector { connector_id: ConnectorId(n), kind: None, max_power_w: None };
    let evses = vec![Evse { evse_id: EvseId(1), connectors: vec![connector(1), connector(2)] }];
    let charger = RegisterCharger { identity: identity("CP002"), credential: None, site_id: None, evses };
    let app = &world.app;
    register_charger(app, &operator(), charger).await.expect("registered");
    let id = app.chargers().find(TenantId::DEFAULT, &identity("CP002")).await.unwrap().unwrap().charge_point_id;
    let link = connect(app, TenantId::DEFAULT, id, "ocpp1.6", "edge", None, at(0)).await.expect("connected");
    let of = |n| Outlet { evse_id: EvseId(1), connector_id: ConnectorId(n) };
    assert_eq!([link.outlet_of(0), link.outlet_of(1), link.outlet_of(2)], [None, Some(of(1)), Some(of(2))]);

    let at_connector =
        |n| StartCharging { target: Target::Connector { charger_id: "CP002".into(), connector_id: ConnectorId(n) } };
    let (one, other) = (world.driver().await, world.driver().await);
    assert_eq!(code(start_charging(app, &one, at_connector(3)).await), "invalid-request");
    let accepted = start_charging(app, &one, at_connector(2)).await.expect("accepted");
    let request = world.command(accepted.command_id).await.request.expect("requested");
    let StationAction::RemoteStart { outlet, .. } = request.action else { panic!("{:?}", request.action) };
    assert_eq!((outlet, link.numbers.number_of(outlet)), (of(2), 2));
    // One vehicle at a time.
    assert_eq!(code(start_charging(app, &other, at_connector(1)).await), "connector-occupied");
    assert_eq!(start_charging(app, &one, at_connector(1)).await.expect("theirs").session_id, accepted.session_id);

    let session_id = accepted.session_id.unwrap();
    let tag = world.tag(session_id).await;
    let start = StartTransaction { outlet: link.outlet_of(2), ..start_of(2, &tag, 1_000) };
    assert_eq!(link.start_transaction(&told(1), start).await.expect("started").session_id, session_id);
    // What the other connector says of itself says nothing of the session.
    for (n, status, told_state) in [(2, "SuspendedEV", "SuspendedEV"), (1, "Preparing", "SuspendedEV")] {
        let report = StatusReport { outlet: link.outlet_of(n), ..status_report(status) };
        link.status(&told(2), Status { report }).await.expect("recorded");
        let state = world.session(session_id).await.charging_state;
        assert_eq!(state.map(|state| state.to_string()).as_deref(), Some(told_state));
    }
    let unlock = parse_action("UnlockConnector", &json!({"connectorId": 2})).expect("an action");
    let request = SendStationCommand { charger_id: "CP002".into(), action: unlock };
    let command_id = send_station_command(app, &operator(), request).await.expect("accepted").command_id;
    let action = world.command(command_id).await.request.expect("requested").action;
    assert_eq!(action, StationAction::UnlockConnector { outlet: of(2) });
}

#[tokio::test]
async fn a_start_where_the_driver_charges_by_card_can_be_followed() {
    let world = world().await;
    let link = world.connect().await;
    let driver = world.driver().await;
    let card = RegisterToken {
        driver_id: DriverId(driver.caller.user_id),
        kind: "ISO14443".into(),
        value: "04A2B3C4".into(),
        expires_at: None,
    };
    register_token(&world.app, &operator(), card).await.expect("registered");
    let running = link.start_transaction(&told(1), start_of(1, "04A2B3C4", 1_000)).await.expect("started").session_id;
    let answered = world.start(&driver, 1).await;
    assert_eq!(answered.session_id, Some(running));
    // An event of that cause tells of the command; asked again, it is the same one and nothing more.
    let head = world.head().await;
    assert_eq!(answered.position.0, head);
    let answer = world.history(AggregateType::ChargingSession, running).await;
    assert_eq!(answer, ["TransactionStarted", "StartAnswered"]);
    let remote =
        RemoteStart { charger_id: "CP001".into(), connector_id: ConnectorId(1), id_tag: Some("04A2B3C4".into()) };
    let by_operator = remote_start(&world.app, &operator(), remote).await.expect("accepted");
    for again in [world.start(&driver, 1).await, by_operator] {
        assert_eq!((again.session_id, again.command_id), (Some(running), answered.command_id));
    }
    assert_eq!(world.head().await, head);
    let cause: Option<uuid::Uuid> = {
        let stream = event_store::stream_of::<domain::session::ChargingSession>(running);
        let events = world.app.store().read_stream(stream, 1).await.unwrap();
        events.last().and_then(|event| event.envelope.causation_id)
    };
    assert_eq!(cause, Some(answered.command_id.0));
}

#[tokio::test]
async fn of_two_drivers_one_wins() {
    let world = world().await;
    world.connect().await;
    let other_process = process(&world.database, &world.master).await;
    for connector in [1, 2] {
        let (one, other) = (world.driver().await, world.driver().await);
        let (first, second) = tokio::join!(
            start_charging(&world.app, &one, on_connector(connector)),
            start_charging(&other_process, &other, on_connector(connector)),
        );
        let (won, lost) = match (first, second) {
            (Ok(won), lost) | (lost, Ok(won)) => (won, lost),
            (first, second) => panic!("nobody won: {first:?} {second:?}"),
        };
        assert_eq!(code(lost), "connector-occupied");
        let claims = world.charge_point().await.claims;
        assert_eq!(Some(claims[&EvseId(connector)].session_id), won.session_id);
    }
}

#[tokio::test]
async fn a_key_gets_the_first_answer() {
    let world = world().await;
    let driver = world.driver().await;
    // A refusal is kept, whatever the charger does since.
    let refused = keyed(&driver, "refused", 1);
    assert_eq!(code(start_charging(&world.app, &refused, on_connector(1)).await), "charger-offline");
    world.connect().await;
    assert_eq!(code(start_charging(&world.app, &refused, on_connector(1)).await), "charger-offline");

    let context = keyed(&driver, "a key", 1);
    let first = start_charging(&world.app, &context, on_connector(1)).await.expect("accepted");
    let head = world.head().await;
    let again = start_charging(&world.app, &context, on_connector(1)).await.expect("accepted");
    assert_eq!(again, first);
    assert_eq!(
        code(start_charging(&world.app, &keyed(&driver, "a key", 2), on_connector(1)).await),
        "idempotency-conflict"
    );
    // A key is its user's own.
    let other = keyed(&world.driver().await, "a key", 1);
    assert_eq!(code(start_charging(&world.app, &other, on_connector(1)).await), "connector-occupied");
    assert_eq!(world.history(AggregateType::ChargingSession, first.session_id.unwrap()).await.len(), 1);
    // After the session has ended, in another process.
    let stop = application::command::StopCharging { session_id: first.session_id.unwrap() };
    application::command::stop_charging(&world.app, &driver, stop).await.expect("cancelled");
    let other_process = process(&world.database, &world.master).await;
    assert_eq!(start_charging(&other_process, &context, on_connector(1)).await.expect("accepted"), first);
    assert!(world.head().await > head);
}

#[tokio::test]
async fn the_same_key_at_the_same_moment() {
    let world = world().await;
    world.connect().await;
    let other_process = process(&world.database, &world.master).await;
    let context = keyed(&world.driver().await, "a key", 1);
    let (first, second) = tokio::join!(
        start_charging(&world.app, &context, on_connector(1)),
        start_charging(&other_process, &context, on_connector(1)),
    );
    let (first, second) = (first.expect("accepted"), second.expect("accepted"));
    assert_eq!(first.session_id, second.session_id);
    assert_eq!(world.charge_point().await.claims.len(), 1);
}

#[tokio::test]
async fn an_operator_starts_for_a_card() {
    let world = world().await;
    world.connect().await;
    let driver = world.driver().await;
    let driver_id = DriverId(driver.caller.user_id);
    let card = RegisterToken { driver_id, kind: "ISO14443".into(), value: "04A2B3C4".into(), expires_at: None };
    let token_id = register_token(&world.app, &operator(), card).await.expect("registered").token_id.unwrap();
    let start = |connector, tag: Option<&str>| RemoteStart {
        charger_id: "CP001".into(),
        connector_id: ConnectorId(connector),
        id_tag: tag.map(str::to_owned),
    };
    assert_eq!(code(remote_start(&world.app, &driver, start(1, None)).await), "forbidden");
    assert_eq!(code(remote_start(&world.app, &operator(), start(1, Some("unknown"))).await), "invalid-request");
    assert_eq!(code(remote_start(&world.app, &operator(), start(1, Some(""))).await), "invalid-request");

    let accepted = remote_start(&world.app, &operator(), start(1, Some("04a2b3c4"))).await.expect("accepted");
    let session = world.session(accepted.session_id.unwrap()).await;
    assert_eq!((session.driver_id, session.token_id), (Some(driver_id), Some(token_id)));
    assert_eq!(session.group, Some(domain::driver::Driver::group_tag(driver_id)));
    assert!(
        session.remote_tag.is_some_and(|tag| !tag.eq_ignore_ascii_case("04A2B3C4")),
        "nobody's card is sent around"
    );
    // For the driver it is their own session.
    assert_eq!(world.start(&driver, 1).await.session_id, accepted.session_id);

    let for_nobody = remote_start(&world.app, &operator(), start(2, None)).await.expect("accepted");
    assert_eq!(world.session(for_nobody.session_id.unwrap()).await.driver_id, None);
    assert_eq!(code(remote_start(&world.app, &operator(), start(2, None)).await), "connector-occupied");
    assert_eq!(world.command(for_nobody.command_id).await.state, CommandState::Requested);

    block_token(&world.app, &operator(), BlockToken { token_id }).await.expect("blocked");
    assert_eq!(code(remote_start(&world.app, &operator(), start(1, Some("04A2B3C4"))).await), "invalid-request");
}
