//! Change journal: how nodes learn of each other's changes, with or without a bus.

use diesel::{ExpressionMethods, QueryDsl};

use super::backend::{read, transact};
use super::schema::journal;
use super::{Store, StoreError};
use crate::domain::{ChatId, Seq, Timestamp, UserId};

/// A change that live sessions must learn of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Blocked, unblocked, or of another role.
    UserChanged(UserId),
    ChatCreated(ChatId),
}

/// A change, and its time. It may become visible later than its time says: overlap reads, and
/// deduplicate by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalEntry {
    pub id: i64,
    pub at: Timestamp,
    pub change: Change,
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
    /// The chats whose last `seq` is above the known one.
    pub async fn moved(&self, known: Vec<(ChatId, Seq)>) -> Result<Vec<(ChatId, Seq)>, StoreError> {
        read!(self, |connection| { run!(dialect::moved(connection, &known)) })
    }

    /// Entries at `since` or later, by the database's clock, the oldest first.
    pub async fn journal(
        &self,
        since: Timestamp,
        limit: i64,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let rows: Vec<(i64, Timestamp, String, i64)> = read!(self, |connection| {
            let entries = journal::table
                .filter(journal::at.ge(since))
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

    /// The database's clock.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        read!(self, |connection| { run!(dialect::now(connection)) })
    }

    /// Deletes entries before a time, and returns their number.
    pub async fn prune_journal(&self, before: Timestamp) -> Result<usize, StoreError> {
        transact!(self, |connection| {
            let old = journal::table.filter(journal::at.lt(before));
            run!(diesel::delete(old).execute(connection))
        })
    }
}
