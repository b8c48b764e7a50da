//! News on their way to other services: written with what they tell of, gone once they were told.

use super::{Store, StoreError};
use crate::domain::{News, Timestamp};

/// Something that is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The row, for [`Store::clear_outbox`].
    pub id: i64,
    /// By what a repeat is known, for ever.
    pub event_id: String,
    pub at: Timestamp,
    pub news: News,
}

/// How far behind other services are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxState {
    /// News that wait; 1,000,000 stands for that many or more.
    pub waiting: i64,
    /// When the longest waiting of them happened.
    pub oldest: Option<Timestamp>,
}

impl Store {
    /// The news that wait longest, at most `limit`; those of one lane in the order in which they
    /// happened.
    pub async fn outbox(&self, _limit: i64) -> Result<Vec<OutboxEntry>, StoreError> {
        Err(StoreError::Internal("to come".to_owned()))
    }

    /// Forgets what was told.
    pub async fn clear_outbox(&self, _ids: Vec<i64>) -> Result<(), StoreError> {
        Err(StoreError::Internal("to come".to_owned()))
    }

    /// How much waits.
    pub async fn outbox_state(&self) -> Result<OutboxState, StoreError> {
        Err(StoreError::Internal("to come".to_owned()))
    }

    /// Waits until this node has written news, or has since this was last asked.
    pub async fn outbox_written(&self) {
        std::future::pending::<()>().await;
    }
}
