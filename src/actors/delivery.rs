//! What goes from a room to its sessions: encoded once, shared by all, counted for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// What waits for one session, from all of its rooms together.
#[derive(Debug, Default)]
pub struct Meter {
    events: AtomicUsize,
    bytes: AtomicUsize,
}

impl Meter {
    /// Counts a delivery in; `false`, and not counted, where it would be more than may wait. A single
    /// delivery that is larger than the bound passes where nothing else waits.
    #[must_use]
    pub fn charge(&self, deliver: &Deliver, most_events: usize, most_bytes: usize) -> bool {
        let count = deliver.messages.len();
        let events = self.events.fetch_add(count, Ordering::Relaxed);
        let bytes = self.bytes.fetch_add(deliver.bytes, Ordering::Relaxed);
        let fits =
            events == 0 || (events + count <= most_events && bytes + deliver.bytes <= most_bytes);
        if !fits {
            self.release(deliver);
        }
        fits
    }

    /// Counts a delivery out.
    pub fn release(&self, deliver: &Deliver) {
        self.events.fetch_sub(deliver.messages.len(), Ordering::Relaxed);
        self.bytes.fetch_sub(deliver.bytes, Ordering::Relaxed);
    }
}
