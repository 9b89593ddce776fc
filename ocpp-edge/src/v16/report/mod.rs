//! From a charger's call to what is recorded of it, and the answer: one file for each message that means something.
//!
//! The answer is made after the commit, never before. What can't be understood is acknowledged where the protocol allows it and
//! kept for people to look at, since chargers repeat what is refused, some for ever.
//!
//! While the log can't be reached, a call waits. When that takes too long: Authorize and the notifications get a CALLERROR
//! (`InternalError`), since a driver waits and nobody repeats them. StartTransaction, StopTransaction and MeterValues get no
//! answer at all and the connection is closed: a CALLERROR counts as an attempt, after a few of which chargers discard the
//! message, or stall at a StopTransaction (steve#156, OpenEVSE#756); what was sent into a connection that broke stays in the
//! charger's queue. What can't be recorded because something recorded can't be read is different: a new connection would not
//! help, so each gets its `InternalError`, and is kept for people to look at where that can be done.

mod authorize;
mod boot_notification;
mod meter_values;
mod notices;
mod start_transaction;
mod status_notification;
mod stop_transaction;
mod verdict;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use application::Error;
use application::report::{Circumstances, Link, Notice};
use chrono::{DateTime, Utc};
use domain::clock::Delivery;
use serde::Serialize;

use super::Action;
use super::from_charger::{Acknowledged, HeartbeatResponse, Request, StopTransactionResponse};
use crate::connection::{ReportClock, Timed};
use crate::edge::Edge;
use crate::frame::{self, Call, ErrorCode, Fault, MessageId, write};
use crate::lenient::{DeviceTime, Parsed};
use crate::persist::{Failure, causes, persist};

/// What has become of a call, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Answered,
    /// With a CALLERROR: it could not be acted on.
    Refused,
    /// Acknowledged, or not, and kept for people to look at.
    Quarantined,
    /// With a CALLERROR: the log could not be reached.
    Unavailable,
    /// With a CALLERROR: what is recorded of the charger can't be read.
    Unreadable,
}

impl Outcome {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Quarantined => "quarantined",
            Self::Unavailable => "unavailable",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The frame to send, and what it stands for.
pub struct Reply {
    pub frame: String,
    pub outcome: Outcome,
}

/// Why there is no reply: the connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReply {
    Fenced,
    Unavailable,
}

/// The report of one call.
pub struct Reporter<'c> {
    pub edge: &'c Edge,
    pub link: &'c Link,
    pub clock: &'c mut ReportClock,
    /// A hash of what was last quarantined on this connection: a charger that repeats it adds nothing.
    pub quarantined: &'c mut Option<u64>,
    pub received_at: DateTime<Utc>,
    pub trace_id: String,
}

impl Reporter<'_> {
    /// Records what a call reports, and answers it.
    pub async fn call(&mut self, call: &Call<'_>) -> Result<Reply, NoReply> {
        let Parsed { message, deviations } = match Request::parse(&call.action, call.payload) {
            Ok(parsed) => parsed,
            Err(error) => {
                let frame = write::error(call.id, error.code(), &error.to_string());
                if error.code() == ErrorCode::NotImplemented || error.code() == ErrorCode::NotSupported {
                    return Ok(Reply { frame, outcome: Outcome::Refused });
                }
                let payload = call.payload.raw().get();
                self.quarantine(&call.action, payload, &error.to_string()).await?;
                return Ok(Reply { frame, outcome: Outcome::Quarantined });
            }
        };
        for deviation in deviations.iter() {
            metrics::counter!("coulomb_ocpp_edge_deviations_total").increment(1);
            tracing::debug!(%deviation, "tolerated");
        }
        match self.record(call, message).await {
            Ok(frame) => Ok(Reply { frame, outcome: Outcome::Answered }),
            Err(Failure::Fenced) => Err(NoReply::Fenced),
            Err(Failure::Unavailable(error)) => self.unavailable(call, &error),
            Err(Failure::Refused(error)) => self.unrecordable(call, &error).await,
            Err(Failure::Unreadable(error)) => self.unreadable(call, &error).await,
        }
    }

    async fn record(&mut self, call: &Call<'_>, message: Request<'_>) -> Result<String, Failure> {
        match message {
            Request::Heartbeat(_) => Ok(reply(call.id, &HeartbeatResponse { current_time: Utc::now() })),
            Request::MeterValues(values) => self.meter_values(values).await.map(|answer| reply(call.id, &answer)),
            Request::StatusNotification(status) => {
                self.status_notification(status).await.map(|answer| reply(call.id, &answer))
            }
            Request::Authorize(authorize) => self.authorize(authorize).await.map(|answer| reply(call.id, &answer)),
            Request::StartTransaction(start) => {
                self.start_transaction(start).await.map(|answer| reply(call.id, &answer))
            }
            Request::StopTransaction(stop) => {
                self.stop_transaction(stop, call.payload).await.map(|answer| reply(call.id, &answer))
            }
            Request::BootNotification(boot) => self.boot(boot).await.map(|answer| reply(call.id, &answer)),
            Request::DataTransfer(data) => self.data_transfer(data).await.map(|answer| reply(call.id, &answer)),
            Request::FirmwareStatusNotification(firmware) => {
                self.firmware_status(firmware).await.map(|answer| reply(call.id, &answer))
            }
            Request::DiagnosticsStatusNotification(diagnostics) => {
                self.diagnostics_status(diagnostics).await.map(|answer| reply(call.id, &answer))
            }
        }
    }

    /// A text that is no message of OCPP. None: it can't be answered, and is dropped.
    pub async fn broken(&mut self, error: &frame::Error<'_>, text: &str) -> Result<Option<Reply>, NoReply> {
        let Some((id, code)) = error.reply() else { return Ok(None) };
        let action = error.action.as_deref().and_then(Action::find).map(|action| action.name);
        let is_json = !matches!(error.fault, Fault::NotJson(_));
        match action {
            Some(name @ ("StartTransaction" | "StopTransaction" | "MeterValues")) if !is_json => {
                let kept = self.quarantine(name, text, &error.to_string()).await?;
                let frame = match acknowledgement(name, id).filter(|_| kept) {
                    Some(frame) => frame,
                    None => write::error(id, code, &error.to_string()),
                };
                Ok(Some(Reply { frame, outcome: Outcome::Quarantined }))
            }
            _ => Ok(Some(Reply { frame: write::error(id, code, &error.to_string()), outcome: Outcome::Refused })),
        }
    }

    fn unavailable(&self, call: &Call<'_>, error: &Error) -> Result<Reply, NoReply> {
        tracing::error!(error = causes(error), "a report could not be recorded");
        match Action::find(&call.action).map(|action| action.name) {
            Some("StartTransaction" | "StopTransaction" | "MeterValues") => Err(NoReply::Unavailable),
            _ => {
                let frame = write::error(call.id, ErrorCode::InternalError, "It can't be recorded now. Try again.");
                Ok(Reply { frame, outcome: Outcome::Unavailable })
            }
        }
    }

    /// What this would change can't be read. It is kept where that can be done, and not acknowledged: the charger may bring
    /// it again once that is mended. The connection stays, since on the next one it would be the same.
    async fn unreadable(&mut self, call: &Call<'_>, error: &Error) -> Result<Reply, NoReply> {
        let why = causes(error);
        tracing::error!(error = why, "a report could not be recorded: what it belongs to can't be read");
        self.quarantine(&call.action, call.payload.raw().get(), &why).await?;
        let frame = write::error(call.id, ErrorCode::InternalError, "It can't be recorded until this is mended here.");
        Ok(Reply { frame, outcome: Outcome::Unreadable })
    }

    /// Reports are never refused, but one may not fit into an event.
    async fn unrecordable(&mut self, call: &Call<'_>, error: &Error) -> Result<Reply, NoReply> {
        tracing::warn!(%error, "a report was quarantined");
        let kept = self.quarantine(&call.action, call.payload.raw().get(), &error.to_string()).await?;
        let name = Action::find(&call.action).map_or("", |action| action.name);
        let frame = acknowledgement(name, call.id)
            .filter(|_| kept)
            .unwrap_or_else(|| write::error(call.id, ErrorCode::InternalError, "It can't be recorded."));
        Ok(Reply { frame, outcome: Outcome::Quarantined })
    }

    /// Keeps what could not be understood. False: it may be kept later, and should come again.
    async fn quarantine(&mut self, action: &str, payload: &str, why: &str) -> Result<bool, NoReply> {
        const LOST: &str = "what could not be understood could not be kept";
        let kept = self.try_quarantine(action, payload, why).await;
        match kept {
            Ok(()) => Ok(true),
            Err(Failure::Fenced) => Err(NoReply::Fenced),
            Err(Failure::Unavailable(error)) => {
                tracing::error!(error = causes(&error), "{LOST}");
                Err(NoReply::Unavailable)
            }
            Err(Failure::Unreadable(error)) => {
                tracing::error!(error = causes(&error), "{LOST}");
                Ok(false)
            }
            // To bring it again would change nothing.
            Err(Failure::Refused(error)) => {
                tracing::error!(error = causes(&error), "{LOST}");
                Ok(true)
            }
        }
    }

    async fn try_quarantine(&mut self, action: &str, payload: &str, why: &str) -> Result<(), Failure> {
        let mut hasher = DefaultHasher::new();
        (action, payload).hash(&mut hasher);
        let hash = Some(hasher.finish());
        if *self.quarantined == hash {
            return Ok(());
        }
        metrics::counter!("coulomb_ocpp_edge_quarantined_total").increment(1);
        let notice =
            Notice::Quarantined { action: action.to_owned(), payload: payload.to_owned(), why: why.to_owned() };
        self.notice(notice).await?;
        *self.quarantined = hash;
        Ok(())
    }

    async fn notice(&mut self, notice: Notice) -> Result<(), Failure> {
        let circumstances = self.circumstances(self.now().times);
        persist(self.retry_for(), || self.link.notice(&circumstances, notice.clone())).await
    }

    fn retry_for(&self) -> Duration {
        self.edge.config.limits.report_retry_for
    }

    /// The times of a message that has none of its own.
    fn now(&self) -> Timed {
        let times = domain::envelope::ReportTimes {
            received_at: self.received_at,
            device_at: None,
            occurred_at: Some(self.received_at),
            source: domain::envelope::TimeSource::Received,
        };
        Timed { times, delivery: Delivery::Live }
    }

    fn time(&mut self, device_at: Option<&DeviceTime<'_>>) -> Timed {
        self.clock.time(device_at.map(|time| time.text.as_ref()), self.received_at)
    }

    fn circumstances(&self, times: domain::envelope::ReportTimes) -> Circumstances {
        Circumstances { times, trace_id: Some(self.trace_id.clone()) }
    }
}

fn reply(id: MessageId<'_>, answer: &impl Serialize) -> String {
    write::result(id, answer).expect("answers are structs of texts, numbers and words, which always serialise")
}

/// The acknowledgement that can be given without having understood. A StartTransaction's would have to name a transaction.
fn acknowledgement(action: &str, id: MessageId<'_>) -> Option<String> {
    match action {
        "StopTransaction" => Some(reply(id, &StopTransactionResponse::default())),
        "MeterValues" | "StatusNotification" | "FirmwareStatusNotification" | "DiagnosticsStatusNotification" => {
            Some(reply(id, &Acknowledged {}))
        }
        _ => None,
    }
}
