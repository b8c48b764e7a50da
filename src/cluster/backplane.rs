//! Backplane: publish and subscribe between the nodes of a deployment.
//!
//! A driver is a future over a [`Port`]: it takes publications out and puts events in. It moves
//! bytes, without knowing the nodes; it may deliver to more nodes than the target's, and may lose a
//! message: the database is the truth, so a loss costs time alone.

use tokio::sync::{mpsc, oneshot};

use crate::domain::{ChatId, NodeId, SessionId, UserId};

/// The target nodes of a message. Other nodes ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Node(NodeId),
    /// The node of a session.
    Session(SessionId),
    /// All nodes that have a session of a user.
    User(UserId),
    /// All nodes that have a chat's room.
    Chat(ChatId),
    All,
}

impl Target {
    /// The target, if it is one node.
    #[must_use]
    pub fn node(self) -> Option<NodeId> {
        match self {
            Self::Node(node) => Some(node),
            Self::Session(session) => Some(session.node()),
            Self::User(_) | Self::Chat(_) | Self::All => None,
        }
    }
}

/// The outcome of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Sent, as far as the driver can tell.
    Sent,
    /// The one target node does not listen.
    NoReceiver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    #[error("the message has {bytes} bytes, the most are {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("too many messages wait to be published")]
    Full,
    #[error("other nodes cannot be reached")]
    Unavailable,
}

/// An input of a node.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// From now on messages of other nodes arrive.
    Connected,
    /// Unanswered publications may be lost.
    Disconnected,
    Message(Vec<u8>),
}

/// The bounds of one node's backplane.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a message.
    pub message_bytes: usize,
    /// Messages that wait to be published; one more is [`PublishError::Full`].
    pub publications: usize,
    /// Events that wait for the node; the driver waits for room, or refuses one more.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes: 16 * 1024 * 1024, publications: 1_024, events: 256 }
    }
}

/// Publishes to other nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Backplane {
    message_bytes: usize,
    publications: mpsc::Sender<Publication>,
}

/// The driver's end of the backplane.
pub struct Port {
    pub publications: Publications,
    pub events: mpsc::Sender<Event>,
}

pub struct Publications(mpsc::Receiver<Publication>);

/// A message to be published. Dropped, it is [`PublishError::Unavailable`].
#[derive(Debug)]
pub struct Publication {
    pub target: Target,
    pub bytes: Vec<u8>,
    /// `None` if nobody waits for the outcome.
    outcome: Option<oneshot::Sender<Result<Delivery, PublishError>>>,
}

impl Backplane {
    /// A backplane without a driver, the node's events, and the port for a driver.
    #[must_use]
    pub fn new(limits: Limits) -> (Self, mpsc::Receiver<Event>, Port) {
        let (publications, taken) = mpsc::channel(limits.publications);
        let (events, inbox) = mpsc::channel(limits.events);
        let port = Port { publications: Publications(taken), events };
        (Self { message_bytes: limits.message_bytes, publications }, inbox, port)
    }

    /// Publishes a message, and waits until the driver has sent it. Messages of one caller arrive in
    /// order.
    ///
    /// # Errors
    /// It was not sent.
    pub async fn publish(&self, target: Target, bytes: Vec<u8>) -> Result<Delivery, PublishError> {
        let (outcome, sent) = oneshot::channel();
        self.enqueue(Publication { target, bytes, outcome: Some(outcome) })?;
        sent.await.unwrap_or(Err(PublishError::Unavailable))
    }

    /// Publishes a message without waiting; it may be lost.
    ///
    /// # Errors
    /// It was not queued.
    pub fn send(&self, target: Target, bytes: Vec<u8>) -> Result<(), PublishError> {
        self.enqueue(Publication { target, bytes, outcome: None })
    }

    fn enqueue(&self, publication: Publication) -> Result<(), PublishError> {
        let (bytes, max) = (publication.bytes.len(), self.message_bytes);
        if bytes > max {
            return Err(PublishError::TooLarge { bytes, max });
        }
        self.publications.try_send(publication).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PublishError::Full,
            mpsc::error::TrySendError::Closed(_) => PublishError::Unavailable,
        })
    }
}

impl Publications {
    /// The next publication; `None` once the last [`Backplane`] is dropped. An abandoned one is
    /// skipped: its caller may have retried.
    pub async fn next(&mut self) -> Option<Publication> {
        loop {
            let publication = self.0.recv().await?;
            if !publication.is_abandoned() {
                return Some(publication);
            }
        }
    }

    /// Waits for a publication, and takes those that wait behind it, until they have so many bytes.
    /// Empty once the last [`Backplane`] is dropped.
    pub async fn gather(&mut self, bytes: usize) -> Vec<Publication> {
        let Some(first) = self.next().await else { return Vec::new() };
        let mut size = first.bytes.len();
        let mut gathered = vec![first];
        while size < bytes
            && let Ok(publication) = self.0.try_recv()
        {
            if !publication.is_abandoned() {
                size += publication.bytes.len();
                gathered.push(publication);
            }
        }
        gathered
    }

    /// Refuses every publication, until the last [`Backplane`] is dropped.
    pub async fn refuse_all(&mut self) {
        while self.0.recv().await.is_some() {}
    }
}

impl Publication {
    /// `true` if somebody waits for the outcome.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.outcome.is_some()
    }

    /// `true` if the caller has stopped waiting.
    fn is_abandoned(&self) -> bool {
        self.outcome.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    pub fn conclude(self, outcome: Result<Delivery, PublishError>) {
        if let Some(caller) = self.outcome {
            // The caller may have stopped waiting.
            let _ = caller.send(outcome);
        }
    }
}
