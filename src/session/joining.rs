//! Joins under way: rooms that are asked to let a session in, and the answer that waits for them.

use std::sync::Arc;

use super::input::JoinChat;
use crate::domain::{
    ChatAccess, ChatEntry, ChatId, LiveEvent, LiveState, Roster, Seq, ShownChat, UserId,
};
use crate::protocol::{ChatState, Entry, RequestId};

/// Rooms that are being joined, and the answer that waits for them.
pub struct Joining {
    /// The number of the join; its timer has it.
    pub number: u64,
    pub answer: JoinAnswer,
    pub rooms: Vec<JoiningRoom>,
}

/// The answer that waits for rooms.
pub enum JoinAnswer {
    /// `welcome`, and after it the ack of an `authenticate` that had an `id`.
    Welcome { request: Option<RequestId> },
    /// The ack of `enter_chat`, which waits for the replay.
    Enter { request: Option<RequestId> },
    /// The ack of `create_chat`.
    Create { request: Option<RequestId>, created: Box<ShownChat> },
}

/// A room that is being joined.
pub struct JoiningRoom {
    /// The number under which it was asked last; an answer to another one is late.
    pub number: u64,
    pub access: ChatAccess,
    pub roster: Option<Roster>,
    pub after: Option<Seq>,
    /// The session was in the room before, and stays in it if this join fails.
    pub was_in: bool,
    /// The client had the chat's live messages before.
    pub was_live: bool,
    /// The client named a position, and is told what is replayed.
    pub resumed: bool,
    /// The room's answer.
    pub state: Option<ChatState>,
}

impl JoiningRoom {
    /// A room that the session is not in, for a join with this number that names positions.
    #[must_use]
    pub fn new(number: u64, ChatEntry { access, roster }: ChatEntry, named: &[Entry]) -> Self {
        let named = named.iter().find(|entry| entry.chat_id == access.chat_id);
        Self {
            number,
            access,
            roster,
            after: named.and_then(|entry| entry.after_seq),
            was_in: false,
            was_live: false,
            resumed: named.is_some(),
            state: None,
        }
    }

    /// The join ended the chat's live messages, since the client is too far behind the position that it
    /// named. The client knows that by the answer alone.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        let replay = self.state.as_ref().and_then(|state| state.replay.as_ref());
        self.was_live && replay.is_some_and(|replay| replay.truncated)
    }

    /// The join, as ChatServer is asked for it.
    #[must_use]
    pub fn join(&self) -> JoinChat {
        let ChatAccess { chat_id: chat, last_seq, member: is_member, .. } = self.access;
        let members = self.roster.as_ref().map(|roster| Arc::clone(&roster.members));
        JoinChat { chat, after: self.after, last_seq, is_member, members }
    }
}

impl Joining {
    /// The chat's room is being joined.
    #[must_use]
    pub fn has(&self, chat: ChatId) -> bool {
        self.rooms.iter().any(|room| room.access.chat_id == chat)
    }

    /// Takes a state into the answer. `false` for one that the answer does not have.
    #[must_use]
    pub fn fold(&mut self, event: &LiveEvent, own: UserId) -> bool {
        let states = self.rooms.iter_mut().filter_map(|room| room.state.as_mut());
        let Some(state) = states.into_iter().find(|state| state.id == event.chat) else {
            return false;
        };
        match event.state {
            LiveState::Read(seq) => state.raise(event.user, seq, own),
            LiveState::Online(online) => state.set_online(event.user, online),
            LiveState::Typing(_) => return false,
        }
        true
    }

    /// An `enter_chat` whose rooms have all answered, and that waits for this chat's replay.
    #[must_use]
    pub fn replays(&self, chat: ChatId) -> bool {
        matches!(self.answer, JoinAnswer::Enter { .. })
            && self.rooms.iter().all(|room| room.state.is_some())
            && self.has(chat)
    }
}
