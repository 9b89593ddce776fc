//! A log that nothing has happened for: to see that checks fail when they should.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::charge_point::{BootReport, ChargePointEvent, Limits, RegisteredChargePoint};
use domain::envelope::{Actor, Envelope, ReportTimes, TimeSource};
use domain::event::Event;
use domain::id::{
    ChargePointId, ChargePointIdentity, CommandId, ConnectorId, EvseId, Outlet, SessionId, TenantId, TransactionId,
};
use domain::session::{SessionEvent, TransactionEnded, TransactionStarted};
use domain::station_command::{StationAction, StationCommandEvent, StationRequest};
use domain::word::StopReason;
use rust_decimal::Decimal;
use schema::log::{Generation, Position, RecordedEvent, StreamId};
use schema::partition::partition;
use serde_json::Value;
use simulator::charger::Acknowledged;
use uuid::Uuid;

pub const CHARGER: &str = "CP1";

/// A log with one charger of two outlets. Time goes on by a second with each event.
pub struct MadeUp {
    pub charger: ChargePointId,
    pub events: Vec<RecordedEvent>,
}

/// The moment of an event, by its position.
pub fn moment(position: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(position)
}

impl MadeUp {
    pub fn new() -> Self {
        let charger = ChargePointId(Uuid::from_u128(7));
        let mut made_up = Self { charger, events: vec![] };
        let registered = RegisteredChargePoint {
            charge_point_id: charger,
            identity: ChargePointIdentity::parse(CHARGER).expect("it is one"),
            site_id: None,
            evses: vec![],
            admitted: true,
        };
        made_up.of_charger(ChargePointEvent::ChargePointRegistered(registered), None);
        made_up
    }

    /// The time of the event that comes next.
    pub fn next(&self) -> DateTime<Utc> {
        moment(self.events.len() as i64 + 1)
    }

    pub fn append(&mut self, stream: Uuid, event: Event, device_at: Option<&str>) {
        let at = self.next();
        let times = ReportTimes {
            received_at: at,
            device_at: device_at.map(str::to_owned),
            occurred_at: Some(at),
            source: TimeSource::Received,
        };
        let envelope =
            Envelope { times: Some(times), ..Envelope::new(TenantId::DEFAULT, Actor::charger(self.charger)) };
        let stream = StreamId::new(event.aggregate(), stream);
        self.events.push(RecordedEvent {
            position: Position(self.events.len() as i64 + 1),
            generation: Generation::FIRST,
            partition: partition(self.charger.0),
            partition_key: self.charger.0,
            sequence: self.events.iter().filter(|before| before.stream == stream).count() as i64 + 1,
            stream,
            event_id: Uuid::now_v7(),
            event_type: event.event_type().to_owned(),
            event_version: event.event_version().to_owned(),
            retention: event.retention(),
            recorded_at: at,
            envelope: Arc::new(envelope),
            payload_hash: Uuid::nil(),
            event: Ok(Arc::new(event)),
        });
    }

    pub fn of_charger(&mut self, event: ChargePointEvent, device_at: Option<&str>) {
        self.append(self.charger.0, Event::ChargePoint(event), device_at);
    }

    pub fn of_session(&mut self, session: SessionId, event: SessionEvent, device_at: Option<&str>) {
        self.append(session.0, Event::ChargingSession(event), device_at);
    }

    pub fn boots(&mut self) {
        self.of_charger(ChargePointEvent::ChargePointBooted { boot: BootReport::default() }, None);
    }

    /// On the outlet 1.
    pub fn starts(&mut self, number: i32, device_at: &str, meter_wh: i64) -> SessionId {
        let session_id = SessionId(Uuid::from_u128(number.unsigned_abs().into()));
        let at = self.next();
        let started = TransactionStarted {
            session_id,
            charge_point_id: self.charger,
            evse_id: Some(EvseId(1)),
            connector_id: Some(ConnectorId(1)),
            transaction_id: TransactionId(number.to_string()),
            started_at: Some(at),
            received_at: at,
            meter_start_wh: Some(Decimal::from(meter_wh)),
            content_hash: None,
            max_power_w: None,
            token_id: None,
            driver_id: None,
            authorization: None,
            pricing: None,
            remote_start_id: None,
            seq_no: None,
            trigger_reason: None,
            charging_state: None,
            offline: false,
            reservation_id: None,
            limits: Limits::default(),
            continues_session_id: None,
            flags: vec![],
        };
        self.of_session(session_id, SessionEvent::TransactionStarted(Box::new(started)), Some(device_at));
        session_id
    }

    pub fn stops(&mut self, session: SessionId, device_at: &str, meter_wh: i64) {
        let at = self.next();
        let ended = TransactionEnded {
            stopped_at: Some(at),
            received_at: at,
            meter_stop_wh: Some(Decimal::from(meter_wh)),
            stop_reason: StopReason::LOCAL,
            token_id: None,
            seq_no: None,
            flags: vec![],
        };
        self.of_session(session, SessionEvent::TransactionEnded(ended), Some(device_at));
    }

    pub fn requests(&mut self, action: StationAction) -> CommandId {
        let command_id = CommandId(Uuid::from_u128(1_000 + self.events.len() as u128));
        let at = self.next();
        let request = StationRequest {
            command_id,
            charge_point_id: self.charger,
            kind: String::new(),
            action,
            session_id: None,
            requested_at: at,
            expires_at: at,
        };
        let event = StationCommandEvent::StationCommandRequested(request);
        self.append(command_id.0, Event::StationCommand(event), None);
        command_id
    }

    /// When it was recorded as sent.
    pub fn sends(&mut self, command_id: CommandId) -> DateTime<Utc> {
        let at = self.next();
        let sent = StationCommandEvent::StationCommandSent { answer_until: at };
        self.append(command_id.0, Event::StationCommand(sent), None);
        at
    }
}

pub fn outlet(number: u32) -> Outlet {
    Outlet { evse_id: EvseId(number), connector_id: ConnectorId(1) }
}

/// A message that the charger had acknowledged, around the moment.
pub fn acknowledged(action: &'static str, payload: Value, answer: Value, around: DateTime<Utc>) -> Acknowledged {
    let half = TimeDelta::milliseconds(400);
    let charger_id = CHARGER.to_owned();
    Acknowledged { charger_id, action, payload, answer, said_at: around - half, answered_at: around + half }
}
