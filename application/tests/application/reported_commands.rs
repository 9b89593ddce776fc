//! Commands on their way to a charger: sent once, and settled whatever happens to the connection.

use std::sync::Arc;

use application::CommandContext;
use application::Error;
use application::command::{SendStationCommand, send_station_command};
use application::report::{CommandAnswer, Link, Requested, Sending, admit, connect};
use chrono::TimeDelta;
use domain::charge_point::{ChargePoint, ChargePointCommand};
use domain::envelope::{Actor, Envelope};
use domain::event::AggregateType;
use domain::id::{CommandId, ConnectorNumber, Epoch, TenantId};
use domain::station_command::{CommandState, StationAction};
use serde_json::json;

use crate::support::{World, at, identity, operator, process, start_of, told, world};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn ask(world: &World, action: StationAction<ConnectorNumber>) -> CommandId {
    let request = SendStationCommand { charger_id: "CP001".into(), action };
    let context = CommandContext { trace_id: Some(TRACE.to_owned()), ..operator() };
    send_station_command(&world.app, &context, request).await.expect("accepted").command_id
}

/// Of an event of a command.
async fn trace_of(world: &World, command_id: CommandId, event_type: &str) -> Option<String> {
    let events = world.app.store().look_at_stream(AggregateType::StationCommand, command_id.0, 0).await;
    let event = events.expect("read").into_iter().find(|event| event.event_type == event_type);
    event.unwrap_or_else(|| panic!("there is no {event_type}")).envelope().expect("readable").trace_id
}

#[tokio::test]
async fn sent_once_and_settled() {
    let world = world().await;
    let link = world.connect().await;
    let command_id = ask(&world, StationAction::Reset { hard: false }).await;
    let request = link.command_sent(command_id, at(0)).await.expect("decided").expect("to be sent");
    assert_eq!(request.action, StationAction::Reset { hard: false });
    assert_eq!(link.command_sent(command_id, at(0)).await.expect("decided"), None, "nothing is sent twice");
    let accepted = CommandAnswer::Accepted(json!({"status": "Accepted"}));
    link.command_answered(command_id, accepted).await.expect("recorded");
    // Nothing more is to be seen of a reset: accepted is done.
    assert_eq!(world.command(command_id).await.state, CommandState::Done);
    assert!(world.charge_point().await.open_commands.is_empty());
    let head = world.head().await;
    link.command_answered(command_id, CommandAnswer::TimedOut).await.expect("late");
    assert_eq!(world.head().await, head);

    let rejected = ask(&world, StationAction::ClearCache {}).await;
    link.command_sent(rejected, at(0)).await.expect("decided");
    let answer = CommandAnswer::Rejected { answer: json!({"status": "Rejected"}), reason: "Rejected".into() };
    link.command_answered(rejected, answer).await.expect("recorded");
    assert_eq!(world.command(rejected).await.state, CommandState::Rejected);
    assert!(world.charge_point().await.open_commands.is_empty());
}

/// The edge's process has the charger in memory from before another process queued the command.
#[tokio::test]
async fn what_another_process_asks_for_leaves_the_queue_once_it_is_done() {
    let world = world().await;
    let edge = process(&world.database, &world.master).await;
    let id = world.charge_point_id().await;
    let link = connect(&edge, TenantId::DEFAULT, id, "ocpp1.6", "edge", None, at(0)).await.expect("connected");
    for (action, state) in [
        (StationAction::Reset { hard: false }, CommandState::Done),
        (StationAction::ClearCache {}, CommandState::Failed),
        (StationAction::ClearCache {}, CommandState::Done),
    ] {
        let command_id = ask(&world, action).await;
        link.command_sent(command_id, at(0)).await.expect("decided").expect("to be sent");
        let answer = match state {
            CommandState::Failed => CommandAnswer::Failed { reason: "The charger answered with an error.".to_owned() },
            _ => CommandAnswer::Accepted(json!({"status": "Accepted"})),
        };
        link.command_answered(command_id, answer).await.expect("recorded");
        assert_eq!(world.command(command_id).await.state, state);
        assert!(world.charge_point().await.open_commands.is_empty());
    }
}

/// Older programs left what another process had queued; 64 of those, and the charger could be asked for nothing more.
#[tokio::test]
async fn what_is_settled_and_still_queued_leaves_the_queue_with_the_next_connection() {
    let world = world().await;
    let link = world.connect().await;
    let command_id = ask(&world, StationAction::ClearCache {}).await;
    link.command_sent(command_id, at(0)).await.expect("decided").expect("to be sent");
    link.command_answered(command_id, CommandAnswer::TimedOut).await.expect("recorded");
    let envelope = Arc::new(Envelope::new(TenantId::DEFAULT, Actor::system("test")));
    let mut session = world.app.store().session(envelope);
    let queue = ChargePointCommand::QueueCommand { command_id };
    let queued = session.decide::<ChargePoint>(link.charge_point_id, link.charge_point_id, queue).await;
    assert_eq!(queued.expect("loaded").expect("decided").len(), 1);
    session.commit().await.expect("appended");
    assert!(world.charge_point().await.open_commands.contains(&command_id));

    let open = world.connect().await.take_up_commands().await.expect("read");
    assert_eq!(open.unsent, []);
    assert!(world.charge_point().await.open_commands.is_empty());
}

#[tokio::test]
async fn what_is_too_late_is_not_sent() {
    let world = world().await;
    let link = world.connect().await;
    let command_id = ask(&world, StationAction::ClearCache {}).await;
    assert_eq!(link.command_sent(command_id, at(1)).await.expect("decided"), None);
    assert_eq!(world.command(command_id).await.state, CommandState::Expired);
    assert!(world.charge_point().await.open_commands.is_empty());
}

#[tokio::test]
async fn the_next_connection_takes_up_what_was_not_sent() {
    let world = world().await;
    let link = world.connect().await;
    let sent = ask(&world, StationAction::Reset { hard: true }).await;
    let unsent = ask(&world, StationAction::ClearCache {}).await;
    let driver = world.driver().await;
    let start = world.start(&driver, 1).await;
    let tag = world.tag(start.session_id.unwrap()).await;
    link.command_sent(sent, at(0)).await.expect("decided").expect("to be sent");
    link.command_sent(start.command_id, at(0)).await.expect("decided").expect("to be sent");
    link.command_answered(start.command_id, CommandAnswer::Accepted(json!({}))).await.expect("recorded");

    let next = world.connect().await;
    let taken = next.take_up_commands().await.expect("taken up").unsent;
    assert_eq!(taken, [Requested { command_id: unsent, trace_id: Some(TRACE.to_owned()) }]);
    assert_eq!(trace_of(&world, sent, "StationCommandFailed").await.as_deref(), Some(TRACE), "that of its request");
    let lost = world.command(sent).await;
    assert_eq!(
        (lost.state, lost.reason.is_some()),
        (CommandState::Failed, true),
        "nothing physical is ever sent twice"
    );
    // What was accepted waits for its effect, over whichever connection.
    assert_eq!(world.command(start.command_id).await.state, CommandState::Accepted);
    next.start_transaction(&told(1), start_of(1, &tag, 0)).await.expect("started");
    assert_eq!(world.command(start.command_id).await.state, CommandState::Done);

    // The older connection may say nothing more, and send nothing.
    assert!(matches!(link.command_sent(unsent, at(0)).await, Err(Error::Fenced)));
    assert!(matches!(link.command_answered(unsent, CommandAnswer::TimedOut).await, Ok(()) | Err(Error::Fenced)));
    assert_eq!(world.command(unsent).await.state, CommandState::Requested);
    next.command_sent(unsent, at(0)).await.expect("decided").expect("to be sent");
}

/// The log commits that the command is sent, and whoever records it does not live to learn that.
async fn recorded_unheard(world: &World, link: &Link, command_id: CommandId) -> Sending {
    let held = world.hold_first("StationCommandSent").await;
    let sending = link.sending(command_id);
    {
        let mut recording = std::pin::pin!(sending.record(at(0)));
        let under_way = async {
            while !world.holds().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = under_way => {}
            recorded = &mut recording => panic!("it is held, and was answered: {recorded:?}"),
        }
    }
    held.let_go().await;
    while world.command(command_id).await.state != CommandState::Sent {
        tokio::task::yield_now().await;
    }
    sending
}

#[tokio::test]
async fn who_never_learned_that_it_was_recorded_sends_it_and_nobody_else() {
    let world = world().await;
    let link = world.connect().await;
    let command_id = ask(&world, StationAction::Reset { hard: false }).await;
    let sending = recorded_unheard(&world, &link, command_id).await;
    assert_eq!(link.sending(command_id).record(at(0)).await.expect("decided"), None, "another attempt's");
    let to_send = sending.record(at(0)).await.expect("decided").expect("to be sent");
    assert_eq!(to_send.request.command_id, command_id);
    assert_eq!(sending.record(at(0)).await.expect("decided"), None, "the frame is written by now");
    let history = world.history(AggregateType::StationCommand, command_id).await;
    assert_eq!(history, ["StationCommandRequested", "StationCommandSent"]);
}

/// Half of the time that the charger has is to be left: it may do what it is asked up to the end of it.
#[tokio::test]
async fn an_answer_is_waited_for_as_the_log_says_and_a_frame_that_would_be_late_is_not_written() {
    let world = world().await;
    let link = world.connect().await;
    let command_id = ask(&world, StationAction::Reset { hard: false }).await;
    let sending = recorded_unheard(&world, &link, command_id).await;
    let timeout = world.app.settings().answer_timeout;
    let learned_at = at(0) + timeout / 4;
    let to_send = sending.record(learned_at).await.expect("decided").expect("to be sent");
    assert_eq!(to_send.answer_until, at(0) + timeout, "of the attempt that was recorded");
    assert_eq!(to_send.answer_wait(learned_at), (timeout * 3 / 4).to_std().ok());
    assert_eq!(to_send.answer_wait(at(0) + timeout / 2), (timeout / 2).to_std().ok());
    assert_eq!(to_send.answer_wait(at(0) + timeout / 2 + TimeDelta::milliseconds(1)), None);
    assert_eq!(to_send.answer_wait(at(0) + timeout * 2), None);
}

#[tokio::test]
async fn what_is_learned_late_is_not_sent_any_more() {
    let world = world().await;
    let link = world.connect().await;
    let command_id = ask(&world, StationAction::Reset { hard: false }).await;
    let sending = recorded_unheard(&world, &link, command_id).await;
    assert_eq!(sending.record(at(1)).await.expect("decided"), None, "nobody waits for the answer any more");
    let next = world.connect().await;
    assert!(matches!(sending.record(at(0)).await, Err(Error::Fenced)), "a newer socket has taken over");
    next.take_up_commands().await.expect("taken up");
    assert_eq!(sending.record(at(0)).await.expect("decided"), None, "it has failed");
    assert_eq!(world.command(command_id).await.state, CommandState::Failed);
}

#[tokio::test]
async fn the_newest_socket_is_the_one_that_is_heard() {
    let world = world().await;
    let old = world.connect().await;
    let new = world.connect().await;
    assert_eq!((old.epoch, new.epoch), (Epoch(1), Epoch(2)));
    let head = world.head().await;
    let fenced = old.boot(&told(0), domain::charge_point::BootReport::default()).await;
    assert!(matches!(fenced, Err(Error::Fenced)), "{fenced:?}");
    let fenced = old.start_transaction(&told(0), start_of(1, "CARD", 0)).await;
    assert!(matches!(fenced, Err(Error::Fenced)), "{fenced:?}");
    old.disconnect("closed late", at(1)).await.expect("nothing");
    assert_eq!(world.head().await, head, "it appends nothing");
    assert!(world.charge_point().await.online);
    // The write to the charge point and the guard on its fence are one append.
    new.boot(&told(0), domain::charge_point::BootReport::default()).await.expect("recorded");
    new.disconnect("closed", at(1)).await.expect("disconnected");
    assert!(!world.charge_point().await.online);
}

#[tokio::test]
async fn many_sockets_at_once_have_an_order() {
    let world = world().await;
    let id = world.charge_point_id().await;
    let links = futures_util::future::join_all(
        (0..4).map(|_| connect(&world.app, TenantId::DEFAULT, id, "ocpp1.6", "edge", None, at(0))),
    );
    let mut epochs: Vec<_> = links.await.into_iter().map(|link| link.expect("connected").epoch.0).collect();
    epochs.sort_unstable();
    assert_eq!(epochs, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_stranger_is_admitted_once() {
    let world = world().await;
    let name = identity("STRANGER");
    let first = admit(&world.app, TenantId::DEFAULT, &name, None).await.expect("admitted");
    let head = world.head().await;
    assert_eq!(admit(&world.app, TenantId::DEFAULT, &name, None).await.expect("known"), first);
    assert_eq!(world.head().await, head);
    connect(&world.app, TenantId::DEFAULT, first, "ocpp1.6", "edge", None, at(0)).await.expect("connected");
}
