//! What a session hands on to other services, and what they and the desk say to sessions.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::domain::{ChatId, SessionId, UserId};
use crate::protocol::{Exception, Frame};
use crate::settings::Route;

/// A client's event on its way to another service. Its access is checked.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Forward {
    pub route: Arc<Route>,
    pub session: SessionId,
    pub user: UserId,
    pub chat: Option<ChatId>,
    /// The fields of `data` as the client wrote them, `"a":1,"b":2`, without `metadata`.
    pub fields: String,
    /// Dropped, it answers `unavailable`.
    pub reply: oneshot::Sender<Forwarded>,
}

/// What became of it: what the service answered, where it was asked; or why it was refused.
pub type Forwarded = Result<Option<Box<RawValue>>, Exception>;

/// The way to other services.
#[derive(Clone)]
pub struct Outside {
    /// By the client's name of the event.
    pub routes: Arc<HashMap<String, Arc<Route>>>,
    /// Bytes of a client's `data`.
    pub most_bytes: usize,
    pub gateway: Recipient<Forward>,
    pub presence: Recipient<PresenceChanged>,
}

/// A user has come to this node, or has left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct PresenceChanged {
    pub user: UserId,
    pub online: bool,
}

/// Whom a service speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Session(SessionId),
    User(UserId),
    Everybody,
}

/// A frame for sessions of this node. Who is too slow for it is told so, and closed (4409). Answers
/// with the number of sessions that it is on its way to.
#[derive(Clone, Message)]
#[rtype(result = "usize")]
pub struct Broadcast {
    pub audience: Audience,
    pub frame: Frame,
}

/// Asks whether a user has a session on this node.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct IsHere(pub UserId);
