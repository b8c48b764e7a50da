//! Feed of commits: new ends of logs, for sessions that watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::db_executor::Hints;

/// Takes the new ends of logs, where a session of this node watches. What finds the queue full is
/// dropped: it is found by polling.
pub struct CommitFeed {
    watchers: mpsc::Sender<Hints>,
    is_watched: AtomicBool,
}

impl CommitFeed {
    #[must_use]
    pub fn new(watchers: mpsc::Sender<Hints>) -> Arc<Self> {
        Arc::new(Self { watchers, is_watched: AtomicBool::new(false) })
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
        if self.is_watched() && self.watchers.try_send(hints).is_err() {
            log::debug!("dropped hints: these messages are found by polling");
        }
    }
}
