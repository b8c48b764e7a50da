//! Chats, their members, and a user's access to one.

use std::sync::Arc;

use super::{ChatId, Message, Role, Seq, Timestamp, UserId};

/// The kind of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatKind {
    /// A customer's one chat with the company.
    Support,
    /// A chat that an admin made for chosen people.
    Group,
    /// A kind of a later version: read here, never written.
    Other,
}

impl ChatKind {
    /// The kind on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Support => "support",
            Self::Group => "group",
            Self::Other => "other",
        }
    }
}

impl From<String> for ChatKind {
    fn from(word: String) -> Self {
        match word.as_str() {
            "support" => Self::Support,
            "group" => Self::Group,
            _ => Self::Other,
        }
    }
}

/// A chat as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    pub id: ChatId,
    pub kind: ChatKind,
    pub title: Option<String>,
    pub last_seq: Seq,
    pub last_message: Option<Message>,
    /// At most [`Roster::MOST`] members, by id.
    pub members: Vec<Member>,
    /// The chat has more members.
    pub is_large: bool,
    pub created_at: Timestamp,
    /// The last activity: the newest message, or the creation.
    pub updated_at: Timestamp,
}

impl Chat {
    /// The chat without its messages, as it was when it was created.
    #[must_use]
    pub fn as_created(&self) -> Self {
        let (last_seq, last_message) = (Seq::ZERO, None);
        Self { last_seq, last_message, updated_at: self.created_at, ..self.clone() }
    }
}

/// A durable member of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: UserId,
    pub nickname: Option<String>,
    pub role: Role,
    /// Shown to admins alone.
    pub email: Option<String>,
}

/// One user's access to one chat, from which [`access`](super::access) decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatAccess {
    pub chat_id: ChatId,
    pub kind: ChatKind,
    pub member: bool,
    pub last_seq: Seq,
    /// The last `seq` that the user has read.
    pub read_seq: Seq,
}

/// A chat that a session is about to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatEntry {
    pub access: ChatAccess,
    /// `None` for a chat of more than [`Roster::MOST`] members.
    pub roster: Option<Roster>,
}

/// The users of a chat whose presence and read marks are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    /// All members, by id.
    pub members: Arc<[UserId]>,
    /// All readers' marks, by user; an admin who is not a member may be among them.
    pub reads: Vec<(UserId, Seq)>,
}

impl Roster {
    /// The most members of a chat that shows them.
    pub const MOST: usize = 100;
}

/// A chat as one reader sees it.
#[derive(Debug, Clone)]
pub struct ShownChat {
    pub chat: Chat,
    pub access: ChatAccess,
    /// The members who are online, by id; `None` for a large chat.
    pub online: Option<Vec<UserId>>,
}
