//! Outbox events: what other services are told.

use super::{Chat, ChatId, Message, Seq, User, UserId};

/// Something that has happened here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxEvent {
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

/// The name of an [`OutboxEvent`]: in the table, on the wire, and as a routing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutboxEventKind {
    UserCreated,
    ChatCreated,
    MessageCreated,
    MessageRead,
}

/// Events of one key are delivered in their order: those of one chat, or of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderingKey {
    Chat(ChatId),
    User(UserId),
}

impl OutboxEventKind {
    pub const ALL: [Self; 4] =
        [Self::UserCreated, Self::ChatCreated, Self::MessageCreated, Self::MessageRead];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserCreated => "user.created",
            Self::ChatCreated => "chat.created",
            Self::MessageCreated => "message.created",
            Self::MessageRead => "message.read",
        }
    }

    /// Reads what [`OutboxEventKind::as_str`] wrote.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl OutboxEvent {
    #[must_use]
    pub fn kind(&self) -> OutboxEventKind {
        match self {
            Self::UserCreated(_) => OutboxEventKind::UserCreated,
            Self::ChatCreated(_) => OutboxEventKind::ChatCreated,
            Self::MessageCreated(_) => OutboxEventKind::MessageCreated,
            Self::MessageRead { .. } => OutboxEventKind::MessageRead,
        }
    }

    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind().as_str()
    }

    #[must_use]
    pub fn key(&self) -> OrderingKey {
        match self {
            Self::UserCreated(user) => OrderingKey::User(user.id),
            Self::ChatCreated(chat) => OrderingKey::Chat(chat.id),
            Self::MessageCreated(message) => OrderingKey::Chat(message.chat_id),
            Self::MessageRead { chat_id, .. } => OrderingKey::Chat(*chat_id),
        }
    }
}
