//! Messages of ChatServer, and its configuration.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actors::commit_feed::CommitFeed;
use crate::actors::db_executor::BatchLimits;
use crate::actors::gateway::PresenceChanged;
use crate::actors::last_seen::Seen;
use crate::actors::page_reader::PageReader;
use crate::actors::peer_feed::PeerFeed;
use crate::actors::room_actor::{MarkRead, Post, RoomActor, RoomLimits, Typing};
use crate::actors::session_handle::SessionHandle;
use crate::db::{Store, StoreError};
use crate::domain::{
    Author, Chat, ChatId, LiveEvent, LoginId, NodeId, OWN_ISSUER, Role, Seq, SessionId, SharePart,
    Timestamp, Timings, Update, UserId,
};
use crate::metrics::Metrics;
use crate::protocol::Posted;
use crate::session::{JoinChat, MarkOutcome, PostOutcome};

/// Configuration of ChatServer.
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
    /// Time for which a user without a session stays online.
    pub presence_grace: Duration,
    /// Writes when users were last seen.
    pub last_seen: Recipient<Seen>,
    /// The receiver of users' arrivals at this node and their departures.
    pub presence: Option<Recipient<PresenceChanged>>,
    pub commits: Arc<CommitFeed>,
    pub peers: Arc<PeerFeed>,
}

/// A session begins, in the rooms of these chats. Each room answers the session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Connect {
    pub session: SessionHandle,
    /// The session's number of this join; the rooms' answers carry it back.
    pub join: u64,
    pub chats: Vec<JoinChat>,
    /// Before its user was read.
    pub as_of: Timestamp,
}

/// A session enters more chats. Each room answers the session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Join {
    pub session: SessionHandle,
    pub join: u64,
    pub chats: Vec<JoinChat>,
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

/// An admin's session has a chat on its screen, or none.
#[derive(Message)]
#[rtype(result = "()")]
pub struct View {
    pub session: SessionId,
    pub chat: Option<ChatId>,
    pub viewer: Arc<Author>,
}

/// A session is told of every chat, or no more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Watch {
    pub session: SessionId,
    pub watching: bool,
}

/// A request for a chat's room, which is started if it is missing. Nobody waits for ChatServer: a
/// message that finds a mailbox full is dropped, and its reply answers `unavailable`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Route {
    pub chat: ChatId,
    pub request: RoomRequest,
    pub learn: Learn,
}

/// The responder, who is told the room's address and sends there itself the next time.
pub enum Learn {
    Directory(Recipient<RoomIs>),
    Session(SessionHandle),
}

/// A request that a room answers through its `Reply`, if it has one.
pub enum RoomRequest {
    Post(Post),
    MarkRead(MarkRead),
    Typing(Typing),
}

impl RoomRequest {
    /// Answers that the room has ended, and where the request stands: it is to be routed again.
    pub fn moved(self) {
        match self {
            Self::Post(Post { draft, reply, .. }) => {
                reply.send(PostOutcome::Moved(Box::new(draft)));
            }
            Self::MarkRead(MarkRead { reply, .. }) => reply.send(MarkOutcome::Moved),
            // Dropped: the client repeats it while it is so.
            Self::Typing(_) => {}
        }
    }

    /// Hands the request to a room, or gives it back where the room has ended. One that finds the
    /// mailbox full is dropped, which answers it `unavailable`.
    pub fn send_to(self, room: &Addr<RoomActor>) -> Option<Self> {
        match self {
            Self::Post(post) => ended(room.try_send(post)).map(Self::Post),
            Self::MarkRead(mark) => ended(room.try_send(mark)).map(Self::MarkRead),
            Self::Typing(typing) => ended(room.try_send(typing)).map(Self::Typing),
        }
    }
}

fn ended<M>(sent: Result<(), SendError<M>>) -> Option<M> {
    match sent {
        Err(SendError::Closed(message)) => Some(message),
        Ok(()) | Err(SendError::Full(_)) => None,
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
    /// This node has made it, and tells the others.
    pub made_here: bool,
}

/// A chat moved: those who watch are told.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ChatUpdated(pub Arc<Chat>);

/// Asks which of the users are online; answered by id.
#[derive(Message)]
#[rtype(result = "Vec<UserId>")]
pub struct OnlineOf(pub Vec<UserId>);

/// A user was changed: the sessions of one who is blocked end, those of another role, and those of a
/// login that has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct UserChanged {
    pub user: UserId,
    pub state: UserState,
    /// This node has changed it, and tells the others.
    pub changed_here: bool,
}

/// State of a user, as far as sessions must know it.
#[derive(Debug, Clone)]
pub struct UserState {
    pub role: Role,
    pub blocked: bool,
    /// The logins that have ended lately.
    pub ended: Arc<[LoginId]>,
    /// Before it was read: a session whose user was read later knows better.
    pub as_of: Timestamp,
}

impl UserState {
    /// Reads a user's state; `None` for an unknown one.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn read(id: UserId, store: &Store) -> Result<Option<Self>, StoreError> {
        let as_of = Timestamp::now();
        let Some(user) = store.user(id).await? else { return Ok(None) };
        let ended = match user.issuer == OWN_ISSUER {
            true => store.ended_logins(id).await?,
            false => Vec::new(),
        };
        Ok(Some(Self { role: user.role, blocked: user.blocked, ended: ended.into(), as_of }))
    }
}

/// A session has another token of its user, who was read at `as_of`: it is told of what has changed since.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Recheck {
    pub session: SessionId,
    pub as_of: Timestamp,
}

/// The node leaves: no session begins, and those that there are end over the window.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseSessions {
    pub window: Duration,
    /// Told when no session is left.
    pub done: oneshot::Sender<()>,
}

/// The time of the sessions that are left is over.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseRest;

/// Asks which of these chats, made lately, were not announced here.
#[derive(Message)]
#[rtype(result = "Vec<ChatId>")]
pub struct FilterNew(pub Vec<ChatId>);

/// Asks whether a chat that was made lately was announced here.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct IsAnnounced(pub ChatId);

/// Asks whether any session watches all chats.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct IsWatched;

/// News of another node.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PeerNews {
    pub from: NodeId,
    pub posts: Vec<(ChatId, Vec<Posted>)>,
    /// Logs that have grown, without the messages.
    pub grown: Vec<(ChatId, Seq)>,
    pub live: Vec<LiveEvent>,
    pub shares: Vec<Update>,
}

/// A part of another node's whole share.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PeerShare {
    pub from: NodeId,
    pub part: SharePart,
}

/// Another node is new, has missed something, or is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub enum PeerChange {
    Came,
    /// It asks for this node's whole share.
    Asks(NodeId),
    /// It has said that it ends.
    Left(NodeId),
    /// Nothing was heard of it for too long.
    Lost {
        node: NodeId,
        last_heard: Timestamp,
    },
}

/// A worker thread that rooms may run on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AddWorker(pub ArbiterHandle);

/// Targets that a test can make panic.
#[cfg(feature = "faults")]
#[derive(Message)]
#[rtype(result = "()")]
pub enum CrashOf {
    Session(SessionId),
    Room(ChatId),
    Executor(usize),
}
