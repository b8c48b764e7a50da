//! Changes: how nodes learn what others did, from the journal and from the ends of chats' logs.

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl};

use super::backend::{read, transact};
use super::schema::{chats, journal};
use super::{Store, StoreError};
use crate::domain::{ChatId, Seq, Timestamp, UserId};

/// A change that live sessions must learn of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Blocked, unblocked, or of another role.
    UserChanged(UserId),
    ChatCreated(ChatId),
}

/// A place in the order of changes: by time, and then by id. A change may become visible later than
/// its time says ([`Store::settled`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub at: Timestamp,
    pub id: i64,
}

/// Before all changes of this time.
impl From<Timestamp> for Place {
    fn from(at: Timestamp) -> Self {
        Self { at, id: 0 }
    }
}

/// The end of a chat's log, and the time of the last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatEnd {
    pub chat: ChatId,
    pub seq: Seq,
    pub at: Timestamp,
}

impl ChatEnd {
    #[must_use]
    pub fn place(&self) -> Place {
        Place { at: self.at, id: self.chat.0 }
    }
}

/// A change that stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalEntry {
    pub id: i64,
    pub at: Timestamp,
    pub change: Change,
}

impl JournalEntry {
    #[must_use]
    pub fn place(&self) -> Place {
        Place { at: self.at, id: self.id }
    }
}

const USER_CHANGED: &str = "user_changed";
const CHAT_CREATED: &str = "chat_created";

/// A row of the journal, to be inserted.
pub struct NewJournalEntry {
    pub kind: &'static str,
    pub subject: i64,
}

impl From<Change> for NewJournalEntry {
    fn from(change: Change) -> Self {
        match change {
            Change::UserChanged(user) => Self { kind: USER_CHANGED, subject: user.0 },
            Change::ChatCreated(chat) => Self { kind: CHAT_CREATED, subject: chat.0 },
        }
    }
}

impl Store {
    /// The ends of the chats that moved after a place, the oldest first. The cost grows with the
    /// chats that moved since the minute of that place, and with no others.
    pub async fn chat_ends(
        &self,
        after: impl Into<Place>,
        limit: i64,
    ) -> Result<Vec<ChatEnd>, StoreError> {
        let Place { at, id } = after.into();
        let rows: Vec<(ChatId, Seq, Timestamp)> = read!(self, |connection| {
            // The minutes are indexed.
            let ends = chats::table
                .filter(chats::active_minute.ge(at.minutes()))
                .filter(chats::updated_at.ge(at))
                .filter(chats::updated_at.gt(at).or(chats::id.gt(ChatId(id))))
                .order((chats::active_minute, chats::updated_at, chats::id))
                .limit(limit)
                .select((chats::id, chats::last_seq, chats::updated_at));
            run!(ends.load(connection))
        })?;
        Ok(rows.into_iter().map(|(chat, seq, at)| ChatEnd { chat, seq, at }).collect())
    }

    /// Entries after a place, by the database's clock, the oldest first.
    pub async fn journal(
        &self,
        after: impl Into<Place>,
        limit: i64,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let Place { at, id } = after.into();
        let rows: Vec<(i64, Timestamp, String, i64)> = read!(self, |connection| {
            let entries = journal::table
                .filter(journal::at.ge(at))
                .filter(journal::at.gt(at).or(journal::id.gt(id)))
                .order((journal::at, journal::id))
                .limit(limit)
                .select((journal::id, journal::at, journal::kind, journal::subject_id));
            run!(entries.load(connection))
        })?;
        let entry = |(id, at, kind, subject): (i64, Timestamp, String, i64)| {
            let change = match kind.as_str() {
                USER_CHANGED => Change::UserChanged(UserId(subject)),
                CHAT_CREATED => Change::ChatCreated(ChatId(subject)),
                // Written by a newer version, during an upgrade.
                _ => return None,
            };
            Some(JournalEntry { id, at, change })
        };
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    /// The latest time, by the database's clock, before which all changes are committed: now, or the
    /// begin of the oldest transaction that writes and has not ended. No span of time would do: a
    /// COMMIT may wait for a disk or a standby for as long as it takes.
    pub async fn settled(&self) -> Result<Timestamp, StoreError> {
        read!(self, |connection| { run!(dialect::settled(connection)) })
    }

    /// Deletes entries before a time, and returns their number.
    pub async fn prune_journal(&self, before: Timestamp) -> Result<usize, StoreError> {
        transact!(self, |connection| {
            let old = journal::table.filter(journal::at.lt(before));
            run!(diesel::delete(old).execute(connection))
        })
    }
}
