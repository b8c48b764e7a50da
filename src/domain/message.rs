//! Messages: drafts, results of posting, and entries of a chat's log.

use std::sync::Arc;

use super::{Author, ChatId, MessageId, Role, Seq, SessionId, Timestamp, UserId};

/// The longest `clientId`, in characters.
pub const CLIENT_ID_CHARS: usize = 64;

/// A message in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: MessageId,
    pub chat_id: ChatId,
    pub seq: Seq,
    pub kind: MessageKind,
    pub author: Arc<Author>,
    pub content: String,
    pub client_id: String,
    pub created_at: Timestamp,
}

/// The kind of an entry in a chat's log, on the wire and in the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum MessageKind {
    #[default]
    Text,
    /// A kind of a later version: kept and shown by its name.
    Other(Box<str>),
}

impl MessageKind {
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text => "text",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for MessageKind {
    fn from(word: String) -> Self {
        match word.as_str() {
            "text" => Self::Text,
            _ => Self::Other(word.into()),
        }
    }
}

/// The reason for which a text cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("must not be blank")]
    Blank,
    #[error("has {chars} characters, {max} are allowed")]
    TooLong { chars: usize, max: usize },
    #[error("must not contain U+0000")]
    Nul,
}

/// A message's text: not blank, within the limit, storable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body(String);

impl Body {
    /// Takes `text` of at most `max` Unicode scalar values.
    ///
    /// # Errors
    /// A text that is blank (Unicode White_Space alone, or nothing), too long, or has U+0000.
    pub fn parse(text: String, max: usize) -> Result<Self, TextError> {
        // A text has at most as many characters as bytes, so most need no counting.
        if text.len() > max {
            let chars = text.chars().count();
            if chars > max {
                return Err(TextError::TooLong { chars, max });
            }
        }
        if text.contains('\0') {
            return Err(TextError::Nul);
        }
        if text.chars().all(char::is_whitespace) {
            return Err(TextError::Blank);
        }
        Ok(Self(text))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The author's own id of a message: an idempotency key. The same id in the same chat is the same
/// message, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientId(String);

impl ClientId {
    /// Takes 1 to [`CLIENT_ID_CHARS`] characters.
    ///
    /// # Errors
    /// An empty text ([`TextError::Blank`]), one that is too long, or one with U+0000.
    pub fn parse(text: String) -> Result<Self, TextError> {
        let chars = text.chars().count();
        if chars > CLIENT_ID_CHARS {
            return Err(TextError::TooLong { chars, max: CLIENT_ID_CHARS });
        }
        if text.is_empty() {
            return Err(TextError::Blank);
        }
        if text.contains('\0') {
            return Err(TextError::Nul);
        }
        Ok(Self(text))
    }

    /// A generated id, by which an unknown outcome is resolved.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A message to be appended to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub chat_id: ChatId,
    pub author: UserId,
    /// The author's role at the writing.
    pub role: Role,
    pub kind: MessageKind,
    pub content: Body,
    pub client_id: ClientId,
    /// Store only if this is still the chat's last `seq`.
    pub expect_seq: Option<Seq>,
}

/// The result of posting a [`Draft`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostResult {
    /// Stored for the first time; the author's nickname at the writing.
    New(Receipt, Option<String>),
    /// Stored before; nothing was stored now.
    Duplicate(Receipt),
    /// Its `clientId` belongs to another text; nothing was stored.
    ClientIdReused,
    /// `expect_seq` no longer holds; nothing was stored.
    ChatMoved { last_seq: Seq },
    /// The chat does not exist; nothing was stored.
    NoChat,
    /// Unknown outcome. Safe to send again with the same `clientId`.
    Unavailable,
    /// The database rejects it, and a retry would fail again; nothing was stored.
    Failed,
}

/// A message's place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    pub id: MessageId,
    pub seq: Seq,
    pub created_at: Timestamp,
}

/// The origin of a message: the request that posted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub session: SessionId,
    /// The session's own number of the request.
    pub nonce: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_counted_in_characters() {
        assert!(Body::parse("é".repeat(8), 8).is_ok());
        assert_eq!(Body::parse("é".repeat(9), 8), Err(TextError::TooLong { chars: 9, max: 8 }));
    }

    #[test]
    fn a_body_of_white_space_is_blank() {
        for text in ["", " ", "\u{3000}\t\n", "\u{85}\u{2029}"] {
            assert_eq!(Body::parse(text.into(), 8), Err(TextError::Blank), "{text:?}");
        }
        // U+200B is not White_Space.
        assert!(Body::parse("\u{200b}".into(), 8).is_ok());
    }

    #[test]
    fn a_nul_is_refused() {
        assert_eq!(Body::parse("a\0".into(), 8), Err(TextError::Nul));
        assert_eq!(ClientId::parse("\0".into()), Err(TextError::Nul));
    }

    #[test]
    fn a_client_id_has_one_to_sixty_four_characters() {
        assert!(ClientId::parse("é".repeat(64)).is_ok());
        assert!(ClientId::parse("é".repeat(65)).is_err());
        assert_eq!(ClientId::parse(String::new()), Err(TextError::Blank));
    }
}
