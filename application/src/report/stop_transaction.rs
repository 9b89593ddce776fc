use std::sync::Arc;

use domain::charge_point::{ChargePoint, Limits};
use domain::id::{SessionId, TokenId, TransactionId};
use domain::session::{
    ChargingSession, RecordedReading, RecordedReadings, SessionCommand, TransactionEnd, TransactionEnded,
    TransactionStarted,
};
use domain::station_command::StationCommandCommand;
use domain::word::{Flag, StopReason};
use event_store::{Appended, CommandKey, Session};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::authorize::Verdict;
use super::readings::recorded;
use super::{Circumstances, Link, content_hash};
use crate::Error;
use crate::authorize::judge;
use crate::settle::{advance, release};
use crate::work::{Work, decide};

/// StopTransaction of OCPP 1.6.
#[derive(Debug, Clone)]
pub struct StopTransaction {
    /// As the charger gives it: also 0, negative, or one that nobody knows.
    pub transaction_id: i64,
    pub id_tag: Option<String>,
    pub meter_stop_wh: Option<Decimal>,
    /// 1.6's word.
    pub reason: Option<String>,
    pub readings: Vec<RecordedReading>,
}

/// As it is kept under the transaction's key.
#[derive(Serialize, Deserialize)]
struct Answer {
    verdict: Option<AnsweredVerdict>,
}

#[derive(Serialize, Deserialize)]
struct AnsweredVerdict {
    status: domain::charge_point::AuthorizationStatus,
    group: Option<String>,
    expires_at: Option<chrono::DateTime<chrono::Utc>>,
}

impl Link {
    /// A transaction has ended. The same again gets the first answer and counts once; what was never begun is recorded
    /// as a session of its own, for people to look at.
    pub async fn stop_transaction(
        &self,
        circumstances: &Circumstances,
        stop: StopTransaction,
    ) -> Result<Option<Verdict>, Error> {
        let transaction_id = TransactionId(stop.transaction_id.to_string());
        let known = self.app.transactions().find(self.charge_point_id, &transaction_id).await?;
        let known = known.filter(|_| stop.transaction_id > 0);
        let key = match known {
            Some(_) => transaction_id.0.clone(),
            // Many offline transactions may be called -1.
            None => {
                let meter = stop.meter_stop_wh.map_or_else(String::new, |wh| wh.normalize().to_string());
                let timestamp = circumstances.times.device_at.as_deref().unwrap_or_default();
                content_hash([transaction_id.0.as_str(), timestamp, &meter])
            }
        };
        let scope = format!("stop:{}", self.charge_point_id);
        if let Some(before) = self.app.store().lookup(&scope, &key).await? {
            return answered(before.answer);
        }
        let session_id = known.unwrap_or_else(SessionId::generate);
        let token_id = match &stop.id_tag {
            Some(tag) => Some(self.app.tokens().find_or_make(self.tenant_id, tag).await?),
            None => None,
        };
        let readings = recorded(circumstances, Some(&transaction_id), None, stop.readings.clone());
        let envelope = self.correlated(circumstances, session_id.0);
        let work = End {
            link: self.clone(),
            session_id,
            transaction_id,
            token_id,
            circumstances: circumstances.clone(),
            stop: StopTransaction { readings: vec![], ..stop },
            readings,
            scope,
            key,
        };
        match self.app.work(&envelope, Arc::new(work)).await? {
            (_, Some(Appended::Replayed { answer, .. })) => answered(answer),
            (verdict, _) => Ok(verdict),
        }
    }
}

fn answered(answer: serde_json::Value) -> Result<Option<Verdict>, Error> {
    let answer: Answer = serde_json::from_value(answer).map_err(Error::unavailable)?;
    Ok(answer.verdict.map(|AnsweredVerdict { status, group, expires_at }| Verdict { status, group, expires_at }))
}

struct End {
    link: Link,
    session_id: SessionId,
    transaction_id: TransactionId,
    token_id: Option<TokenId>,
    circumstances: Circumstances,
    stop: StopTransaction,
    readings: Vec<RecordedReadings>,
    scope: String,
    key: String,
}

impl Work for End {
    type Output = Option<Verdict>;

    async fn run(&self, session: &mut Session) -> Result<Option<Verdict>, Error> {
        let id = self.link.charge_point_id;
        let times = &self.circumstances.times;
        if session.load::<ChargingSession>(self.session_id).await?.transaction_id.is_none() {
            self.begin_unseen(session).await?;
        }
        let verdict = self.verdict(session).await?;
        let ended = TransactionEnded {
            stopped_at: times.occurred_at,
            received_at: times.received_at,
            meter_stop_wh: self.stop.meter_stop_wh,
            stop_reason: StopReason::from_v16(self.stop.reason.as_deref()),
            token_id: self.token_id,
            seq_no: None,
            flags: times.occurred_at.is_none().then_some(Flag::NO_TRUSTED_TIME).into_iter().collect(),
        };
        let stop_command = session.load::<ChargingSession>(self.session_id).await?.stop_command_id;
        let end = TransactionEnd { ended, readings: self.readings.clone() };
        decide::<ChargingSession>(session, self.session_id, id, SessionCommand::EndTransaction(end)).await?;
        release(session, id, self.session_id).await?;
        if let Some(command_id) = stop_command {
            advance(session, id, command_id, StationCommandCommand::Done).await?;
        }
        self.link.guard(session);
        let kept =
            verdict.clone().map(|Verdict { status, group, expires_at }| AnsweredVerdict { status, group, expires_at });
        session.key(CommandKey {
            scope: self.scope.clone(),
            key: self.key.clone(),
            body_hash: [0; 32],
            answer: serde_json::to_value(Answer { verdict: kept }).map_err(Error::unavailable)?,
            expires_at: None,
        });
        Ok(verdict)
    }
}

impl End {
    /// What the charger is told of the token that stopped it, where one was shown. The session's own one-off tag is good.
    async fn verdict(&self, session: &mut Session) -> Result<Option<Verdict>, Error> {
        let Some(token_id) = self.token_id else {
            return Ok(None);
        };
        let state = session.load::<ChargingSession>(self.session_id).await?;
        let group = state.group.clone();
        let own = match (&state.remote_tag, &self.stop.id_tag) {
            (Some(remote), Some(tag)) => remote.eq_ignore_ascii_case(tag),
            _ => false,
        };
        if own {
            let status = domain::charge_point::AuthorizationStatus::Accepted;
            return Ok(Some(Verdict { status, group, expires_at: None }));
        }
        let judged = judge(session, token_id, None, self.circumstances.times.received_at).await?;
        Ok(Some(Verdict::from(&judged)))
    }

    /// Only the stop ever arrived: the session is known by it alone.
    async fn begin_unseen(&self, session: &mut Session) -> Result<(), Error> {
        let times = &self.circumstances.times;
        let judged = match self.token_id {
            Some(token_id) => Some(judge(session, token_id, None, times.received_at).await?),
            None => None,
        };
        let started = TransactionStarted {
            session_id: self.session_id,
            charge_point_id: self.link.charge_point_id,
            evse_id: None,
            connector_id: None,
            transaction_id: self.transaction_id.clone(),
            started_at: None,
            received_at: times.received_at,
            meter_start_wh: None,
            content_hash: None,
            max_power_w: None,
            token_id: self.token_id,
            driver_id: judged.as_ref().and_then(|authorization| authorization.driver_id),
            authorization: judged,
            pricing: None,
            remote_start_id: None,
            seq_no: None,
            trigger_reason: None,
            charging_state: None,
            offline: true,
            reservation_id: None,
            limits: Limits::default(),
            continues_session_id: None,
            flags: vec![Flag::START_MISSING, Flag::NO_TRUSTED_TIME, Flag::UNKNOWN_OUTLET],
        };
        // The charger must be one that is known; everything else is recorded as it came.
        session.load::<ChargePoint>(self.link.charge_point_id).await?;
        let command = SessionCommand::StartTransaction(Box::new(started));
        decide::<ChargingSession>(session, self.session_id, self.link.charge_point_id, command).await?;
        Ok(())
    }
}
