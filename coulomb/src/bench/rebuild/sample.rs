//! One charger, its driver and one session, as the aggregates decide them: what a log is filled with, under many ids.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::Decide;
use domain::aggregate::Payload;
use domain::charge_point::{
    Authorization, AuthorizationStatus, BootReport, ChargePoint, ChargePointCommand, Claimant, Limits,
    RegisteredChargePoint, StatusReport,
};
use domain::driver::{Driver, DriverCommand};
use domain::envelope::{Actor, Envelope};
use domain::event::AggregateType;
use domain::id::{
    AuthorizationId, ChargePointId, ChargePointIdentity, CommandId, ConnectorId, DriverId, Epoch, EvseId, Outlet,
    SessionId, TariffId, TenantId, TransactionId,
};
use domain::meter::{MeterReading, SampledValue};
use domain::outlet::{Connector, Evse};
use domain::published_tariff::Pricing;
use domain::session::{
    ChargingSession, RecordedReading, RecordedReadings, SessionCommand, SessionRequest, TransactionEnd,
    TransactionEnded, TransactionStarted,
};
use domain::station_command::{StationAction, StationCommand, StationCommandCommand, StationRequest};
use domain::word::{ChargingState, StopReason};
use schema::log::NewEvent;
use serde_json::json;
use uuid::Uuid;

/// Reports of readings in a session, 30 s apart: a charge of ten minutes.
const READINGS: usize = 20;
const OUTLET: Outlet = Outlet { evse_id: EvseId(1), connector_id: ConnectorId(1) };

/// What an id of the sample stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    ChargePoint,
    Driver,
    Session,
    Start,
    Stop,
    /// Of the transaction: a number.
    Transaction,
}

impl Who {
    const ALL: [Self; 6] = [Self::ChargePoint, Self::Driver, Self::Session, Self::Start, Self::Stop, Self::Transaction];

    const fn id(self) -> Uuid {
        Uuid::from_u128(match self {
            Self::ChargePoint => 0xc0c0_c0c0_c0c0_70c0_80c0_c0c0_c0c0_c0c0,
            Self::Driver => 0xd1d1_d1d1_d1d1_71d1_81d1_d1d1_d1d1_d1d1,
            Self::Session => 0x5e5e_5e5e_5e5e_7e5e_8e5e_5e5e_5e5e_5e5e,
            Self::Start => 0x5a5a_5a5a_5a5a_7a5a_8a5a_5a5a_5a5a_5a5a,
            Self::Stop => 0x5b5b_5b5b_5b5b_7b5b_8b5b_5b5b_5b5b_5b5b,
            Self::Transaction => 0x1717_1717_1717_7717_8717_1717_1717_1717,
        })
    }
}

/// Text with holes for ids.
#[derive(Debug)]
pub struct Text(Vec<(String, Option<Who>)>);

impl Text {
    fn of(mut text: &str) -> Self {
        let mut pieces = vec![];
        let next = |text: &str| {
            let found = Who::ALL.into_iter().filter_map(|who| Some((text.find(&who.id().to_string())?, who)));
            found.min_by_key(|(at, _)| *at)
        };
        while let Some((at, who)) = next(text) {
            pieces.push((text[..at].to_owned(), Some(who)));
            text = &text[at + who.id().to_string().len()..];
        }
        pieces.push((text.to_owned(), None));
        Self(pieces)
    }

    pub fn write(&self, out: &mut Vec<u8>, id: impl Fn(Who) -> [u8; 36]) {
        for (text, who) in &self.0 {
            out.extend_from_slice(text.as_bytes());
            if let Some(who) = who {
                out.extend_from_slice(&id(*who));
            }
        }
    }
}

/// An event of the sample.
#[derive(Debug)]
pub struct Sampled {
    pub aggregate: AggregateType,
    pub stream: Who,
    pub key: Who,
    /// From 1 in its stream, among the events of its part of the sample.
    pub nth: i64,
    pub event_type: &'static str,
    pub event_version: &'static str,
    pub retention: i16,
    pub payload: Text,
    pub metadata: Text,
}

/// What a charger and its driver begin with, and what each session brings.
#[derive(Debug)]
pub struct Sample {
    pub beginning: Vec<Sampled>,
    pub session: Vec<Sampled>,
}

impl Sample {
    /// How many events of the part are of the stream.
    pub fn of_stream(part: &[Sampled], stream: Who) -> i64 {
        part.iter().filter(|sampled| sampled.stream == stream).count() as i64
    }
}

struct Making {
    now: DateTime<Utc>,
    charge_point: ChargePoint,
    session: ChargingSession,
    start: StationCommand,
    stop: StationCommand,
    driver: Driver,
    part: Vec<Sampled>,
}

pub fn make() -> anyhow::Result<Sample> {
    let mut making = Making {
        now: "2025-06-01T10:00:00Z".parse()?,
        charge_point: ChargePoint::default(),
        session: ChargingSession::default(),
        start: StationCommand::default(),
        stop: StationCommand::default(),
        driver: Driver::default(),
        part: vec![],
    };
    making.beginning()?;
    let beginning = std::mem::take(&mut making.part);
    making.ask()?;
    making.charge()?;
    making.end()?;
    Ok(Sample { beginning, session: making.part })
}

impl Making {
    fn beginning(&mut self) -> anyhow::Result<()> {
        let operator = Actor::operator(Uuid::from_u128(7));
        let connectors = vec![Connector { connector_id: ConnectorId(1), kind: None, max_power_w: Some(22_000) }];
        let details = RegisteredChargePoint {
            charge_point_id: ChargePointId(Who::ChargePoint.id()),
            identity: ChargePointIdentity::parse(&Who::ChargePoint.id().to_string())
                .map_err(|_| anyhow::anyhow!("an identity"))?,
            site_id: None,
            evses: vec![Evse { evse_id: EvseId(1), connectors }],
            admitted: false,
        };
        self.charger(&operator, ChargePointCommand::Register(details))?;
        let (charger, at) = (self.by_charger(), self.now);
        let (protocol, edge) = ("ocpp1.6".to_owned(), "edge-1".to_owned());
        self.charger(&charger, ChargePointCommand::Connect { epoch: Epoch(1), protocol, edge, at })?;
        let boot = BootReport {
            vendor: "Vendor".to_owned(),
            model: "Model".to_owned(),
            serial_number: Some("SN-1".to_owned()),
            firmware_version: Some("1.2.3".to_owned()),
            ..BootReport::default()
        };
        self.charger(&charger, ChargePointCommand::ReportBoot(boot))?;
        self.status("Available")?;
        let driver_id = DriverId(Who::Driver.id());
        let events = self.driver.decide(DriverCommand::Register { driver_id })?;
        self.take(Who::Driver, Who::Driver, &Actor::driver(driver_id), events, |making| &mut making.driver);
        Ok(())
    }

    /// The driver asks for a charge, and the charger says that it will.
    fn ask(&mut self) -> anyhow::Result<()> {
        let driver = self.by_driver();
        let (session_id, command_id) = (SessionId(Who::Session.id()), CommandId(Who::Start.id()));
        let driver_id = Some(DriverId(Who::Driver.id()));
        let tag = "0a1b2c3d4e5f60718293".to_owned();
        let claimant = Claimant { session_id, command_id, driver_id, remote_tag: tag.clone() };
        let request = SessionRequest {
            session_id,
            charge_point_id: ChargePointId(Who::ChargePoint.id()),
            evse_id: OUTLET.evse_id,
            connector_id: Some(OUTLET.connector_id),
            command_id,
            driver_id,
            authorization: Authorization {
                authorization_id: AuthorizationId(Uuid::from_u128(8)),
                status: AuthorizationStatus::Accepted,
                token_id: None,
                evse_id: Some(OUTLET.evse_id),
                driver_id,
                group: None,
                plan_id: None,
                limits: Limits::default(),
                decided_at: self.now,
                expires_at: None,
            },
            remote_tag: tag.clone(),
            remote_start_id: 7,
            pricing: Some(pricing()?),
            requested_at: self.now,
            deadline_at: self.now + TimeDelta::seconds(180),
        };
        self.session(&driver, SessionCommand::Request(request.into()))?;
        self.charger(&driver, ChargePointCommand::Claim { outlet: OUTLET, claimant })?;
        let action = StationAction::RemoteStart { outlet: OUTLET, tag, remote_start_id: 7, group: None };
        self.command(Who::Start, &driver, self.station_request(Who::Start, "start_charging", action))?;
        self.charger(&driver, ChargePointCommand::QueueCommand { command_id })?;
        self.answered(Who::Start)?;
        self.status("Preparing")
    }

    /// It begins, and reports what its meter says.
    fn charge(&mut self) -> anyhow::Result<()> {
        let charger = self.by_charger();
        self.pass(5);
        let started = TransactionStarted {
            session_id: SessionId(Who::Session.id()),
            charge_point_id: ChargePointId(Who::ChargePoint.id()),
            evse_id: Some(OUTLET.evse_id),
            connector_id: Some(OUTLET.connector_id),
            transaction_id: TransactionId(Who::Transaction.id().to_string()),
            started_at: Some(self.now),
            received_at: self.now,
            meter_start_wh: Some(1_000.into()),
            content_hash: Some("00112233445566778899aabbccddeeff".to_owned()),
            max_power_w: Some(22_000),
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
        self.session(&charger, SessionCommand::StartTransaction(started.into()))?;
        self.command(Who::Start, &charger, StationCommandCommand::Done)?;
        self.charger(&charger, ChargePointCommand::SettleCommand { command_id: CommandId(Who::Start.id()) })?;
        self.status("Charging")?;
        for nth in 0..READINGS {
            self.pass(30);
            let readings = self.readings(nth);
            self.session(&charger, SessionCommand::RecordReadings(readings))?;
        }
        let (charging_state, at) = (ChargingState::SUSPENDED_EV, Some(self.now));
        self.session(&charger, SessionCommand::ReportChargingState { charging_state, at })
    }

    /// The driver stops it, and leaves.
    fn end(&mut self) -> anyhow::Result<()> {
        let (driver, charger) = (self.by_driver(), self.by_charger());
        let command_id = CommandId(Who::Stop.id());
        self.session(&driver, SessionCommand::RequestStop { command_id, at: self.now })?;
        let action = StationAction::RemoteStop { transaction_id: TransactionId(Who::Transaction.id().to_string()) };
        self.command(Who::Stop, &driver, self.station_request(Who::Stop, "stop_charging", action))?;
        self.charger(&driver, ChargePointCommand::QueueCommand { command_id })?;
        self.answered(Who::Stop)?;
        self.pass(3);
        let ended = TransactionEnded {
            stopped_at: Some(self.now),
            received_at: self.now,
            meter_stop_wh: Some((1_000 + 90 * READINGS as i64).into()),
            stop_reason: StopReason::REMOTE,
            token_id: None,
            seq_no: None,
            flags: vec![],
        };
        self.session(&charger, SessionCommand::EndTransaction(TransactionEnd { ended, readings: vec![] }))?;
        self.command(Who::Stop, &charger, StationCommandCommand::Done)?;
        self.charger(&charger, ChargePointCommand::SettleCommand { command_id })?;
        self.charger(&charger, ChargePointCommand::Release { session_id: SessionId(Who::Session.id()) })?;
        self.status("Finishing")?;
        self.pass(60);
        self.status("Available")?;
        self.session(&charger, SessionCommand::Depart { at: self.now })
    }

    fn pass(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }

    fn by_driver(&self) -> Actor {
        Actor::driver(DriverId(Who::Driver.id()))
    }

    fn by_charger(&self) -> Actor {
        Actor::charger(ChargePointId(Who::ChargePoint.id()))
    }

    fn station_request(&self, who: Who, kind: &str, action: StationAction) -> StationCommandCommand {
        StationCommandCommand::Request(StationRequest {
            command_id: CommandId(who.id()),
            charge_point_id: ChargePointId(Who::ChargePoint.id()),
            kind: kind.to_owned(),
            action,
            session_id: Some(SessionId(Who::Session.id())),
            requested_at: self.now,
            expires_at: self.now + TimeDelta::seconds(30),
        })
    }

    fn answered(&mut self, who: Who) -> anyhow::Result<()> {
        let charger = self.by_charger();
        let (now, answer_until) = (self.now, self.now + TimeDelta::seconds(30));
        self.command(who, &charger, StationCommandCommand::Send { now, answer_until })?;
        self.command(who, &charger, StationCommandCommand::Accept { answer: json!({"status": "Accepted"}) })
    }

    fn status(&mut self, status: &str) -> anyhow::Result<()> {
        let report = StatusReport {
            outlet: Some(OUTLET),
            ocpp_status: status.to_owned(),
            error_code: Some("NoError".to_owned()),
            info: None,
            vendor_id: None,
            vendor_error_code: None,
            at: Some(self.now),
        };
        let charger = self.by_charger();
        self.charger(&charger, ChargePointCommand::ReportStatus(report))
    }

    /// Register, power, the three currents and the state of charge, as a wallbox sends them.
    fn readings(&self, nth: usize) -> RecordedReadings {
        let value = |measurand: &str, value: String, unit: &str, phase: Option<&str>| SampledValue {
            measurand: Some(measurand.to_owned()),
            unit: Some(unit.to_owned()),
            phase: phase.map(str::to_owned),
            context: Some("Sample.Periodic".to_owned()),
            ..SampledValue::of(value)
        };
        let mut sampled = vec![
            value("Energy.Active.Import.Register", (1_000 + 90 * nth).to_string(), "Wh", None),
            value("Power.Active.Import", format!("{}.5", 10_800 + nth), "W", None),
        ];
        sampled.extend(["L1", "L2", "L3"].map(|phase| value("Current.Import", "15.9".to_owned(), "A", Some(phase))));
        sampled.push(value("SoC", (40 + nth).to_string(), "Percent", None));
        let reading = MeterReading::new(self.now.to_rfc3339(), sampled);
        RecordedReadings {
            readings: vec![RecordedReading { occurred_at: Some(self.now), reading }],
            content_hash: format!("ffeeddccbbaa998877665544{nth:08x}"),
            seq_no: None,
            received_at: self.now,
        }
    }

    fn charger(&mut self, by: &Actor, command: ChargePointCommand) -> anyhow::Result<()> {
        let events = self.charge_point.decide(command)?;
        self.take(Who::ChargePoint, Who::ChargePoint, by, events, |making| &mut making.charge_point);
        Ok(())
    }

    fn session(&mut self, by: &Actor, command: SessionCommand) -> anyhow::Result<()> {
        let events = self.session.decide(command)?;
        self.take(Who::Session, Who::ChargePoint, by, events, |making| &mut making.session);
        Ok(())
    }

    fn command(&mut self, who: Who, by: &Actor, command: StationCommandCommand) -> anyhow::Result<()> {
        let state = if who == Who::Start { &self.start } else { &self.stop };
        let events = state.decide(command)?;
        self.take(who, Who::ChargePoint, by, events, |making| {
            if who == Who::Start { &mut making.start } else { &mut making.stop }
        });
        Ok(())
    }

    fn take<A: Decide>(
        &mut self,
        stream: Who,
        key: Who,
        by: &Actor,
        events: Vec<A::Event>,
        state: impl Fn(&mut Self) -> &mut A,
    ) {
        let cause = match (&self.session.session_id, &self.session.stop_command_id) {
            // Before the session, each thing is asked for by a command of its own.
            (None, _) if stream != Who::Session => stream,
            (_, None) => Who::Start,
            (_, Some(_)) => Who::Stop,
        };
        let envelope = Arc::new(Envelope::new(TenantId::DEFAULT, by.clone()).caused_by(cause.id()));
        for event in events {
            state(self).apply(event.clone());
            let nth = Sample::of_stream(&self.part, stream) + 1;
            let new = NewEvent::new(event.into_event(), Arc::clone(&envelope), key.id());
            self.part.push(Sampled {
                aggregate: A::AGGREGATE,
                stream,
                key,
                nth,
                event_type: new.event_type,
                event_version: new.event_version,
                retention: new.retention.code(),
                payload: Text::of(&new.payload),
                metadata: Text::of(&new.metadata),
            });
        }
    }
}

fn pricing() -> anyhow::Result<Pricing> {
    let tariff = json!({
        "currency": "EUR", "tax_included": true, "taxes": [{"name": "VAT", "percent": 19}],
        "elements": [{"price_components": [
            {"type": "ENERGY", "price": "0.49", "step_size": 1},
            {"type": "PARKING_TIME", "price": "6.00", "step_size": 60},
        ]}],
    });
    Ok(Pricing {
        tariff_id: TariffId(Uuid::from_u128(9)),
        version: 1,
        tariff: serde_json::from_value(tariff)?,
        time_zone: "Europe/Berlin".parse()?,
    })
}
