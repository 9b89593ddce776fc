//! What a connection puts out. It is queued here, and written when the client takes it.

use super::Connection;
use crate::hub::Signal;
use crate::socket::say;

/// Taken from the inbox before anything is written; more stays there, where it can still be replaced by newer state.
const MAIL_BYTES_AT_ONCE: usize = 64 * 1024;

impl Connection {
    /// Puts out what waits, up to a measure: each of a topic's resources in its newest state, and only that.
    pub(super) fn take_mail(&mut self) {
        let Some(viewer) = self.viewer() else { return };
        let complete = self.shard.complete();
        let mut bytes = 0;
        let mut sent: u64 = 0;
        let wire = self.ws.get_mut();
        for subscription in &self.subscriptions {
            loop {
                if bytes > MAIL_BYTES_AT_ONCE {
                    // The rest when this is written.
                    self.signal = self.signal.and(Signal::MAIL);
                    metrics::counter!("coulomb_realtime_messages_sent_total").increment(sent);
                    return;
                }
                let delivery = self.mailbox.inbox().take(subscription.id, complete);
                let Some(delivery) = delivery else { break };
                let name = (&*subscription.name, subscription.topic);
                let (before, body) = say::change(name, &delivery.update, delivery.upto, viewer);
                bytes += before.len() + body.len();
                sent += 1;
                wire.queue(&before, body, say::CHANGE_END);
            }
        }
        metrics::counter!("coulomb_realtime_messages_sent_total").increment(sent);
    }

    /// Nothing may follow a close frame.
    pub(in crate::socket) fn say(&mut self, text: Vec<u8>) {
        if self.clock.is_closing() {
            return;
        }
        metrics::counter!("coulomb_realtime_messages_sent_total").increment(1);
        self.ws.get_mut().queue_text(text);
    }

    /// Puts out a change that belongs to the beginning of a subscription.
    pub(in crate::socket) fn say_change(&mut self, before: &[u8], body: bytes::Bytes) {
        if self.clock.is_closing() {
            return;
        }
        metrics::counter!("coulomb_realtime_messages_sent_total").increment(1);
        self.ws.get_mut().queue(before, body, say::CHANGE_END);
    }

    /// Something may wait for a subscription that has just begun to be sent.
    pub(in crate::socket) fn look_for_mail(&mut self) {
        self.signal = self.signal.and(Signal::MAIL);
    }
}
