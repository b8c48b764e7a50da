//! What goes from a room to its sessions: encoded once, shared by all, counted for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix::prelude::*;

use super::WsSession;
use crate::domain::{ChatId, Message, Receipt, Seq, Sequenced, SessionId, UserId};
use crate::protocol::{self, Frame};

/// A session as a room reaches it: one address, never cloned to send.
#[derive(Clone)]
pub struct Link {
    pub session: SessionId,
    pub addr: Addr<WsSession>,
    pub meter: Arc<Meter>,
}

/// Which request of which session a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub session: SessionId,
    pub nonce: u64,
}

/// A message in the log, ready to be written out.
#[derive(Debug, Clone)]
pub struct Posted {
    pub receipt: Receipt,
    pub author: UserId,
    pub client_id: Arc<str>,
    pub frame: Frame,
    /// Where it was sent here and lately; a message that was read from the log has none.
    pub origin: Option<Origin>,
}

impl Posted {
    #[must_use]
    pub fn new(message: &Message, origin: Option<Origin>) -> Self {
        Self {
            receipt: Receipt { id: message.id, seq: message.seq, created_at: message.created_at },
            author: message.author.id,
            client_id: message.client_id.as_str().into(),
            frame: protocol::receive_message(message),
            origin,
        }
    }
}

impl Sequenced for Posted {
    fn seq(&self) -> Seq {
        self.receipt.seq
    }
}

/// Messages of one chat, ascending, for a session in its room.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct Deliver {
    pub chat: ChatId,
    pub messages: Arc<[Posted]>,
    pub bytes: usize,
}

impl Deliver {
    #[must_use]
    pub fn new(chat: ChatId, messages: Vec<Posted>) -> Self {
        let bytes = messages.iter().map(|posted| posted.frame.len()).sum();
        Self { chat, messages: messages.into(), bytes }
    }
}

/// What another service says, for a session that it is meant for.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct Tell(pub Frame);

/// What waits for one session, from all of its rooms and from other services together.
#[derive(Debug, Default)]
pub struct Meter {
    events: AtomicUsize,
    bytes: AtomicUsize,
    given_up: AtomicBool,
}

/// Something that waits for a session, counted out when this is dropped.
#[derive(Debug)]
pub struct Charge {
    meter: Arc<Meter>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.meter.subtract(1, self.bytes);
    }
}

impl Meter {
    /// Counts a delivery in; `false`, and not counted, where it would be more than may wait. A single
    /// delivery that is larger than the bound passes where nothing else waits.
    #[must_use]
    pub fn charge(&self, deliver: &Deliver, most_events: usize, most_bytes: usize) -> bool {
        self.add(deliver.messages.len(), deliver.bytes, most_events, most_bytes)
    }

    /// Counts a delivery out.
    pub fn release(&self, deliver: &Deliver) {
        self.subtract(deliver.messages.len(), deliver.bytes);
    }

    /// As [`Meter::charge`], for another service's frame. For who is given up nothing is counted.
    #[must_use]
    pub fn charge_told(&self, frame: &Frame, most_events: usize, most_bytes: usize) -> bool {
        let is_given_up = self.given_up.load(Ordering::Relaxed);
        !is_given_up && self.add(1, frame.len(), most_events, most_bytes)
    }

    /// Counts another service's frame out.
    pub fn release_told(&self, frame: &Frame) {
        self.subtract(1, frame.len());
    }

    /// As [`Meter::charge_told`], for an answer to what the session asked; `None` where it does not fit.
    #[must_use]
    pub fn charge_answer(
        self: &Arc<Self>,
        bytes: usize,
        most_events: usize,
        most_bytes: usize,
    ) -> Option<Charge> {
        let is_given_up = self.given_up.load(Ordering::Relaxed);
        let fits = !is_given_up && self.add(1, bytes, most_events, most_bytes);
        fits.then(|| Charge { meter: Arc::clone(self), bytes })
    }

    /// Notes that the session is too slow; whether that is new.
    #[must_use]
    pub fn give_up(&self) -> bool {
        !self.given_up.swap(true, Ordering::Relaxed)
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        let [events, bytes] =
            [&self.events, &self.bytes].map(|count| count.load(Ordering::Relaxed));
        (events, bytes) == (0, 0)
    }

    fn add(&self, count: usize, size: usize, most_events: usize, most_bytes: usize) -> bool {
        let events = self.events.fetch_add(count, Ordering::Relaxed);
        let bytes = self.bytes.fetch_add(size, Ordering::Relaxed);
        let fits = events == 0 || (events + count <= most_events && bytes + size <= most_bytes);
        if !fits {
            self.subtract(count, size);
        }
        fits
    }

    fn subtract(&self, count: usize, size: usize) {
        self.events.fetch_sub(count, Ordering::Relaxed);
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }
}
