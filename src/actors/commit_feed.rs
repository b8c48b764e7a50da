//! Feed of commits: new ends of logs, for sessions that watch, and other nodes' new chats.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::db_executor::Hints;
use crate::domain::ChatId;

/// News that the change poller need not poll for.
pub enum Committed {
    Grown(Hints),
    /// Another node has created chats.
    Created(Vec<ChatId>),
}

/// Takes the new ends of logs, where a session of this node watches. What finds the queue full is
/// dropped: it is found by polling.
pub struct CommitFeed {
    poller: mpsc::Sender<Committed>,
    is_watched: AtomicBool,
}

impl CommitFeed {
    #[must_use]
    pub fn new(poller: mpsc::Sender<Committed>) -> Arc<Self> {
        Arc::new(Self { poller, is_watched: AtomicBool::new(false) })
    }

    /// A session watches, or none does.
    pub fn set_watched(&self, is_watched: bool) {
        self.is_watched.store(is_watched, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    /// This node has committed, or another one.
    pub fn committed(&self, hints: Hints) {
        if self.is_watched() && self.poller.try_send(Committed::Grown(hints)).is_err() {
            log::debug!("dropped hints: these messages are found by polling");
        }
    }

    /// Another node has created chats.
    pub fn created(&self, chats: Vec<ChatId>) {
        if !chats.is_empty() && self.poller.try_send(Committed::Created(chats)).is_err() {
            log::debug!("dropped news of chats: they are found by polling");
        }
    }
}
