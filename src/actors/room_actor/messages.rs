//! Messages of a room, and its configuration.

use std::sync::Arc;

use actix::prelude::*;

use crate::actors::chat_server::ChatServer;
use crate::actors::db_executor::ExecutorLink;
use crate::actors::page_reader::PageReader;
use crate::actors::reply::Reply;
use crate::actors::session_handle::SessionHandle;
use crate::db::Written;
use crate::domain::{Author, ChatId, Draft, Message, Origin, Seq, SessionId, Timings, UserId};
use crate::metrics::Metrics;
use crate::session::{MarkOutcome, PostOutcome, Purpose};

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
    pub chat_server: Addr<ChatServer>,
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
    pub reply: Reply<MarkOutcome>,
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

/// The results of writes of one transaction.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Answers(pub Vec<Written>);

/// A page that was read, or not.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PageRead {
    pub after: Seq,
    pub up_to: Seq,
    pub messages: Option<Vec<Message>>,
}

/// The chat's log is known to reach at least here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Hint(pub Seq);

/// The executor died; this one takes its place.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reopen(pub Arc<ExecutorLink>);

/// Nobody is here any more, and ChatServer sends nobody again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire;
