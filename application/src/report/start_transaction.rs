use std::sync::Arc;

use domain::charge_point::{Authorization, AuthorizationStatus, ChargePoint, ChargePointCommand, Limits};
use domain::id::{DriverId, EvseId, Outlet, SessionId, TokenId, TransactionId};
use domain::session::{ChargingSession, SessionCommand, SessionState, TransactionStarted};
use domain::station_command::StationCommandCommand;
use domain::word::{Flag, TriggerReason};
use event_store::{Appended, CommandKey, Session, session::ATTEMPTS_MAX};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::authorize::Verdict;
use super::{Circumstances, Link, content_hash};
use crate::Error;
use crate::authorize::judge;
use crate::command::pricing_at;
use crate::settle::{advance, fail_start, presume_ended};
use crate::work::{Work, decide};

/// StartTransaction of OCPP 1.6.
#[derive(Debug, Clone)]
pub struct StartTransaction {
    pub outlet: Option<Outlet>,
    /// The number of the connector as the charger wrote it, of which nothing need be known.
    pub connector: Option<i64>,
    pub id_tag: Option<String>,
    pub meter_start_wh: Option<Decimal>,
    pub reservation_id: Option<i64>,
    /// It began while the charger could not tell us.
    pub offline: bool,
}

/// The answer, which a retry gets too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    pub transaction_id: i32,
    pub session_id: SessionId,
    pub verdict: Verdict,
}

/// As it is kept under the content's key.
#[derive(Serialize, Deserialize)]
struct Answer {
    transaction_id: i32,
    session_id: SessionId,
    status: AuthorizationStatus,
    group: Option<String>,
    expires_at: Option<chrono::DateTime<chrono::Utc>>,
}

impl Link {
    /// A transaction has begun. The same report again, whatever its message id, on whatever node, gets the first answer.
    pub async fn start_transaction(
        &self,
        circumstances: &Circumstances,
        start: StartTransaction,
    ) -> Result<Started, Error> {
        let hash = start.content_hash(circumstances);
        // A clock that starts anew at each boot makes different starts look alike: then only the open one can be meant.
        let distinct = circumstances.times.occurred_at.is_some()
            && circumstances.times.source != domain::envelope::TimeSource::Received;
        // Looked for in any case: what a clock is believed to be can differ between a report and its retry.
        if let Some(before) = self.app.store().lookup(&self.start_scope(), &hash).await? {
            return answered(before.answer);
        }
        for _ in 0..ATTEMPTS_MAX {
            let charge_point = self.app.store().load::<ChargePoint>(self.charge_point_id).await?.state;
            if !distinct && let Some(started) = self.open_start(&charge_point, &start, &hash).await? {
                return Ok(started);
            }
            let requested = match self.request_of(&charge_point, &start).await? {
                Some(Request::Begun(started)) => return Ok(started),
                Some(Request::Open(session_id)) => Some(session_id),
                None => None,
            };
            let session_id = requested.unwrap_or_else(SessionId::generate);
            let token_id = match &start.id_tag {
                Some(tag) if requested.is_none() => Some(self.app.tokens().find_or_make(self.tenant_id, tag).await?),
                _ => None,
            };
            let work = Begin {
                link: self.clone(),
                requested: requested.is_some(),
                session_id,
                transaction_id: self.app.transactions().next(self.charge_point_id, session_id).await?,
                token_id,
                hash: hash.clone(),
                key: distinct.then(|| self.start_scope()),
                circumstances: circumstances.clone(),
                start: start.clone(),
            };
            let envelope = self.correlated(circumstances, session_id.0);
            match self.app.work(&envelope, Arc::new(work)).await? {
                (_, Some(Appended::Replayed { answer, .. })) => return answered(answer),
                (Some(started), _) => return Ok(started),
                // The request that it was thought to belong to has come or gone meanwhile.
                (None, _) => {}
            }
        }
        Err(Error::Busy)
    }

    fn start_scope(&self) -> String {
        format!("start:{}", self.charge_point_id)
    }

    /// The open session on the outlet, if this very report began it.
    async fn open_start(
        &self,
        charge_point: &ChargePoint,
        start: &StartTransaction,
        hash: &str,
    ) -> Result<Option<Started>, Error> {
        let Some(claim) = start.outlet.and_then(|outlet| charge_point.claims.get(&outlet.evse_id)) else {
            return Ok(None);
        };
        let state = self.app.store().load::<ChargingSession>(claim.session_id).await?.state;
        Ok(begun(claim.session_id, &state).filter(|_| state.start_hash.as_deref() == Some(hash)))
    }

    /// The request whose one-off tag the charger was given: one that waits, or one that has failed in the meantime.
    async fn request_of(&self, charge_point: &ChargePoint, start: &StartTransaction) -> Result<Option<Request>, Error> {
        let Some(session_id) = start.request_in(charge_point) else {
            return Ok(None);
        };
        let state = self.app.store().load::<ChargingSession>(session_id).await?.state;
        Ok(match begun(session_id, &state) {
            None => Some(Request::Open(session_id)),
            // The same transaction, told in other words: its tag is given out once.
            Some(started) if state.is_open() && start.may_be_on(state.evse_id) => Some(Request::Begun(started)),
            Some(_) => None,
        })
    }
}

/// A request that a start belongs to.
enum Request {
    Open(SessionId),
    Begun(Started),
}

/// What was answered when the session began; none if it has not.
fn begun(session_id: SessionId, state: &ChargingSession) -> Option<Started> {
    let transaction_id = state.transaction_id.as_ref()?.0.parse().ok()?;
    let of_request = Verdict { status: AuthorizationStatus::Accepted, group: state.group.clone(), expires_at: None };
    // A request's own authorisation expires with its deadline, which says nothing of the one-off tag.
    let judged = state.authorization.as_ref().filter(|_| state.remote_tag.is_none());
    let verdict = judged.map_or(of_request, Verdict::from);
    Some(Started { transaction_id, session_id, verdict })
}

impl StartTransaction {
    /// The session whose one-off tag this start bears, whether it holds its EVSE yet or not any more.
    fn request_in(&self, charge_point: &ChargePoint) -> Option<SessionId> {
        let tag = self.id_tag.as_deref()?;
        let claim = charge_point.claim_by_tag(tag).map(|(_, claim)| claim.session_id);
        claim.or_else(|| charge_point.past_request_by_tag(tag))
    }

    fn may_be_on(&self, evse_id: Option<EvseId>) -> bool {
        self.outlet.is_none_or(|outlet| evse_id == Some(outlet.evse_id))
    }

    fn content_hash(&self, circumstances: &Circumstances) -> String {
        let connector = self.connector.map_or_else(String::new, |number| number.to_string());
        let tag = self.id_tag.as_deref().unwrap_or_default().to_lowercase();
        let meter = self.meter_start_wh.map_or_else(String::new, |wh| wh.normalize().to_string());
        let timestamp = circumstances.times.device_at.as_deref().unwrap_or_default();
        content_hash([connector.as_str(), &tag, timestamp, &meter])
    }
}

fn answered(answer: serde_json::Value) -> Result<Started, Error> {
    let Answer { transaction_id, session_id, status, group, expires_at } =
        serde_json::from_value(answer).map_err(Error::unavailable)?;
    Ok(Started { transaction_id, session_id, verdict: Verdict { status, group, expires_at } })
}

struct Begin {
    link: Link,
    /// It was found to be the transaction of a request.
    requested: bool,
    session_id: SessionId,
    transaction_id: i32,
    token_id: Option<TokenId>,
    hash: String,
    /// The scope under which the answer is kept for ever.
    key: Option<String>,
    circumstances: Circumstances,
    start: StartTransaction,
}

impl Work for Begin {
    type Output = Option<Started>;

    async fn run(&self, session: &mut Session) -> Result<Option<Started>, Error> {
        let id = self.link.charge_point_id;
        let now = self.circumstances.times.received_at;
        let charge_point = session.load::<ChargePoint>(id).await?.clone();
        let request = match self.start.request_in(&charge_point) {
            Some(session_id) => {
                let state = session.load::<ChargingSession>(session_id).await?;
                state.transaction_id.is_none().then_some((session_id, state.command_id, state.driver_id))
            }
            None => None,
        };
        if request.map(|(session_id, ..)| session_id) != self.requested.then_some(self.session_id) {
            return Ok(None);
        }
        let evse_id = self.start.outlet.map(|outlet| outlet.evse_id);
        let judged = match self.token_id {
            Some(token_id) => Some(judge(session, token_id, evse_id, now).await?),
            None => None,
        };
        let verdict = match &judged {
            Some(authorization) => Verdict::from(authorization),
            None if self.requested => {
                let group = session.load::<ChargingSession>(self.session_id).await?.group.clone();
                Verdict { status: AuthorizationStatus::Accepted, group, expires_at: None }
            }
            None => Verdict { status: AuthorizationStatus::Invalid, group: None, expires_at: None },
        };
        let accepted = verdict.status == AuthorizationStatus::Accepted;
        let stands_back = match evse_id {
            Some(evse_id) => {
                let driver_id = match &judged {
                    Some(authorization) => authorization.driver_id,
                    None => request.and_then(|(_, _, driver_id)| driver_id),
                };
                !self.take_evse(session, &charge_point, evse_id, accepted, driver_id).await?
            }
            None => false,
        };
        if let Some(authorization) = judged.clone() {
            decide::<ChargePoint>(session, id, id, ChargePointCommand::RecordAuthorization(authorization)).await?;
        }
        if let Some(command_id) = request.and_then(|(_, command_id, _)| command_id) {
            advance(session, id, command_id, StationCommandCommand::Done).await?;
        }
        let started = self.started(session, &charge_point, judged, &verdict).await?;
        decide::<ChargingSession>(session, self.session_id, id, SessionCommand::StartTransaction(Box::new(started)))
            .await?;
        if stands_back {
            // One EVSE has one open transaction. Should it run all the same, its readings and its stop are still taken.
            presume_ended(session, self.session_id, now).await?;
        }
        self.link.guard(session);
        let started = Started { transaction_id: self.transaction_id, session_id: self.session_id, verdict };
        if let Some(scope) = &self.key {
            session.key(self.answer(scope, &started)?);
        }
        Ok(Some(started))
    }
}

impl Begin {
    /// A new transaction holds its EVSE. What held it before is over: presumed ended, if it was a transaction.
    ///
    /// False: it does not hold it. A start that is not authorised must end neither an authorised transaction nor a
    /// request; it overtakes a transaction that is no more authorised than itself.
    async fn take_evse(
        &self,
        session: &mut Session,
        charge_point: &ChargePoint,
        evse_id: EvseId,
        accepted: bool,
        driver_id: Option<DriverId>,
    ) -> Result<bool, Error> {
        let id = self.link.charge_point_id;
        let holder = charge_point.claims.get(&evse_id).filter(|claim| claim.session_id != self.session_id);
        if let Some(claim) = holder {
            let held_by = session.load::<ChargingSession>(claim.session_id).await?;
            if !accepted && held_by.is_open() && !held_by.flags.contains(&Flag::NOT_AUTHORIZED) {
                return Ok(false);
            }
            let at = self.circumstances.times.received_at;
            match held_by.state {
                SessionState::Requested => {
                    let why = ("connector-occupied", "Somebody else began to charge there.");
                    fail_start(session, claim.session_id, why, at).await?;
                }
                _ => presume_ended(session, claim.session_id, at).await?,
            }
        }
        let command = ChargePointCommand::Occupy { evse_id, session_id: self.session_id, driver_id };
        decide::<ChargePoint>(session, id, id, command).await?;
        Ok(true)
    }

    async fn started(
        &self,
        session: &mut Session,
        charge_point: &ChargePoint,
        judged: Option<Authorization>,
        verdict: &Verdict,
    ) -> Result<TransactionStarted, Error> {
        let StartTransaction { outlet, meter_start_wh, reservation_id, offline, .. } = self.start;
        let times = &self.circumstances.times;
        let at = times.occurred_at.unwrap_or(times.received_at);
        let pricing = match &judged {
            Some(authorization) => pricing_at(session, charge_point.site_id, authorization.plan_id, at).await?,
            None if !self.requested => pricing_at(session, charge_point.site_id, None, at).await?,
            // The request's holds.
            None => None,
        };
        let known_outlet = outlet.is_some_and(|outlet| charge_point.has_outlet(outlet));
        let max_power_w = outlet.and_then(|outlet| {
            let evse = charge_point.evses.iter().find(|evse| evse.evse_id == outlet.evse_id)?;
            evse.connectors.iter().find(|connector| connector.connector_id == outlet.connector_id)?.max_power_w
        });
        let flags = [
            (times.occurred_at.is_none(), Flag::NO_TRUSTED_TIME),
            (!known_outlet, Flag::UNKNOWN_OUTLET),
            (offline, Flag::OFFLINE),
            (verdict.status == AuthorizationStatus::Invalid, Flag::UNKNOWN_TOKEN),
            (verdict.status != AuthorizationStatus::Accepted, Flag::NOT_AUTHORIZED),
        ];
        Ok(TransactionStarted {
            session_id: self.session_id,
            charge_point_id: self.link.charge_point_id,
            evse_id: outlet.map(|outlet| outlet.evse_id),
            connector_id: outlet.map(|outlet| outlet.connector_id),
            transaction_id: TransactionId(self.transaction_id.to_string()),
            started_at: times.occurred_at,
            received_at: times.received_at,
            meter_start_wh,
            content_hash: Some(self.hash.clone()),
            max_power_w,
            token_id: self.token_id,
            driver_id: judged.as_ref().and_then(|authorization| authorization.driver_id),
            authorization: judged,
            pricing,
            remote_start_id: None,
            seq_no: None,
            trigger_reason: Some(if self.requested { TriggerReason::REMOTE_START } else { TriggerReason::AUTHORIZED }),
            charging_state: None,
            offline,
            reservation_id: reservation_id.filter(|id| *id > 0),
            limits: Limits::default(),
            continues_session_id: None,
            flags: flags.into_iter().filter(|(holds, _)| *holds).map(|(_, flag)| flag).collect(),
        })
    }

    fn answer(&self, scope: &str, started: &Started) -> Result<CommandKey, Error> {
        let Verdict { status, group, expires_at } = started.verdict.clone();
        let answer =
            Answer { transaction_id: self.transaction_id, session_id: self.session_id, status, group, expires_at };
        Ok(CommandKey {
            scope: scope.to_owned(),
            key: self.hash.clone(),
            body_hash: [0; 32],
            answer: serde_json::to_value(answer).map_err(Error::unavailable)?,
            expires_at: None,
        })
    }
}
