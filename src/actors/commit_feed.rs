//! Feed of commits: new ends of logs, for other nodes and for sessions that watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::db_executor::Hints;

/// Takes the new ends of logs from executors, where anybody wants them. What finds a queue full is
/// dropped: it is found by polling.
pub struct CommitFeed {
    /// To other nodes; `None` where none can be reached.
    peers: Option<mpsc::Sender<Hints>>,
    watchers: mpsc::Sender<Hints>,
    is_watched: AtomicBool,
}

impl CommitFeed {
    #[must_use]
    pub fn new(peers: Option<mpsc::Sender<Hints>>, watchers: mpsc::Sender<Hints>) -> Arc<Self> {
        Arc::new(Self { peers, watchers, is_watched: AtomicBool::new(false) })
    }

    /// A session watches, or none does.
    pub fn set_watched(&self, is_watched: bool) {
        self.is_watched.store(is_watched, Ordering::Relaxed);
    }

    fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    /// `false` where nobody wants to know.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.peers.is_some() || self.is_watched()
    }

    /// This node has committed.
    pub fn committed(&self, hints: Hints) {
        self.heard(&hints);
        if let Some(peers) = &self.peers {
            send(peers, hints);
        }
    }

    /// Another node has committed, or this one.
    pub fn heard(&self, Hints(hints): &Hints) {
        if self.is_watched() {
            send(&self.watchers, Hints(hints.clone()));
        }
    }
}

fn send(to: &mpsc::Sender<Hints>, hints: Hints) {
    if to.try_send(hints).is_err() {
        log::debug!("dropped hints: these messages are found by polling");
    }
}
