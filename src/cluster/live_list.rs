//! Lists of what is live on all nodes, for operators: each node tells its own part.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::Nodes;
use super::backplane::{Delivery, Target};
use super::message::PeerMessage;
use crate::actors::{AskPosition, EndSession, ListRooms, ListSessions};
use crate::domain::{NodeId, SessionId, UserId};
use crate::protocol::{ApiError, LiveRoomView, LiveSessionView};

/// Sessions, and rooms, that one node tells of.
const MOST: usize = 1_000;
/// Rooms that are asked at once.
const ASKED: usize = 64;
/// Deadline of other nodes.
const TIMEOUT: Duration = Duration::from_millis(500);

/// The list that is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveList {
    Sessions { user: Option<UserId> },
    Rooms,
}

/// One node's part.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LivePart {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<LiveSessionView>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rooms: Vec<LiveRoomView>,
    /// There are more.
    #[serde(default)]
    pub truncated: bool,
}

impl LivePart {
    fn add(&mut self, part: Self) {
        self.sessions.extend(part.sessions);
        self.rooms.extend(part.rooms);
        self.truncated |= part.truncated;
    }
}

impl Nodes {
    /// Lists what is live, on every node that answers in time.
    ///
    /// # Errors
    /// `unavailable` while this node stops.
    pub async fn live(&self, list: LiveList) -> Result<LivePart, ApiError> {
        let mut all = self.live_here(list).await?;
        let (id, mut parts, peers) = self.begin_collection();
        if peers == 0 {
            return Ok(all);
        }
        self.publish(Target::All, PeerMessage::AskLive { ask: id, list }).await;
        let deadline = Instant::now() + TIMEOUT;
        for _ in 0..peers {
            match timeout_at(deadline, parts.recv()).await {
                Ok(Some(part)) => all.add(part),
                Ok(None) | Err(_) => {
                    all.truncated = true;
                    break;
                }
            }
        }
        self.end_collection(id);
        Ok(all)
    }

    /// Ends a session, on whatever node it is.
    ///
    /// # Errors
    /// `session_not_found`, `unavailable`.
    pub async fn end_session(&self, id: SessionId) -> Result<(), ApiError> {
        let is_told = if id.node() == self.here() {
            self.chat_server().send(EndSession(id)).await.map_err(|_| ApiError::unavailable())?
        } else {
            let message = PeerMessage::EndSession(id.to_string());
            self.deliver(Target::Session(id), message).await? == Delivery::Sent
        };
        is_told.then_some(()).ok_or_else(|| ApiError::session_not_found(&id))
    }

    /// Answers another node.
    pub(super) async fn tell_live(&self, to: NodeId, ask: u64, list: LiveList) {
        if let Ok(part) = self.live_here(list).await {
            self.publish(Target::Node(to), PeerMessage::Live { ask, part }).await;
        }
    }

    async fn live_here(&self, list: LiveList) -> Result<LivePart, ApiError> {
        let (server, node) = (self.chat_server(), self.here());
        let mut part = LivePart::default();
        // One more than is told shows that there are more.
        let most = MOST + 1;
        match list {
            LiveList::Sessions { user } => {
                let sessions = server.send(ListSessions { user, most }).await;
                let sessions = sessions.map_err(|_| ApiError::unavailable())?;
                part.truncated = sessions.len() > MOST;
                part.sessions = sessions
                    .into_iter()
                    .take(MOST)
                    .map(|session| LiveSessionView {
                        id: session.id.to_string(),
                        node: node.to_string(),
                        user_id: session.user,
                        role: session.role.as_str().to_owned(),
                        connected_at: session.since.to_string(),
                        chats: session.chats,
                        watches: session.watches,
                        waiting_events: session.waiting.0,
                        waiting_bytes: session.waiting.1,
                    })
                    .collect();
            }
            LiveList::Rooms => {
                let rooms = server.send(ListRooms { most }).await;
                let rooms = rooms.map_err(|_| ApiError::unavailable())?;
                part.truncated = rooms.len() > MOST;
                let shown = stream::iter(rooms.into_iter().take(MOST)).map(|live| async move {
                    LiveRoomView {
                        chat_id: live.chat,
                        node: node.to_string(),
                        sessions: live.sessions,
                        // One that retired meanwhile has no position.
                        last_seq: live.room.send(AskPosition).await.ok().flatten(),
                    }
                });
                part.rooms = shown.buffered(ASKED).collect().await;
            }
        }
        Ok(part)
    }
}

/// Lists that wait for the parts of other nodes.
#[derive(Default)]
pub(super) struct Collections {
    last: u64,
    open: std::collections::HashMap<u64, mpsc::Sender<LivePart>>,
}

impl Collections {
    /// Registers a list that waits for at most `parts`.
    pub fn begin(&mut self, parts: usize) -> (u64, mpsc::Receiver<LivePart>) {
        self.open.retain(|_, parts| !parts.is_closed());
        self.last += 1;
        let (tell, told) = mpsc::channel(parts.max(1));
        self.open.insert(self.last, tell);
        (self.last, told)
    }

    pub fn end(&mut self, id: u64) {
        self.open.remove(&id);
    }

    /// Adds a part. One that comes late, or twice, is dropped.
    pub fn add(&mut self, id: u64, part: LivePart) {
        if let Some(parts) = self.open.get(&id)
            && parts.try_send(part).is_err()
        {
            log::debug!("dropped a part of a list: it is complete");
        }
    }
}
