//! Connection state recovery: what a client lacks of what its broken session has written.
//!
//! Each event has an offset behind its argument: the number of the next one. A client that comes back says
//! the last that it has; what was written behind it is lost, and is written again by a session that goes on
//! at the same positions. Nothing is recovered that would not be exact.

use std::collections::{HashMap, HashSet, VecDeque};

use uuid::Uuid;

use crate::domain::{ChatId, Message, Seq, UserId};
use crate::protocol::{CHATS_NAMED, ChatState, Used};

/// The most events that are remembered of a session.
const REMEMBERED: usize = 1024;

/// Event of a session that cannot be told from the client's state alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Message(ChatId, Seq),
    /// Kept nowhere: a service's event, a new chat.
    Other,
}

/// Events of a session that its client may not have yet.
#[derive(Debug)]
pub struct Log {
    events: VecDeque<Written>,
    /// The number of the first of them.
    first: u64,
    /// The number of the next event at the ping that is unanswered.
    pinged: Option<u64>,
    /// There was none before the first.
    is_whole: bool,
}

impl Default for Log {
    /// Numbers begin anywhere, so that one of another session is not taken for one of this.
    fn default() -> Self {
        let first = u64::from(Uuid::new_v4().as_fields().0) << 8;
        Self { events: VecDeque::new(), first, pinged: None, is_whole: true }
    }
}

impl Log {
    /// Number of the next event: the offset of who has all before it.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    pub fn add(&mut self, event: Written) {
        if self.events.len() >= REMEMBERED {
            self.forget(1);
        }
        self.events.push_back(event);
    }

    /// A ping was written.
    pub fn pinged(&mut self) {
        self.pinged.get_or_insert(self.offset());
    }

    /// The client has answered the ping, so it has what was written before.
    pub fn ponged(&mut self) {
        if let Some(pinged) = self.pinged.take() {
            self.forget(usize::try_from(pinged.saturating_sub(self.first)).unwrap_or(usize::MAX));
        }
    }

    fn forget(&mut self, events: usize) {
        let events = events.min(self.events.len());
        self.is_whole &= events == 0;
        self.first += events as u64;
        self.events.drain(..events);
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
    }

    /// Events that a client with this offset lacks; `None` if they are not known any more.
    fn lost(&self, offset: Option<u64>) -> Option<impl Iterator<Item = Written>> {
        let known = offset.and_then(|offset| offset.checked_sub(self.first));
        let known = known.and_then(|known| usize::try_from(known).ok());
        let known = match known.filter(|known| *known <= self.events.len()) {
            Some(known) => known,
            // It has the answer to CONNECT, and no event behind that.
            None if self.is_whole => 0,
            None => return None,
        };
        Some(self.events.iter().skip(known).copied())
    }
}

/// State of a broken session.
#[derive(Debug)]
pub struct Kept {
    pub user: UserId,
    /// The last `seq` written of each chat that it was in.
    pub positions: Box<[(ChatId, Seq)]>,
    pub log: Log,
    /// Events that the client has sent of those after which others have its own names.
    pub used: Used,
}

impl Kept {
    /// The way on for a client that has the events before an offset; `None` if it lacks something that
    /// cannot be written again.
    #[must_use]
    pub fn way_on(self, offset: Option<&str>) -> Option<WayOn> {
        let Self { user, positions, log, used } = self;
        if positions.len() > CHATS_NAMED {
            return None;
        }
        let mut positions: HashMap<ChatId, Seq> = positions.into_iter().collect();
        let mut lost: HashMap<ChatId, Lost> = HashMap::new();
        for event in log.lost(offset.and_then(|offset| offset.parse().ok()))? {
            let Written::Message(chat, seq) = event else { return None };
            let position = positions.get_mut(&chat)?;
            let lost = lost.entry(chat).or_insert_with(|| Lost {
                last: std::mem::replace(position, Seq(seq.0 - 1)),
                messages: HashSet::new(),
            });
            // A chat that was entered again has some of its messages twice.
            *position = (*position).min(Seq(seq.0 - 1));
            lost.messages.insert(seq);
        }
        Some(WayOn { user, positions, lost, used })
    }
}

/// Messages of a chat that were written and lost.
#[derive(Debug)]
struct Lost {
    /// The last one that was written, whether lost or not.
    last: Seq,
    messages: HashSet<Seq>,
}

/// A session's positions, as its client has them, and what is to be written again.
#[derive(Debug)]
pub struct WayOn {
    user: UserId,
    positions: HashMap<ChatId, Seq>,
    lost: HashMap<ChatId, Lost>,
    pub used: Used,
}

impl WayOn {
    /// The chats, and the last `seq` in each.
    pub fn positions(&self) -> impl Iterator<Item = (ChatId, Seq)> {
        self.positions.iter().map(|(chat, seq)| (*chat, *seq))
    }

    /// True if a session that begins with these chats goes on where the broken one was.
    #[must_use]
    pub fn is_exact(&self, user: UserId, chats: &[ChatState]) -> bool {
        let goes_on = |chat: &ChatState| {
            self.positions.contains_key(&chat.id)
                && chat.replay.as_ref().is_some_and(|replay| !replay.truncated && !replay.reset)
        };
        self.user == user && chats.len() == self.positions.len() && chats.iter().all(goes_on)
    }

    /// True if the client lacks a message. Between those that are lost there are others: what it has, and
    /// what it has sent itself.
    pub fn lacks(&mut self, message: &Message) -> bool {
        let Some(lost) = self.lost.get(&message.chat_id) else { return true };
        let is_lacked = message.seq > lost.last || lost.messages.contains(&message.seq);
        if message.seq >= lost.last {
            self.lost.remove(&message.chat_id);
        }
        is_lacked
    }

    /// True once all that was lost is written again. Before, positions do not say what the client has.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.lost.is_empty()
    }
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
