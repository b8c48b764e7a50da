//! What other services are told of, and what they tell of their users.

use super::{Chat, ChatId, Message, Role, Seq, Timestamp, User, UserId};

/// Something that has happened here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    UserCreated(User),
    ChatCreated(Chat),
    MessageCreated(Message),
    /// Somebody has read a chat as far as this.
    MessageRead {
        chat_id: ChatId,
        user_id: UserId,
        seq: Seq,
    },
}

/// What must be told in order: the news of one chat, or of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    Chat(ChatId),
    User(UserId),
}

impl News {
    /// As other services know it, and as its routing key.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::UserCreated(_) => "user.created",
            Self::ChatCreated(_) => "chat.created",
            Self::MessageCreated(_) => "message.created",
            Self::MessageRead { .. } => "message.read",
        }
    }

    /// With which other news it keeps its order.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::UserCreated(user) => Lane::User(user.id),
            Self::ChatCreated(chat) => Lane::Chat(chat.id),
            Self::MessageCreated(message) => Lane::Chat(message.chat_id),
            Self::MessageRead { chat_id, .. } => Lane::Chat(*chat_id),
        }
    }
}

/// What another service tells of one of its users. A field that is missing changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserNews {
    /// By what a repeat is known: the event's id at its source, where it has one.
    pub event: Option<(String, String)>,
    /// When it happened; what is older than what is known changes nothing. Now, where it does not say.
    pub at: Option<Timestamp>,
    pub issuer: String,
    pub subject: String,
    pub nickname: Option<String>,
    pub email: Option<String>,
    pub role: Option<Role>,
    pub blocked: Option<bool>,
    /// `user.created`, of somebody who may be known already: changes nothing of them.
    pub is_first: bool,
}

/// What became of [`UserNews`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The user as they are now.
    Changed(User),
    /// It was applied before, or is older than what is known, or says nothing new.
    Unchanged,
}
