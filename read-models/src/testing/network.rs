use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::charge_point::{
    Authorization, AuthorizationStatus, BootReport, ChargePoint, ChargePointCommand, Claimant, Limits,
    RegisteredChargePoint, StatusReport,
};
use domain::driver::{Driver, DriverCommand};
use domain::envelope::{Actor, Envelope};
use domain::id::{
    AuthorizationId, ChargePointId, ChargePointIdentity, CommandId, ConnectorId, DriverId, Epoch, EvseId, Outlet,
    PlanId, Sealed, SessionId, SiteId, TariffId, TenantId, TokenId, TransactionId,
};
use domain::plan::{Plan, PlanCommand, PlanDetails};
use domain::published_tariff::{Pricing, PublishedTariff, TariffCommand};
use domain::session::{
    ChargingSession, RecordedReading, RecordedReadings, SessionCommand, SessionRequest, TransactionEnd,
    TransactionEnded, TransactionStarted,
};
use domain::site::{Site, SiteCommand};
use domain::station_command::{StationAction, StationCommand, StationCommandCommand, StationRequest};
use domain::token::{Token, TokenCommand, TokenDetails};
use domain::word::{ChargingState, StopReason};
use domain::{Decide, aggregate::Payload};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use rust_decimal::Decimal;
use schema::log::{NewEvent, StreamId};
use serde_json::json;
use uuid::Uuid;

use super::{Written, words};

/// EVSEs of each charge point.
const EVSES: u32 = 2;

/// Everything there is, as it stands after what was done so far.
pub struct Network {
    rng: StdRng,
    now: DateTime<Utc>,
    sites: BTreeMap<Uuid, Site>,
    tariffs: BTreeMap<Uuid, PublishedTariff>,
    plans: BTreeMap<Uuid, Plan>,
    drivers: BTreeMap<Uuid, Driver>,
    tokens: BTreeMap<Uuid, Token>,
    charge_points: BTreeMap<Uuid, ChargePoint>,
    commands: BTreeMap<Uuid, StationCommand>,
    sessions: BTreeMap<Uuid, ChargingSession>,
    meter_wh: i64,
}

/// Who does it, and for what.
struct Doing {
    envelope: Arc<Envelope>,
    written: Vec<Written>,
}

impl Doing {
    fn by(actor: Actor, cause: Option<Uuid>) -> Self {
        let mut envelope = Envelope::new(TenantId::DEFAULT, actor);
        envelope.causation_id = cause;
        Self { envelope: Arc::new(envelope), written: vec![] }
    }

    /// Decides and applies. What is refused does not happen.
    fn decide<A: Decide>(&mut self, all: &mut BTreeMap<Uuid, A>, id: Uuid, key: Uuid, command: A::Command) -> bool {
        let state = all.entry(id).or_default();
        let events = state.decide(command).unwrap_or_default();
        let mut new = vec![];
        for event in events {
            state.apply(event.clone());
            new.push(NewEvent::new(event.into_event(), Arc::clone(&self.envelope), key));
        }
        let happened = !new.is_empty();
        if happened {
            self.written.push(Written { stream: StreamId { aggregate: A::AGGREGATE, id }, events: new });
        }
        happened
    }
}

impl Network {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            now: DateTime::from_timestamp(1_750_000_000, 0).expect("in range"),
            sites: BTreeMap::new(),
            tariffs: BTreeMap::new(),
            plans: BTreeMap::new(),
            drivers: BTreeMap::new(),
            tokens: BTreeMap::new(),
            charge_points: BTreeMap::new(),
            commands: BTreeMap::new(),
            sessions: BTreeMap::new(),
            meter_wh: 0,
        }
    }

    /// The next append: never empty.
    pub fn step(&mut self) -> Vec<Written> {
        loop {
            self.now += TimeDelta::milliseconds(self.rng.random_range(1..30_000));
            let written = match self.rng.random_range(0..100) {
                _ if self.charge_points.len() < 3 => self.register_charge_point(),
                0..5 => self.operate(),
                5..10 => self.people(),
                10..35 => self.charger_reports(),
                35..50 => self.start(),
                50..60 => self.station_command_goes_on(),
                _ => self.session_goes_on(),
            };
            if !written.is_empty() {
                return written;
            }
        }
    }

    fn id(&mut self) -> Uuid {
        Uuid::from_u128(self.rng.random())
    }

    fn some<A>(rng: &mut StdRng, all: &BTreeMap<Uuid, A>, wanted: impl Fn(&A) -> bool) -> Option<Uuid> {
        all.iter().filter(|(_, state)| wanted(state)).map(|(id, _)| *id).choose(rng)
    }

    fn register_charge_point(&mut self) -> Vec<Written> {
        let (id, command, operator) = (self.id(), self.id(), self.id());
        let mut doing = Doing::by(Actor::operator(operator), Some(command));
        let details = RegisteredChargePoint {
            charge_point_id: ChargePointId(id),
            identity: ChargePointIdentity::parse(&format!("CP-{}", id.simple())).expect("an identity"),
            site_id: Self::some(&mut self.rng, &self.sites, |_| true).map(SiteId),
            evses: (1..=EVSES).map(words::evse).collect(),
            admitted: false,
        };
        doing.decide(&mut self.charge_points, id, id, ChargePointCommand::Register(details));
        doing.written
    }

    fn operate(&mut self) -> Vec<Written> {
        let (new, command, operator) = (self.id(), self.id(), self.id());
        let name = format!("{:x}", self.rng.random::<u32>());
        let mut doing = Doing::by(Actor::operator(operator), Some(command));
        match self.rng.random_range(0..6) {
            0 => {
                doing.decide(&mut self.sites, new, new, SiteCommand::Register(words::site(name)));
            }
            1 => {
                let id = Self::some(&mut self.rng, &self.sites, |_| true).unwrap_or(new);
                doing.decide(&mut self.sites, id, id, SiteCommand::Change(words::site(name)));
            }
            2 => {
                let id = Self::some(&mut self.rng, &self.tariffs, |_| self.now.timestamp() % 2 == 0).unwrap_or(new);
                let tariff = words::tariff(self.rng.random());
                doing.decide(&mut self.tariffs, id, id, TariffCommand::Publish { name, tariff });
            }
            3 => {
                let tariff_id = Self::some(&mut self.rng, &self.tariffs, |_| true).map(TariffId);
                let details = PlanDetails { name, tariff_id };
                doing.decide(&mut self.plans, new, new, PlanCommand::Publish(details));
            }
            4 => return self.register_charge_point(),
            _ => {
                let Some(id) = Self::some(&mut self.rng, &self.charge_points, |_| true) else { return vec![] };
                let identity = ChargePointIdentity::parse(&name).expect("an identity");
                doing.decide(&mut self.charge_points, id, id, ChargePointCommand::Rename { identity });
            }
        }
        doing.written
    }

    fn people(&mut self) -> Vec<Written> {
        let (new, command, operator) = (self.id(), self.id(), self.id());
        let driver = Self::some(&mut self.rng, &self.drivers, |_| true);
        let mut doing = Doing::by(Actor::operator(operator), Some(command));
        match (self.rng.random_range(0..4), driver) {
            (0, _) | (_, None) => {
                doing = Doing::by(Actor::driver(DriverId(new)), Some(command));
                let register = DriverCommand::Register { driver_id: DriverId(new) };
                doing.decide(&mut self.drivers, new, new, register);
                if let Some(plan) = Self::some(&mut self.rng, &self.plans, |_| true) {
                    let activate = DriverCommand::ActivatePlan { plan_id: PlanId(plan) };
                    doing.decide(&mut self.drivers, new, new, activate);
                }
            }
            (1, Some(driver)) => {
                let Some(plan) = Self::some(&mut self.rng, &self.plans, |_| true) else { return vec![] };
                let activate = DriverCommand::ActivatePlan { plan_id: PlanId(plan) };
                doing.decide(&mut self.drivers, driver, driver, activate);
            }
            (2, Some(driver)) => {
                let details = TokenDetails {
                    token_id: TokenId(new),
                    kind: "ISO14443".to_owned(),
                    value: Sealed(format!("sealed:{}", new.simple())),
                    driver_id: Some(DriverId(driver)),
                    group: None,
                    expires_at: None,
                };
                doing.decide(&mut self.tokens, new, new, TokenCommand::Register(details));
            }
            (_, Some(_)) => {
                let Some(token) = Self::some(&mut self.rng, &self.tokens, |_| true) else { return vec![] };
                let block = if self.rng.random() { TokenCommand::Block } else { TokenCommand::Unblock };
                doing.decide(&mut self.tokens, token, token, block);
            }
        }
        doing.written
    }

    fn charger_reports(&mut self) -> Vec<Written> {
        let Some(id) = Self::some(&mut self.rng, &self.charge_points, |_| true) else { return vec![] };
        let (online, epoch) = {
            let state = &self.charge_points[&id];
            (state.online, state.epoch)
        };
        let (now, outlet) = (self.now, self.outlet());
        let command = match self.rng.random_range(0..8) {
            _ if !online => ChargePointCommand::Connect {
                epoch: Epoch(epoch.0 + 1),
                protocol: "ocpp1.6".to_owned(),
                edge: "edge".to_owned(),
                at: now,
            },
            0 => ChargePointCommand::Disconnect { epoch, reason: "gone".to_owned(), at: now },
            1 => ChargePointCommand::ReportBoot(BootReport {
                vendor: "Vendor".to_owned(),
                model: format!("M{}", self.rng.random::<u8>()),
                ..BootReport::default()
            }),
            2 => ChargePointCommand::ReportReadings {
                outlet: Some(outlet),
                readings: vec![words::reading(now.to_rfc3339(), 1)],
            },
            3 => ChargePointCommand::ReportFirmwareStatus { status: "Downloaded".to_owned() },
            _ => ChargePointCommand::ReportStatus(StatusReport {
                outlet: self.rng.random_bool(0.9).then_some(outlet),
                ocpp_status: (*words::STATUSES.iter().choose(&mut self.rng).expect("some")).to_owned(),
                error_code: Some("NoError".to_owned()),
                info: words::INFOS.iter().choose(&mut self.rng).map(|info| Sealed((*info).to_owned())),
                vendor_id: None,
                vendor_error_code: None,
                at: Some(now),
            }),
        };
        let mut doing = Doing::by(Actor::charger(ChargePointId(id)), None);
        doing.decide(&mut self.charge_points, id, id, command);
        doing.written
    }

    fn outlet(&mut self) -> Outlet {
        Outlet { evse_id: EvseId(self.rng.random_range(1..=EVSES)), connector_id: ConnectorId(1) }
    }

    /// A driver asks for a charge: the session, the claim and the command to the station, in one append.
    fn start(&mut self) -> Vec<Written> {
        let online = |state: &ChargePoint| state.online;
        let Some(id) = Self::some(&mut self.rng, &self.charge_points, online) else { return vec![] };
        let Some(driver) = Self::some(&mut self.rng, &self.drivers, |_| true) else { return vec![] };
        let (session, command, outlet, now) = (self.id(), self.id(), self.outlet(), self.now);
        let mut doing = Doing::by(Actor::driver(DriverId(driver)), Some(command));
        let (session_id, command_id, driver_id) = (SessionId(session), CommandId(command), Some(DriverId(driver)));
        let remote_tag = format!("{:020x}", self.rng.random::<u64>());
        let claimant = Claimant { session_id, command_id, driver_id, remote_tag: remote_tag.clone() };
        let claim = ChargePointCommand::Claim { outlet, claimant };
        if !doing.decide(&mut self.charge_points, id, id, claim) {
            return vec![];
        }
        let tariff = Self::some(&mut self.rng, &self.tariffs, |_| true);
        let request = SessionRequest {
            session_id,
            charge_point_id: ChargePointId(id),
            evse_id: outlet.evse_id,
            connector_id: Some(outlet.connector_id),
            command_id,
            driver_id,
            authorization: authorization(self.id(), driver_id, now),
            remote_tag: remote_tag.clone(),
            remote_start_id: 7,
            pricing: tariff.and_then(|tariff| {
                let published = &self.tariffs[&tariff];
                Some(Pricing {
                    tariff_id: TariffId(tariff),
                    version: published.version,
                    tariff: published.tariff.clone()?,
                    time_zone: "Europe/Berlin".parse().expect("a zone"),
                })
            }),
            requested_at: now,
            deadline_at: now + TimeDelta::seconds(90),
        };
        doing.decide(&mut self.sessions, session, id, SessionCommand::Request(request.into()));
        let action = StationAction::RemoteStart { outlet, tag: remote_tag, remote_start_id: 7, group: None };
        self.ask_station(&mut doing, id, command, session_id, "start_charging", action);
        doing.written
    }

    fn ask_station(
        &mut self,
        doing: &mut Doing,
        charge_point: Uuid,
        command: Uuid,
        session_id: SessionId,
        kind: &str,
        action: StationAction,
    ) {
        let request = StationRequest {
            command_id: CommandId(command),
            charge_point_id: ChargePointId(charge_point),
            kind: kind.to_owned(),
            action,
            session_id: Some(session_id),
            requested_at: self.now,
            expires_at: self.now + TimeDelta::seconds(30),
        };
        doing.decide(&mut self.commands, command, charge_point, StationCommandCommand::Request(request));
        let queue = ChargePointCommand::QueueCommand { command_id: CommandId(command) };
        doing.decide(&mut self.charge_points, charge_point, charge_point, queue);
    }

    fn station_command_goes_on(&mut self) -> Vec<Written> {
        let open = |state: &StationCommand| !state.state.is_settled();
        let Some(id) = Self::some(&mut self.rng, &self.commands, open) else { return vec![] };
        let Some(request) = self.commands[&id].request.clone() else { return vec![] };
        let (charge_point, now) = (request.charge_point_id.0, self.now);
        let answer = json!({"status": "Accepted", "number": 1.0, "big": 12_345_678_901_u64, "null": null});
        let command = match self.rng.random_range(0..7) {
            0..3 => StationCommandCommand::Send { now, answer_until: now + TimeDelta::seconds(30) },
            3 => StationCommandCommand::Accept { answer },
            4 => StationCommandCommand::Done,
            5 => StationCommandCommand::Reject { answer, reason: "Rejected".to_owned() },
            _ => StationCommandCommand::TimeOut,
        };
        let mut doing = Doing::by(Actor::charger(request.charge_point_id), None);
        doing.decide(&mut self.commands, id, charge_point, command);
        if self.commands[&id].state.is_settled() {
            let settle = ChargePointCommand::SettleCommand { command_id: CommandId(id) };
            doing.decide(&mut self.charge_points, charge_point, charge_point, settle);
        }
        doing.written
    }

    fn session_goes_on(&mut self) -> Vec<Written> {
        let Some(id) = Self::some(&mut self.rng, &self.sessions, |state| state.departed_at.is_none()) else {
            return vec![];
        };
        let state = &self.sessions[&id];
        let (Some(charge_point_id), open) = (state.charge_point_id, state.is_open()) else { return vec![] };
        let (charge_point, begun, driver, now) =
            (charge_point_id.0, state.transaction_id.clone(), state.driver_id, self.now);
        let mut doing = Doing::by(Actor::charger(charge_point_id), None);
        let choice = self.rng.random_range(0..12);
        let command = match (choice, begun) {
            (0..5, None) => SessionCommand::StartTransaction(Box::new(self.started(id, charge_point_id))),
            (0..6, Some(_)) => SessionCommand::RecordReadings(self.readings()),
            (6, Some(_)) => {
                SessionCommand::ReportChargingState { charging_state: ChargingState::SUSPENDED_EV, at: Some(now) }
            }
            (7 | 8, Some(_)) => {
                let release = ChargePointCommand::Release { session_id: SessionId(id) };
                doing.decide(&mut self.charge_points, charge_point, charge_point, release);
                let ended = TransactionEnded {
                    stopped_at: Some(now),
                    received_at: now,
                    meter_stop_wh: Some(Decimal::from(self.meter_wh)),
                    stop_reason: StopReason::LOCAL,
                    token_id: None,
                    seq_no: None,
                    flags: vec![],
                };
                SessionCommand::EndTransaction(TransactionEnd { ended, readings: vec![self.readings()] })
            }
            (9, _) => SessionCommand::Depart { at: now },
            (10, begun) if open => {
                let command = self.id();
                doing = Doing::by(Actor::driver(driver.unwrap_or_default()), Some(command));
                if let Some(transaction_id) = begun.filter(|_| self.sessions[&id].stop_command_id.is_none()) {
                    let action = StationAction::RemoteStop { transaction_id };
                    self.ask_station(&mut doing, charge_point, command, SessionId(id), "stop_charging", action);
                }
                SessionCommand::RequestStop { command_id: CommandId(command), at: now }
            }
            _ => {
                doing = Doing::by(Actor::system("start"), Some(id));
                SessionCommand::FailStart { code: "timed_out", detail: "It did not begin.".to_owned(), at: now }
            }
        };
        doing.decide(&mut self.sessions, id, charge_point, command);
        doing.written
    }

    fn started(&mut self, session: Uuid, charge_point_id: ChargePointId) -> TransactionStarted {
        TransactionStarted {
            session_id: SessionId(session),
            charge_point_id,
            evse_id: Some(EvseId(1)),
            connector_id: Some(ConnectorId(1)),
            transaction_id: TransactionId(self.rng.random_range(1..i32::MAX).to_string()),
            started_at: self.rng.random_bool(0.9).then_some(self.now),
            received_at: self.now,
            meter_start_wh: Some(Decimal::from(self.meter_wh)),
            max_power_w: Some(22_000),
            token_id: None,
            driver_id: None,
            authorization: None,
            pricing: None,
            remote_start_id: None,
            seq_no: None,
            trigger_reason: None,
            charging_state: Some(ChargingState::CHARGING),
            offline: false,
            reservation_id: None,
            limits: Limits::default(),
            continues_session_id: None,
            content_hash: Some(format!("{:x}", self.rng.random::<u64>())),
            flags: vec![],
        }
    }

    fn readings(&mut self) -> RecordedReadings {
        self.meter_wh += self.rng.random_range(0..500);
        let reading = words::reading(self.now.to_rfc3339(), self.meter_wh);
        RecordedReadings {
            readings: vec![RecordedReading { occurred_at: Some(self.now), reading }],
            content_hash: format!("{:x}", self.rng.random::<u64>()),
            seq_no: None,
            received_at: self.now,
        }
    }
}

fn authorization(id: Uuid, driver_id: Option<DriverId>, now: DateTime<Utc>) -> Authorization {
    Authorization {
        authorization_id: AuthorizationId(id),
        status: AuthorizationStatus::Accepted,
        token_id: None,
        evse_id: None,
        driver_id,
        group: None,
        plan_id: None,
        limits: Limits { energy_wh: Some(Decimal::new(2_000_050, 2)), ..Limits::default() },
        decided_at: now,
        expires_at: None,
    }
}
