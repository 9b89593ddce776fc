//! Fewer writes: a socket is called for mail at once when it was quiet, and otherwise at the end of the span, so that what
//! gathers in between goes out in one write.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::mailbox::{Mailbox, Signal};

/// What comes for one socket within this after a call is sent together.
pub const SPAN: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub struct Pacer {
    began: Instant,
    /// Called in the present span already, and to be called again at its end.
    later: Vec<Arc<Mailbox>>,
}

impl Pacer {
    pub fn new() -> Self {
        Self { began: Instant::now(), later: Vec::new() }
    }

    pub fn call(&mut self, mailbox: Arc<Mailbox>) {
        // From 1, since 0 stands for never.
        let span = (self.began.elapsed().as_millis() / SPAN.as_millis()) as u32 + 1;
        let last = mailbox.called_in.swap(span, Ordering::Relaxed);
        match last {
            last if last == WAITING => mailbox.called_in.store(WAITING, Ordering::Relaxed),
            last if last == span => {
                mailbox.called_in.store(WAITING, Ordering::Relaxed);
                self.later.push(mailbox);
            }
            _ => mailbox.call(Signal::MAIL),
        }
    }

    pub fn is_idle(&self) -> bool {
        self.later.is_empty()
    }

    /// The span is over.
    pub fn release(&mut self) {
        for mailbox in self.later.drain(..) {
            mailbox.called_in.store(0, Ordering::Relaxed);
            mailbox.call(Signal::MAIL);
        }
        self.later.shrink_to(1024);
    }
}

/// In `called_in`: it stands in `later`.
const WAITING: u32 = u32::MAX;
