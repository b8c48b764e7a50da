//! Write operations: the commands of the write transaction, and their results.

use crate::domain::{ChatId, Draft, PostResult, Seq, UserId};

/// A command with its correlation id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub id: WriteId,
    pub op: WriteOp,
}

/// Correlation id: the submitter, and the submitter's own number of the write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct WriteId {
    pub source: u64,
    pub number: u64,
}

/// One command. In a batch, posts come first and reads last, each kind in the order submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOp {
    /// Appends a message to its chat's log.
    Post(Draft),
    /// Raises a read mark; one beyond the end counts as the end.
    Mark(Mark),
    /// Reads a chat's last `seq`.
    LastSeq(ChatId),
}

/// A user's read mark in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub chat_id: ChatId,
    pub user_id: UserId,
    pub seq: Seq,
}

/// The result of a [`Write`], under the same correlation id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub id: WriteId,
    pub result: WriteResult,
}

/// The result of a [`WriteOp`], with what was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteResult {
    Post(Draft, PostResult),
    Mark(Mark, Result<Marked, Refusal>),
    LastSeq(ChatId, Result<Seq, Refusal>),
}

/// A read mark as it stands, and its chat's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    pub read_seq: Seq,
    pub last_seq: Seq,
    /// This write raised it.
    pub is_raised: bool,
}

/// The reason for a failed write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The chat does not exist.
    NoChat,
    /// Unknown outcome: a retry may succeed.
    Unavailable,
    /// The database rejects it, and a retry would fail again.
    Failed,
}

impl From<Refusal> for PostResult {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoChat => Self::NoChat,
            Refusal::Unavailable => Self::Unavailable,
            Refusal::Failed => Self::Failed,
        }
    }
}

impl WriteOp {
    /// The chat that it changes; `None` for a read.
    #[must_use]
    pub fn changes(&self) -> Option<ChatId> {
        match self {
            Self::Post(draft) => Some(draft.chat_id),
            Self::Mark(mark) => Some(mark.chat_id),
            Self::LastSeq(_) => None,
        }
    }

    /// Its text in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Post(draft) => draft.content.as_str().len(),
            Self::Mark(_) | Self::LastSeq(_) => 0,
        }
    }

    /// Its order in the transaction: a mark may reach the messages beside it, and a read sees all.
    pub(super) fn turn(&self) -> u8 {
        match self {
            Self::Post(_) => 0,
            Self::Mark(_) => 1,
            Self::LastSeq(_) => 2,
        }
    }

    fn refused(self, refusal: Refusal) -> WriteResult {
        match self {
            Self::Post(draft) => WriteResult::Post(draft, refusal.into()),
            Self::Mark(mark) => WriteResult::Mark(mark, Err(refusal)),
            Self::LastSeq(chat) => WriteResult::LastSeq(chat, Err(refusal)),
        }
    }
}

impl Write {
    #[must_use]
    pub fn refused(self, refusal: Refusal) -> Written {
        Written { id: self.id, result: self.op.refused(refusal) }
    }
}
