//! Stream positions: a session's last `seq` in each of its chats, and the gaps to read.

use std::collections::{HashMap, VecDeque};

use super::{ChatId, Seq};

/// Plan of a replay, computed beforehand since `seq` has no gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    pub replayed: i64,
    pub replayed_to: Seq,
    /// The gap exceeds the replay's limit; the live stream does not begin.
    pub truncated: bool,
    /// The client is ahead of the log: it discards its copy.
    pub reset: bool,
}

impl Replay {
    /// Plans the replay of a chat that ends at `head` to a client that has seen `after`.
    #[must_use]
    pub fn plan(head: Seq, after: Option<Seq>, limit: i64) -> Self {
        let after = after.unwrap_or(head);
        let missing = after.until(head);
        let replayed = missing.min(limit);
        let reset = after > head;
        let from = if reset { head } else { after };
        Self { replayed, replayed_to: Seq(from.0 + replayed), truncated: missing > limit, reset }
    }

    /// The `seq` after which the stream goes on.
    #[must_use]
    pub fn begins_after(&self) -> Seq {
        Seq(self.replayed_to.0 - self.replayed)
    }
}

/// A page to be read for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    pub chat_id: ChatId,
    pub after: Seq,
    pub up_to: Seq,
}

/// Handling of a live message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {
    /// It is the next one.
    Deliver,
    /// Others come first; a page brings it again.
    Defer,
    /// It was written, or the stream is not live.
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Live messages are written as they arrive.
    Live,
    /// Live messages are left to the replay, which goes on until it has reached the end.
    Behind,
    /// As `Behind`, but only up to `replayed_to`, until it is released.
    Held,
    /// Replayed up to the limit: silent until it is entered again.
    Stopped,
}

/// One chat's stream to one session.
#[derive(Debug)]
struct Stream {
    /// The last one written.
    last: Seq,
    /// The last one known.
    end: Seq,
    /// Target of a held stream.
    hold_at: Seq,
    /// The live stream does not follow the replay.
    truncated: bool,
    mode: Mode,
}

impl Stream {
    /// The last `seq` that pages may be read to.
    fn reach(&self) -> Seq {
        match self.mode {
            Mode::Held => self.hold_at,
            Mode::Behind => self.end,
            Mode::Live | Mode::Stopped => self.last,
        }
    }

    fn go_live_at_end(&mut self) {
        if self.mode == Mode::Behind && self.last >= self.end {
            self.mode = if self.truncated { Mode::Stopped } else { Mode::Live };
        }
    }
}

/// All streams of one session, which share one page in flight.
#[derive(Debug, Default)]
pub struct Streams {
    chats: HashMap<ChatId, Stream>,
    /// Chats that may need a page.
    behind: VecDeque<ChatId>,
    fetching: Option<(ChatId, Seq)>,
}

impl Streams {
    /// Starts or restarts a chat's stream. It is held until [`Streams::release`].
    pub fn enter(&mut self, chat: ChatId, head: Seq, replay: &Replay) {
        let stream = Stream {
            last: replay.begins_after(),
            end: if replay.truncated { replay.replayed_to } else { head },
            hold_at: replay.replayed_to,
            truncated: replay.truncated,
            mode: Mode::Held,
        };
        self.forget_page(chat);
        self.chats.insert(chat, stream);
        self.behind.push_back(chat);
    }

    /// The client has been told of the join: live messages may follow.
    pub fn release(&mut self, chat: ChatId) {
        if let Some(stream) = self.chats.get_mut(&chat)
            && stream.mode == Mode::Held
        {
            stream.mode = Mode::Behind;
            stream.go_live_at_end();
            self.behind.push_back(chat);
        }
    }

    /// True if a held stream has been written up to its target.
    #[must_use]
    pub fn is_replayed(&self, chat: ChatId) -> bool {
        self.chats
            .get(&chat)
            .is_none_or(|stream| stream.mode != Mode::Held || stream.last >= stream.hold_at)
    }

    pub fn leave(&mut self, chat: ChatId) {
        self.forget_page(chat);
        self.chats.remove(&chat);
    }

    /// The last one known; 0 in a chat that was not entered.
    #[must_use]
    pub fn end(&self, chat: ChatId) -> Seq {
        self.chats.get(&chat).map_or(Seq::ZERO, |stream| stream.end)
    }

    /// The last `seq` written of each chat.
    pub fn positions(&self) -> impl Iterator<Item = (ChatId, Seq)> {
        self.chats.iter().map(|(chat, stream)| (*chat, stream.last))
    }

    /// True if a page that begins after `after` is the requested one.
    #[must_use]
    pub fn awaits(&self, chat: ChatId, after: Seq) -> bool {
        self.fetching == Some((chat, after))
    }

    /// Earlier page requests are abandoned.
    fn forget_page(&mut self, chat: ChatId) -> bool {
        self.fetching.take_if(|(fetching, _)| *fetching == chat).is_some()
    }

    /// The live stream follows, or will once the replay is through.
    #[must_use]
    pub fn goes_live(&self, chat: ChatId) -> bool {
        self.chats.get(&chat).is_some_and(|stream| !stream.truncated)
    }

    #[must_use]
    pub fn contains(&self, chat: ChatId) -> bool {
        self.chats.contains_key(&chat)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.chats.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chats.is_empty()
    }

    /// Handles a live message.
    pub fn live(&mut self, chat: ChatId, seq: Seq) -> Live {
        let Some(stream) = self.chats.get_mut(&chat) else { return Live::Drop };
        match stream.mode {
            Mode::Live if seq == stream.last.next() => {
                stream.last = seq;
                stream.end = seq;
                Live::Deliver
            }
            _ if seq <= stream.last || stream.truncated => Live::Drop,
            Mode::Live => {
                stream.end = seq;
                stream.mode = Mode::Behind;
                self.behind.push_back(chat);
                Live::Defer
            }
            Mode::Behind | Mode::Held | Mode::Stopped => {
                stream.end = stream.end.max(seq);
                Live::Defer
            }
        }
    }

    /// A hint: the log reaches `end`, and the gap must be read.
    pub fn hinted(&mut self, chat: ChatId, end: Seq) {
        if let Some(stream) = self.chats.get_mut(&chat)
            && !stream.truncated
            && end > stream.end
        {
            stream.end = end;
            if stream.mode == Mode::Live {
                stream.mode = Mode::Behind;
            }
            self.behind.push_back(chat);
        }
    }

    /// Handles a message of a page: `true` if it must be written.
    pub fn replayed(&mut self, chat: ChatId, seq: Seq) -> bool {
        match self.chats.get_mut(&chat) {
            Some(stream) if seq == stream.last.next() && seq <= stream.reach() => {
                stream.last = seq;
                true
            }
            _ => false,
        }
    }

    /// A page has been written whole; an empty one ends the replay.
    pub fn page_done(&mut self, chat: ChatId, empty: bool) {
        self.forget_page(chat);
        if let Some(stream) = self.chats.get_mut(&chat) {
            if empty {
                stream.end = stream.last;
                stream.hold_at = stream.hold_at.min(stream.last);
            }
            stream.go_live_at_end();
            self.behind.push_back(chat);
        }
    }

    /// The requested page has failed; it is requested again.
    pub fn page_lost(&mut self, chat: ChatId) {
        if self.forget_page(chat) {
            self.behind.push_back(chat);
        }
    }

    /// The next page to read, unless one is in flight or none is missing.
    pub fn next_fetch(&mut self) -> Option<Fetch> {
        while self.fetching.is_none() {
            let chat_id = self.behind.pop_front()?;
            if let Some(stream) = self.chats.get(&chat_id)
                && stream.last < stream.reach()
            {
                self.fetching = Some((chat_id, stream.last));
                return Some(Fetch { chat_id, after: stream.last, up_to: stream.reach() });
            }
        }
        None
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
