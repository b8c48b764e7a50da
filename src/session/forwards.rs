//! Forwarded events under way.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::domain::{ChatId, Route};
use crate::protocol::RequestId;

/// Events of one session that wait for the database, the broker or an answer; one more is
/// `unavailable`.
const MOST_IN_FLIGHT: usize = 64;

/// A session's events for other services that are under way. They leave in the order in which they
/// came: those behind one whose chat is looked up wait for it.
#[derive(Default)]
pub struct Forwards {
    /// Checked, and not answered.
    pub sent: Vec<Sent>,
    pub waiting: VecDeque<WaitingForward>,
    /// The access of the first of `waiting` is asked for.
    pub asking: bool,
    pub last_number: u64,
}

/// An event on its way out.
pub struct WaitingForward {
    pub sent: Sent,
    pub chat: Option<ChatId>,
    /// The user's access to the chat is not known yet.
    pub unchecked: bool,
    pub fields: String,
}

/// The client's names of an event; the answer goes by them.
pub struct Sent {
    pub number: u64,
    pub route: Arc<Route>,
    pub request: Option<RequestId>,
}

impl Forwards {
    /// One more may be under way: there are not too many, and those that wait here are not too large
    /// together.
    #[must_use]
    pub fn have_room_for(&self, fields: &str, most_bytes: usize) -> bool {
        let waiting_bytes: usize = self.waiting.iter().map(|waiting| waiting.fields.len()).sum();
        self.sent.len() + self.waiting.len() < MOST_IN_FLIGHT
            && waiting_bytes + fields.len() <= most_bytes.saturating_mul(2)
    }
}
