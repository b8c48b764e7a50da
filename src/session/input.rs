//! Inputs: all that a session hears.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::action::Timer;
use super::budget::Permit;
use crate::auth::AuthenticatedUser;
use crate::domain::{
    ChatAccess, ChatEntry, ChatId, Draft, LoginId, PostResult, Replay, Role, Seq, ShownChat, UserId,
};
use crate::protocol::{
    ApiError, Ending, Entry, Envelope, MarkView, Posted, Rejected, ServerEvent, Shared,
};

/// One input of a session.
pub enum Input<'a, R> {
    /// A frame's text.
    Text(&'a str),
    /// A request, of a wire format that is not the envelope.
    Request(Result<Envelope<'a>, Box<Rejected>>),
    /// A frame that is not text; the reason is for the client.
    Unreadable(&'static str),
    FromServer(ToSession<R>),
    Answered(Answered),
    Timer(Timer),
    /// A time that was asked for has come, or another one has.
    Tick,
    /// The transport ends: the client closed, broke the rules, or is gone.
    End(Ending),
}

/// A message from a room, ChatServer or a use case to a session.
pub enum ToSession<R> {
    Attached(Box<Attached<R>>),
    /// A room could not let the session in.
    NotAttached {
        chat: ChatId,
        purpose: Purpose,
    },
    /// ChatServer has passed a call on, to this room.
    RoomIs {
        chat: ChatId,
        room: R,
    },
    /// The room that the session knows of this chat has ended, and answers nothing.
    RoomLost(ChatId),
    /// ChatServer took no call for this chat: its mailbox is full.
    NotRouted(ChatId),
    /// Messages of one chat, ascending.
    Deliver {
        chat: ChatId,
        messages: Arc<[Posted]>,
        permit: Permit,
    },
    /// A page of missed messages; `None` where it could not be read.
    Page {
        chat: ChatId,
        after: Seq,
        messages: Option<Arc<[Posted]>>,
    },
    /// An ephemeral or a control event.
    Event(ServerEvent, Permit),
    /// The answer to a call to a room.
    Outcome {
        nonce: u64,
        outcome: Outcome,
    },
    Close(Ending),
    /// The stored role may be another one now, and these logins have ended: a session ends only if it may
    /// do less by that, or is of one of them.
    UserChanged {
        role: Role,
        ended: Arc<[LoginId]>,
    },
    /// A test makes the session's host panic.
    #[cfg(feature = "faults")]
    Crash,
}

/// A room has let the session in: it delivers what follows `head`.
pub struct Attached<R> {
    pub chat: ChatId,
    pub room: R,
    pub head: Seq,
    pub replay: Replay,
    /// Those of the asked members who are online, by id. Later changes are events.
    pub online: Option<Box<[UserId]>>,
    /// Read marks that were raised lately: the database was asked before.
    pub reads: Vec<(UserId, Seq)>,
    pub purpose: Purpose,
}

/// The reason for which a session is put into a room.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// It joins; by the session's number of the join.
    Join(u64),
    /// The chat has just been made; the events say so, to admins and to others.
    Created { to_admins: Arc<Shared>, to_others: Arc<Shared> },
    /// The room that it was in has died.
    Replaced,
}

/// A chat to join, with what the database says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinChat {
    pub chat: ChatId,
    /// The position to go on from; `None` is the end.
    pub after: Option<Seq>,
    pub last_seq: Seq,
    /// The session's user is a member.
    pub is_member: bool,
    /// The members whose presence is asked for; `None` where there are too many.
    pub members: Option<Arc<[UserId]>>,
}

/// A room's answer to a call.
#[derive(Debug)]
pub enum Outcome {
    Post(PostOutcome),
    Mark(MarkOutcome),
}

/// A room's answer to a post.
#[derive(Debug)]
pub enum PostOutcome {
    Stored(PostResult),
    /// The room has retired; the same goes to the one that ChatServer knows.
    Moved(Box<Draft>),
}

/// A room's answer to a read mark.
#[derive(Debug)]
pub enum MarkOutcome {
    Done(Result<MarkView, ApiError>),
    /// The room has retired; the same goes to the one that ChatServer knows.
    Moved,
}

/// The answer of a use case.
pub enum Answered {
    /// ChatServer took a `Connect` or `Join`, or is full.
    JoinSent(bool),
    Authenticated(Result<Box<Admitted>, ApiError>),
    Renewed(Result<AuthenticatedUser, ApiError>),
    Access(Result<ChatAccess, ApiError>),
    Entries(Result<Vec<ChatEntry>, ApiError>),
    ForwardAccess(Result<(), ApiError>),
    ChatCreated(Result<Box<ShownChat>, ApiError>),
    /// The answer to a forwarded event, by its number.
    ForwardResult(u64, Result<Option<ServiceAnswer>, ApiError>),
}

/// A user who was let in, with the chats to join first.
#[derive(Debug)]
pub struct Admitted {
    pub user: AuthenticatedUser,
    pub chats: Vec<ChatEntry>,
    pub resume: Vec<Entry>,
}

/// A service's answer, counted in the session's budget.
#[derive(Debug)]
pub struct ServiceAnswer {
    pub value: Box<RawValue>,
    pub permit: Permit,
}
