//! Outbox events: facts for other services.

use super::{Chat, ChatId, Message, Seq, User, UserId};

/// Something that has happened here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxEvent {
    UserCreated(User),
    ChatCreated(Chat),
    MessageCreated(Message),
    /// A raised read mark.
    MessageRead {
        chat_id: ChatId,
        user_id: UserId,
        seq: Seq,
    },
}

/// Kinds of events, each with its name in the table and on the wire, which is the routing key.
macro_rules! kinds {
    ($($kind:ident: $name:literal),+ $(,)?) => {
        /// The kind of an [`OutboxEvent`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum OutboxEventKind {
            $($kind),+
        }

        impl OutboxEventKind {
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name),+
                }
            }
        }
    };
}

kinds! {
    UserCreated: "user.created",
    ChatCreated: "chat.created",
    MessageCreated: "message.created",
    MessageRead: "message.read",
}

/// Ordering key: events of one key are delivered in order, those of one chat or of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderingKey {
    Chat(ChatId),
    User(UserId),
}

impl OutboxEventKind {
    /// Parses a name of [`OutboxEventKind::as_str`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
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
