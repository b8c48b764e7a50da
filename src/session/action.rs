//! Actions: all that a session asks of its host.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Permit;
use super::input::JoinChat;
use crate::domain::access::Verb;
use crate::domain::{Author, ChatId, Draft, Fetch, Route, Seq, Timestamp, UserId};
use crate::protocol::{Ending, Entry, NewChat, ServerEvent};

/// An action of the host.
#[derive(Debug)]
pub enum Action<R> {
    /// Writes an event.
    Send(ServerEvent),
    /// Gives the permit back once all that was sent before is written.
    Written(Permit),
    /// Hands a call to a chat's room; without an address, by way of ChatServer, which answers with
    /// [`RoomIs`](super::ToSession::RoomIs). A closed mailbox counts as no address.
    Call {
        chat: ChatId,
        room: Option<R>,
        call: RoomCall,
    },
    /// Asks a room for a page; answered by [`Page`](super::ToSession::Page).
    Fetch {
        room: R,
        fetch: Fetch,
    },
    /// Makes the session known, and joins the rooms of these chats; answered by
    /// [`JoinSent`](super::Answered::JoinSent).
    Connect {
        user: UserId,
        join: u64,
        chats: Vec<JoinChat>,
    },
    /// Joins the rooms of further chats; answered as `Connect`.
    Join {
        join: u64,
        chats: Vec<JoinChat>,
    },
    Leave(Vec<ChatId>),
    /// Names the chat on the session's screen.
    View {
        chat: Option<ChatId>,
        viewer: Arc<Author>,
    },
    /// Begins or ends the news of all chats.
    Watch(bool),
    /// Asks to be told of what has changed of the user since this time.
    Recheck(Timestamp),
    /// Asks a use case; answered by one [`Answered`](super::Answered).
    Ask(Ask),
    Forward(ForwardRequest),
    After(Timer, Duration),
    /// Asks for a [`Tick`](super::Input::Tick) at this time, in place of an earlier one.
    TickAt(Timestamp),
    /// Sets the session's one deadline, in place of an earlier one.
    SetDeadline(Timer, Duration),
    ClearDeadline,
    Count(Counted),
    /// Ends the session: forgets it in ChatServer, and writes the close frame where there is one.
    Close(Ending),
}

/// A question to a use case.
#[derive(Debug)]
pub enum Ask {
    /// Verifies the token of the first frame, and finds the user and the chats to join.
    Authenticate {
        token: String,
        resume: Vec<Entry>,
    },
    /// Verifies a fresh token.
    Renew {
        token: String,
    },
    /// Access to a chat that allows this verb, for a command.
    Access(ChatId, Verb),
    /// Access to chats that are to be entered, and their rosters.
    Entries(Vec<ChatId>),
    /// Access to one chat, for a forwarded event.
    ForwardAccess(ChatId),
    CreateChat(NewChat),
}

/// A call to a room. A post or a mark is answered once, by [`Outcome`](super::ToSession::Outcome) or, of a post, by
/// its place in the stream.
#[derive(Debug)]
pub enum RoomCall {
    Post(NewPost),
    Mark {
        nonce: u64,
        user: UserId,
        seq: Seq,
    },
    /// The user types, or no more. Without an answer: it may be dropped.
    Typing(bool),
}

#[derive(Debug)]
pub struct NewPost {
    pub nonce: u64,
    pub draft: Draft,
    pub author: Arc<Author>,
}

/// A client's event on its way to another service. Its access is checked.
#[derive(Debug)]
pub struct ForwardRequest {
    pub number: u64,
    pub route: Arc<Route>,
    pub user: UserId,
    pub chat: Option<ChatId>,
    /// The fields of `data` as the client wrote them, `"a":1,"b":2`, without `metadata`.
    pub fields: String,
}

/// A timer; [`Input::Timer`](super::Input::Timer) brings it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    Authentication,
    /// Of the join with this number.
    Rooms(u64),
    Retry,
}

/// A fact for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    RateLimited,
    ForwardUnavailable,
}
