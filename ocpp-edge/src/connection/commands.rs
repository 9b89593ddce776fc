//! Station commands: recorded as sent, then sent, then their outcome recorded.

use application::report::{CommandAnswer, Requested};
use chrono::Utc;
use service_host::TraceId;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::outbox::Outstanding;
use super::{Connection, End, dropped};
use crate::frame::{CallError, CallResult, write};
use crate::persist::{Failure, causes, persist};
use crate::v16::to_charger::{Command, Verdict, record};

/// Of a charger's own words for an error, in characters.
const WORDS_MAX_CHARS: usize = 200;
const RECORDED_LATE: &str = "It took too long to record that it is sent, and it was not sent. Try again.";
pub(super) const LOST: &str = "The connection was lost before the charger answered.";

impl Connection {
    /// What an older connection left: requested and not sent is to be sent, sent and not answered has failed.
    pub(super) async fn take_up_commands(&mut self) -> Result<(), End> {
        let taken = tokio::select! {
            ending = self.mailbox.cut_off() => return Err(ending.into()),
            taken = persist(self.edge.config.limits.report_retry_for, || self.link.take_up_commands()) => taken,
        };
        match taken {
            Ok(open) => self.outbox.enqueue(open.unsent),
            Err(failure) => return self.unless_refused(failure),
        }
        Ok(())
    }

    /// Something waits, and nothing is under way. A charger that has just connected is first heard: it may want to boot.
    pub(super) fn may_send(&self) -> bool {
        let is_too_early =
            || self.is_unheard() && self.connected.elapsed() < self.edge.config.limits.first_message_wait;
        (self.outbox.has_next() || self.is_asking()) && !is_too_early()
    }

    pub(super) async fn send_next(&mut self) -> Result<(), End> {
        while let Some(command) = self.outbox.next() {
            self.send_command(command).await?;
        }
        self.ask_next().await
    }

    async fn send_command(&mut self, requested: Requested) -> Result<(), End> {
        let Requested { command_id, trace_id } = requested;
        // What nobody asked for in a trace begins one here.
        let trace_id = trace_id.unwrap_or_else(|| TraceId::random().to_string());
        let retry_for = self.edge.config.limits.report_retry_for;
        let link = self.link.traced(Some(trace_id.clone()));
        let sending = link.sending(command_id);
        let sent = persist(retry_for, || sending.record(Utc::now())).await;
        let to_send = match sent {
            Ok(Some(to_send)) => to_send,
            // Settled meanwhile, expired, or sent before.
            Ok(None) => return Ok(()),
            Err(failure) => return self.unless_refused(failure),
        };
        let requested = Requested { command_id, trace_id: Some(trace_id) };
        // That may take long, and is not to come between what is left of the time and the frame.
        self.woken().await?;
        let Some(answer_wait) = to_send.answer_wait(Utc::now()) else {
            return self.settle(requested, CommandAnswer::Failed { reason: RECORDED_LATE.to_owned() }).await;
        };
        let action = to_send.request.action.with_outlet(|outlet| self.link.numbers.number_of(outlet));
        let command = match Command::try_from(&action) {
            Ok(command) => command,
            Err(error) => {
                let reason = format!("It can't be said in the charger's version of OCPP: {error}.");
                return self.settle(requested, CommandAnswer::Failed { reason }).await;
            }
        };
        tracing::info!(
            charger = self.identity.as_str(),
            command = %command_id,
            action = command.action(),
            trace_id = requested.trace_id,
            "sending a command"
        );
        self.send_call(command, Some(requested), Instant::now() + answer_wait).await
    }

    pub(super) async fn send_call(
        &mut self,
        command: Command,
        requested: Option<Requested>,
        deadline: Instant,
    ) -> Result<(), End> {
        let message_id = self.outbox.message_id();
        let frame = write::call(&message_id, command.action(), &command)
            .expect("commands are structs of texts, numbers and words, which always serialise");
        self.outbox.sent(Outstanding { message_id, command, deadline, requested });
        self.send(Message::text(frame)).await
    }

    pub(super) async fn answered(&mut self, result: &CallResult<'_>) -> Result<(), End> {
        let Some(Outstanding { command, requested, .. }) = self.outbox.answered(&result.id.text()) else {
            dropped("unknown_answer");
            return Ok(());
        };
        let answer = command.read_answer(result.payload);
        let Some(requested) = requested else {
            if matches!(answer.verdict, Verdict::Rejected { .. }) {
                self.refused_to_be_asked();
            }
            return Ok(());
        };
        let record = record(&command, result.payload);
        let outcome = match answer.verdict {
            Verdict::Accepted | Verdict::Scheduled | Verdict::RebootRequired => CommandAnswer::Accepted(record),
            Verdict::Rejected { word } => CommandAnswer::Rejected { answer: record, reason: word.into_owned() },
            // Nobody knows what it will do. If it does start or stop after all, its report says so.
            Verdict::Unclear { word } => CommandAnswer::Failed {
                reason: match word {
                    Some(word) => format!("The charger's answer is none of OCPP's: {}.", cut(&word)),
                    None => "The charger's answer says nothing.".to_owned(),
                },
            },
        };
        self.settle(requested, outcome).await
    }

    pub(super) async fn answered_by_error(&mut self, error: &CallError<'_>) -> Result<(), End> {
        let Some(Outstanding { requested, .. }) = self.outbox.answered(&error.id.text()) else {
            dropped("unknown_answer");
            return Ok(());
        };
        let Some(requested) = requested else {
            self.refused_to_be_asked();
            return Ok(());
        };
        let words = [&error.code, &error.description].into_iter().filter(|words| !words.is_empty());
        let words = words.map(|words| cut(words)).collect::<Vec<_>>().join(": ");
        let reason = format!("The charger answered with an error: {words}.");
        self.settle(requested, CommandAnswer::Failed { reason }).await
    }

    pub(super) async fn time_out_command(&mut self, now: Instant) -> Result<(), End> {
        match self.outbox.timed_out(now) {
            Some(Outstanding { requested: Some(requested), .. }) => {
                self.settle(requested, CommandAnswer::TimedOut).await
            }
            Some(Outstanding { requested: None, .. }) => {
                self.refused_to_be_asked();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// At the end of the connection: the command that was not answered.
    pub(super) fn abandon_command(&mut self) -> Option<Requested> {
        let outstanding = self.outbox.abandon()?;
        if outstanding.requested.is_none() {
            // There are chargers that hang up on what they don't know.
            self.refused_to_be_asked();
        }
        outstanding.requested
    }

    async fn settle(&mut self, requested: Requested, answer: CommandAnswer) -> Result<(), End> {
        let Requested { command_id, trace_id } = requested;
        let outcome = match &answer {
            CommandAnswer::Accepted(_) => "accepted",
            CommandAnswer::Rejected { .. } => "rejected",
            CommandAnswer::Failed { .. } => "failed",
            CommandAnswer::TimedOut => "timed_out",
        };
        metrics::counter!("coulomb_ocpp_edge_commands_total", "outcome" => outcome).increment(1);
        let charger = self.identity.as_str();
        tracing::debug!(charger, command = %command_id, outcome, trace_id, "a command has its outcome");
        let retry_for = self.edge.config.limits.report_retry_for;
        let link = self.link.traced(trace_id);
        match persist(retry_for, || link.command_answered(command_id, answer.clone())).await {
            Ok(()) => Ok(()),
            Err(failure) => self.unless_refused(failure),
        }
    }

    fn unless_refused(&self, failure: Failure) -> Result<(), End> {
        match failure {
            Failure::Fenced => Err(End::Superseded),
            Failure::Unavailable(error) => {
                let error = causes(&error);
                tracing::error!(charger = self.identity.as_str(), error, "a command's state could not be recorded");
                Err(End::Unavailable)
            }
            // To come back would not help; the charger itself can be served.
            Failure::Unreadable(error) => {
                let error = causes(&error);
                tracing::error!(charger = self.identity.as_str(), error, "a command's state can't be read");
                Ok(())
            }
            Failure::Refused(error) => {
                tracing::error!(charger = self.identity.as_str(), %error, "a command's state was refused");
                Ok(())
            }
        }
    }
}

fn cut(words: &str) -> String {
    words.chars().take(WORDS_MAX_CHARS).collect()
}
