//! Feed of news for other nodes: messages, live states, this node's share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use crate::domain::{ChatId, LiveEvent, NodeId, Seq, SharePart, Update, UserId};
use crate::metrics::Metrics;
use crate::protocol::Posted;

/// News of this node. Losing one costs time alone: logs are polled, and shares have versions.
#[derive(Debug)]
pub enum News {
    /// A message is in the log.
    Posted(Posted),
    /// A log has grown by a message that nobody here shows.
    Grown(ChatId, Seq),
    /// A chat was made.
    ChatCreated(ChatId),
    /// A user was blocked or unblocked, or has another role.
    UserChanged(UserId),
    /// Typing, or a read mark.
    Live(LiveEvent),
    /// Changes of this node's share, or its version alone.
    Share(Update),
    /// This node's whole share, for one node.
    WholeShare(NodeId, Vec<SharePart>),
    /// Asks a node for its whole share.
    AskShare(NodeId),
}

/// Takes news where other nodes may hear them. What finds the queue full is dropped.
pub struct PeerFeed {
    news: mpsc::Sender<News>,
    has_peers: AtomicBool,
    metrics: Arc<Metrics>,
}

impl PeerFeed {
    #[must_use]
    pub fn new(news: mpsc::Sender<News>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { news, has_peers: AtomicBool::new(false), metrics })
    }

    /// Other nodes can be reached, or cannot.
    pub fn set_has_peers(&self, has_peers: bool) {
        self.has_peers.store(has_peers, Ordering::Relaxed);
    }

    #[must_use]
    pub fn has_peers(&self) -> bool {
        self.has_peers.load(Ordering::Relaxed)
    }

    /// Hands news on, where there are other nodes.
    pub fn send(&self, news: News) {
        if self.has_peers() && self.news.try_send(news).is_err() {
            self.metrics.peer_news_dropped.inc();
        }
    }
}
