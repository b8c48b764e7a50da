//! Messages of a room: what it is made with, calls and their replies, and its reports.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actors::db_executor::ExecutorLink;
use crate::actors::page_reader::PageReader;
use crate::actors::peer_feed::PeerFeed;
use crate::actors::session_handle::{SessionHandle, ToSession};
use crate::domain::{
    Author, ChatId, Draft, LiveEvent, Origin, PostResult, Seq, SessionId, Timings, UserId,
};
use crate::metrics::Metrics;
use crate::protocol::{ApiError, Posted};
use crate::session::{MarkOutcome, Outcome, PostOutcome, Purpose};

/// Configuration of a room.
pub struct RoomParts {
    pub chat: ChatId,
    pub generation: u64,
    pub executor: Arc<ExecutorLink>,
    pub node: Arc<RoomNode>,
}

/// The handles that all rooms of a node share.
pub struct RoomNode {
    pub reader: Addr<PageReader>,
    /// ChatServer, which alone starts and retires rooms.
    pub reports: Recipient<RoomReport>,
    /// ChatServer, for sessions that are not in the room.
    pub own_sessions: Recipient<TellOwnSessions>,
    pub peers: Arc<PeerFeed>,
    pub limits: RoomLimits,
    pub timings: Timings,
    pub metrics: Arc<Metrics>,
}

#[derive(Debug, Clone, Copy)]
pub struct RoomLimits {
    /// Posts in flight; one more is `unavailable`.
    pub posts: usize,
    /// Messages that one entry replays.
    pub replay: i64,
}

/// Puts a session into the room, or sets its position back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Attach {
    pub session: SessionHandle,
    pub after: Option<Seq>,
    /// The end of the log by the database, which may be ahead of this room.
    pub known: Seq,
    /// Those of the asked members who are online, by id.
    pub online: Option<Box<[UserId]>>,
    pub purpose: Purpose,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct Detach(pub SessionId);

/// A message for the log. It is answered once: by its place in the author's stream where the author
/// is attached and it was stored, and by `reply` in every other case.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Post {
    pub draft: Draft,
    pub author: Arc<Author>,
    pub origin: Option<Origin>,
    pub reply: Reply<PostOutcome>,
}

/// Raises a user's read mark.
#[derive(Message)]
#[rtype(result = "()")]
pub struct MarkRead {
    pub user: UserId,
    pub seq: Seq,
    /// The session that asks; it is not told of its own mark.
    pub origin: Option<SessionId>,
    pub reply: Reply<MarkOutcome>,
}

/// A member is online, or no more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TellPresence {
    pub user: UserId,
    pub online: bool,
}

/// A user types, or no more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Typing {
    pub user: UserId,
    pub typing: bool,
}

/// Asks for a page of what a session is missing; answered by
/// [`Page`](crate::session::ToSession::Page).
#[derive(Message)]
#[rtype(result = "()")]
pub struct ReplayPage {
    pub session: SessionHandle,
    pub after: Seq,
    pub up_to: Seq,
}

/// The chat's log is known to reach at least here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Hint(pub Seq);

/// Messages that another node has stored, in their order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PostedElsewhere(pub Vec<Posted>);

/// A live state, of a user of another node.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ToldElsewhere(pub LiveEvent);

/// The executor died; this one takes its place.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reopen(pub Arc<ExecutorLink>);

/// Asks for the last message that was delivered here; `None` while the room opens or after it retired.
#[derive(Message)]
#[rtype(result = "Option<Seq>")]
pub struct AskPosition;

/// Nobody is here any more, and ChatServer sends nobody again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire;

/// A user's state in a chat, for the user's other sessions that are not in the chat's room.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TellOwnSessions {
    pub event: LiveEvent,
    /// The session that caused it.
    pub origin: Option<SessionId>,
}

/// A room says how it stands.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RoomReport {
    pub chat: ChatId,
    pub generation: u64,
    pub state: RoomState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomState {
    /// No session is in the room, and nothing on its way.
    Idle,
    /// The room has ended without having been retired.
    Died,
}

/// An answer to a call, with a value for an actor that died before it could give one.
pub trait CallOutcome: Send + 'static {
    fn unanswered() -> Self;
    fn into_outcome(self) -> Outcome;
}

impl CallOutcome for PostOutcome {
    fn unanswered() -> Self {
        Self::Stored(PostResult::Unavailable)
    }

    fn into_outcome(self) -> Outcome {
        Outcome::Post(self)
    }
}

impl CallOutcome for MarkOutcome {
    fn unanswered() -> Self {
        Self::Done(Err(ApiError::unavailable()))
    }

    fn into_outcome(self) -> Outcome {
        Outcome::Mark(self)
    }
}

enum To<T> {
    /// A session, and its number of the request.
    Session(SessionHandle, u64),
    /// A caller, who may have gone.
    Caller(oneshot::Sender<T>),
    Nobody,
}

/// The address of an answer. Dropped without one (its actor panicked, or ended), it sends
/// `CallOutcome::unanswered`, so that nobody waits for ever.
pub struct Reply<T: CallOutcome>(To<T>);

impl<T: CallOutcome> Reply<T> {
    /// To a session's request.
    #[must_use]
    pub fn to_session(session: SessionHandle, nonce: u64) -> Self {
        Self(To::Session(session, nonce))
    }

    /// To a caller that awaits it.
    #[must_use]
    pub fn to_caller() -> (Self, oneshot::Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self(To::Caller(sender)), receiver)
    }

    pub fn send(mut self, outcome: T) {
        self.answer(outcome);
    }

    /// Another message is the answer.
    pub fn forget(mut self) {
        self.0 = To::Nobody;
    }

    fn answer(&mut self, outcome: T) {
        match std::mem::replace(&mut self.0, To::Nobody) {
            // Bounded: one answer for each request.
            To::Session(session, nonce) => {
                session.send(ToSession::Outcome { nonce, outcome: outcome.into_outcome() });
            }
            To::Caller(sender) => drop(sender.send(outcome)),
            To::Nobody => {}
        }
    }
}

impl<T: CallOutcome> Drop for Reply<T> {
    fn drop(&mut self) {
        if !matches!(self.0, To::Nobody) {
            self.answer(T::unanswered());
        }
    }
}
