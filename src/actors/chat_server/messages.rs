//! What ChatServer is made with, and what may be sent to it.

use std::sync::Arc;

use actix::prelude::*;

use crate::actors::db_executor::BatchLimits;
use crate::actors::delivery::Link;
use crate::actors::gateway::PresenceChanged;
use crate::actors::page_reader::PageReader;
use crate::actors::room_actor::{MarkRead, Post, RoomActor, RoomLimits};
use crate::db::Store;
use crate::domain::{Chat, ChatId, Role, Seq, SessionId, Timings, UserId};
use crate::metrics::Metrics;

/// What ChatServer is made with.
pub struct ChatServerParts {
    pub store: Store,
    pub reader: Addr<PageReader>,
    pub metrics: Arc<Metrics>,
    pub executors: usize,
    /// Posts that wait for one executor.
    pub backlog: usize,
    pub batch: BatchLimits,
    pub room: RoomLimits,
    pub timings: Timings,
    pub sessions_per_user: usize,
    /// Who is told of users that come to this node and leave it.
    pub presence: Option<Recipient<PresenceChanged>>,
}

/// A chat to enter, with what the database says of it.
#[derive(Debug, Clone, Copy)]
pub struct Entrance {
    pub chat: ChatId,
    /// Where the session goes on from; `None` is the end.
    pub after: Option<Seq>,
    pub last_seq: Seq,
}

/// A session begins, in the rooms of these chats. Each room answers the session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Connect {
    pub link: Link,
    pub user: UserId,
    /// The session's number of this entry; the rooms' answers carry it back.
    pub entry: u64,
    pub chats: Vec<Entrance>,
}

/// A session enters more chats. Each room answers the session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Join {
    pub link: Link,
    pub entry: u64,
    pub chats: Vec<Entrance>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave {
    pub session: SessionId,
    pub chats: Vec<ChatId>,
}

/// A session has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Disconnect(pub SessionId);

/// A session is told of every chat, or no more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Watch {
    pub session: SessionId,
    pub watching: bool,
}

/// Asks for a chat's room, which is started where there is none.
#[derive(Message)]
#[rtype(result = "Addr<RoomActor>")]
pub struct Locate(pub ChatId);

/// A request for a chat's room, which is started where there is none. Nobody waits for ChatServer:
/// what finds a mailbox full is dropped, and its reply answers `unavailable`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Route {
    pub chat: ChatId,
    pub request: RoomRequest,
    /// Told where the room is, so that it sends there itself the next time.
    pub learn: Option<Recipient<RoomIs>>,
}

/// A request that a room answers through its `Reply`.
pub enum RoomRequest {
    Post(Post),
    MarkRead(MarkRead),
}

impl RoomRequest {
    /// Hands the request to a room.
    ///
    /// # Errors
    /// The request itself, where the room's mailbox is full or the room has ended.
    #[expect(clippy::result_large_err, reason = "the request goes on to another room")]
    pub fn send_to(self, room: &Addr<RoomActor>) -> Result<(), SendError<Self>> {
        fn back<M>(
            error: SendError<M>,
            request: impl FnOnce(M) -> RoomRequest,
        ) -> SendError<RoomRequest> {
            match error {
                SendError::Full(message) => SendError::Full(request(message)),
                SendError::Closed(message) => SendError::Closed(request(message)),
            }
        }
        match self {
            Self::Post(post) => room.try_send(post).map_err(|error| back(error, Self::Post)),
            Self::MarkRead(mark) => {
                room.try_send(mark).map_err(|error| back(error, Self::MarkRead))
            }
        }
    }
}

/// The address of a chat's room, as it is now. A room that has retired answers `Moved`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RoomIs {
    pub chat: ChatId,
    pub room: Addr<RoomActor>,
}

/// A chat was made.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Announce {
    pub chat: Arc<Chat>,
    /// All of them: the chat itself shows a bounded number.
    pub members: Vec<UserId>,
    /// The session whose ack carries the chat.
    pub except: Option<SessionId>,
}

/// A chat moved: those who watch are told.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Updated(pub Arc<Chat>);

/// A user was changed: the sessions of one who is blocked end, and those of another role.
#[derive(Message)]
#[rtype(result = "()")]
pub struct UserChanged {
    pub user: UserId,
    pub role: Role,
    pub blocked: bool,
}

/// The server stops: all sessions end.
#[derive(Message)]
#[rtype(result = "()")]
pub struct EndAll;

/// Chats whose logs are known to reach further than this node has seen.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Hints(pub Vec<(ChatId, Seq)>);

/// Asks which of these chats, made lately, were not announced here.
#[derive(Message)]
#[rtype(result = "Vec<ChatId>")]
pub struct Unannounced(pub Vec<ChatId>);

/// Asks what this node has to know of others.
#[derive(Message)]
#[rtype(result = "Interest")]
pub struct Interests;

/// What this node has to know of others.
pub struct Interest {
    pub rooms: Vec<ChatId>,
    pub watched: bool,
}

/// Nobody is in a room, and nothing on its way.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RoomIdle {
    pub chat: ChatId,
    pub generation: u64,
}

/// A room has ended without having been retired.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RoomDied {
    pub chat: ChatId,
    pub generation: u64,
}

/// An executor has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ExecutorDied {
    pub index: usize,
}

/// A worker thread that rooms may run on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AddWorker(pub ArbiterHandle);

/// What a test makes panic.
#[cfg(feature = "faults")]
#[derive(Message)]
#[rtype(result = "()")]
pub enum CrashOf {
    Session(SessionId),
    Room(ChatId),
    Executor(usize),
}
