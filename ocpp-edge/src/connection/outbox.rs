//! Calls to a charger: one at a time, each with a deadline.

use std::collections::VecDeque;

use application::report::Requested;
use tokio::time::Instant;

use crate::v16::to_charger::Command;

/// A call that the charger has not answered yet.
#[derive(Debug)]
pub struct Outstanding {
    pub message_id: String,
    pub command: Command,
    pub deadline: Instant,
    /// Whose outcome it is; none of a question of the edge's own.
    pub requested: Option<Requested>,
}

#[derive(Debug)]
pub struct Outbox {
    /// Station commands in the order of their requests.
    waiting: VecDeque<Requested>,
    outstanding: Option<Outstanding>,
    /// Message ids begin with the epoch, so that no answer to an older connection's call is taken for one of this.
    epoch: i64,
    sent: u64,
}

impl Outbox {
    pub fn new(epoch: i64) -> Self {
        Self { waiting: VecDeque::new(), outstanding: None, epoch, sent: 0 }
    }

    /// Each waits once: what was open when the charger connected may come from the log, too.
    pub fn enqueue(&mut self, commands: impl IntoIterator<Item = Requested>) {
        for command in commands {
            if self.waiting.iter().all(|waiting| waiting.command_id != command.command_id) {
                self.waiting.push_back(command);
            }
        }
    }

    /// What may be sent now.
    pub fn next(&mut self) -> Option<Requested> {
        if self.outstanding.is_some() { None } else { self.waiting.pop_front() }
    }

    pub fn has_next(&self) -> bool {
        self.outstanding.is_none() && !self.waiting.is_empty()
    }

    /// Neither is anything under way nor waiting.
    pub fn is_idle(&self) -> bool {
        self.outstanding.is_none() && self.waiting.is_empty()
    }

    /// A command was sent whose outcome is not known yet.
    pub fn awaits_outcome(&self) -> bool {
        self.outstanding.as_ref().is_some_and(|outstanding| outstanding.requested.is_some())
    }

    pub fn message_id(&mut self) -> String {
        self.sent += 1;
        format!("{}-{}", self.epoch, self.sent)
    }

    pub fn sent(&mut self, outstanding: Outstanding) {
        self.outstanding = Some(outstanding);
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.outstanding.as_ref().map(|outstanding| outstanding.deadline)
    }

    /// The call that this answers.
    pub fn answered(&mut self, message_id: &str) -> Option<Outstanding> {
        self.outstanding.take_if(|outstanding| outstanding.message_id == message_id)
    }

    pub fn timed_out(&mut self, now: Instant) -> Option<Outstanding> {
        self.outstanding.take_if(|outstanding| outstanding.deadline <= now)
    }

    pub fn abandon(&mut self) -> Option<Outstanding> {
        self.outstanding.take()
    }
}

#[cfg(test)]
mod tests {
    use domain::id::CommandId;

    use super::*;
    use crate::v16::to_charger::ClearCache;

    #[test]
    fn one_call_at_a_time_and_only_its_own_answer_counts() {
        let requested = || Requested { command_id: CommandId::generate(), trace_id: None };
        let (first, second) = (requested(), requested());
        let mut outbox = Outbox::new(7);
        outbox.enqueue([first.clone(), second.clone(), first.clone()]);
        assert_eq!(outbox.next().as_ref(), Some(&first));
        let message_id = outbox.message_id();
        let deadline = Instant::now();
        let command = Command::ClearCache(ClearCache {});
        outbox.sent(Outstanding { message_id: message_id.clone(), command, deadline, requested: Some(first.clone()) });
        assert_eq!(outbox.next(), None);
        assert!(outbox.answered("6-1").is_none());
        assert_eq!(outbox.answered(&message_id).and_then(|outstanding| outstanding.requested), Some(first));
        assert!(outbox.answered(&message_id).is_none());
        assert_eq!(outbox.next(), Some(second));
        assert!(outbox.is_idle());
    }
}
