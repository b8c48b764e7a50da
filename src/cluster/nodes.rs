//! Cluster-wide delivery and presence, over the backplane.

#![expect(clippy::disallowed_types, reason = "callers share the state; never held over an await")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::backplane::{Backplane, Delivery, Event, PublishError, Target};
use super::live_list::{Collections, LivePart};
use super::message::{Codec, PeerMessage, Received, Unread};
use super::peers::Peers;
use super::replays::{Age, Replays};
use super::seal::Seal;
use super::wire::{WireLive, WireNews, WirePost, WireUpdate};
use crate::actors::{
    Audience, Broadcast, ChatServer, CommitFeed, EndSession, Hints, IsHere, PeerChange, PeerFeed,
    PeerNews, PeerShare,
};
use crate::db::Change;
use crate::domain::{ChatId, NodeId, SessionId, Timestamp, Timings, UserId};
use crate::metrics::{AnswerOutcome, Metrics};
use crate::protocol::{ApiError, Code, Frame, Posted};
use crate::retry::LogOnce;

/// Deadline of other nodes for the search of a user.
const FIND_TIMEOUT: Duration = Duration::from_millis(500);
/// Searches in flight; one more is `unavailable`.
const MAX_SEARCHES: usize = 1_024;
/// Deadline for sending the last message.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(100);

/// All nodes, this one among them. Cheap to clone.
#[derive(Clone)]
pub struct Nodes {
    here: NodeId,
    codec: Arc<Codec>,
    backplane: Backplane,
    receivers: Receivers,
    metrics: Arc<Metrics>,
    state: Arc<Mutex<State>>,
}

/// The receivers of what other nodes tell.
#[derive(Clone)]
pub struct Receivers {
    pub chat_server: Addr<ChatServer>,
    pub commits: Arc<CommitFeed>,
    /// Told whether there are other nodes.
    pub feed: Arc<PeerFeed>,
    /// Changes that other nodes have written to the journal.
    pub changes: mpsc::Sender<Change>,
}

struct State {
    is_connected: bool,
    peers: Peers,
    replays: Replays,
    /// Messages that were ignored.
    ignored: LogOnce,
    searches: HashMap<u64, Search>,
    last_search: u64,
    collections: Collections,
    heartbeat: Duration,
    last_heartbeat: Instant,
}

/// A search for a user.
struct Search {
    /// Nodes without an answer, and for each `true` if it can answer: it was heard on the present
    /// connection.
    awaited: HashMap<NodeId, bool>,
    found: oneshot::Sender<bool>,
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::TooLarge { .. } => Self::new(Code::TooLarge, error.to_string()),
            PublishError::Full | PublishError::Unavailable => Self::unavailable(),
        }
    }
}

impl Nodes {
    #[must_use]
    pub fn new(
        here: NodeId,
        seal: Seal,
        backplane: Backplane,
        receivers: Receivers,
        metrics: Arc<Metrics>,
        timings: &Timings,
    ) -> Self {
        let state = State {
            is_connected: false,
            peers: Peers::new(Instant::now(), timings.node_silence),
            replays: Replays::default(),
            ignored: LogOnce::default(),
            searches: HashMap::new(),
            last_search: 0,
            collections: Collections::default(),
            heartbeat: timings.node_heartbeat,
            last_heartbeat: Instant::now(),
        };
        let (codec, state) = (Arc::new(Codec::new(here, seal)), Arc::new(Mutex::new(state)));
        Self { here, codec, backplane, receivers, metrics, state }
    }

    /// Sends a frame to sessions, on any node. Frames for one session, sent one after the other,
    /// arrive in order. A frame for an ended session is dropped, and counted.
    ///
    /// # Errors
    /// `unavailable` while other nodes cannot be reached; nothing was delivered then.
    pub async fn tell(&self, audience: Audience, frame: Frame) -> Result<(), ApiError> {
        let target = match audience {
            Audience::Session(session) if session.node() == self.here => {
                return self.tell_here(audience, frame).await;
            }
            Audience::Session(session) => Target::Session(session),
            Audience::User(user) => Target::User(user),
            Audience::Everybody => Target::All,
        };
        let message = self.codec.tell(audience, &frame)?;
        let delivery = self.backplane.publish(target, message).await?;
        let Some(node) = target.node() else {
            // Own sessions last: a caller that fails above and retries repeats nothing here.
            return self.tell_here(audience, frame).await;
        };
        self.metrics.gateway_answer(match delivery {
            Delivery::Sent => AnswerOutcome::Elsewhere,
            // It reconnects, or its heartbeats time out.
            Delivery::NoReceiver if self.state().peers.knows(node) => {
                return Err(ApiError::unavailable());
            }
            Delivery::NoReceiver => AnswerOutcome::Unknown,
        });
        Ok(())
    }

    /// `true` if a user has a session on any node. A node without an answer counts as `false`.
    ///
    /// # Errors
    /// `unavailable` if the user is not on this node, and others cannot be asked: all of them, or
    /// one that has not returned since the connection was lost.
    pub async fn is_online(&self, user: UserId) -> Result<bool, ApiError> {
        let here = self.receivers.chat_server.send(IsHere(user)).await;
        if here.map_err(|_| ApiError::unavailable())? {
            return Ok(true);
        }
        let Some((find, found)) = self.begin_search()? else { return Ok(false) };
        let message = self.message(PeerMessage::Find { find, user });
        self.backplane.publish(Target::All, message).await?;
        match timeout(FIND_TIMEOUT, found).await {
            Ok(answer) => answer.map_err(|_| ApiError::unavailable()),
            Err(_) if self.end_search(find) => Ok(false),
            Err(_) => Err(ApiError::unavailable()),
        }
    }

    /// Sends news to other nodes, and waits until they are on their way.
    pub(super) async fn publish(&self, target: Target, news: PeerMessage<'_>) {
        if let Err(error) = self.backplane.publish(target, self.message(news)).await {
            log::debug!("cannot publish news, other nodes poll: {error}");
        }
    }

    pub(super) fn here(&self) -> NodeId {
        self.here
    }

    pub(super) fn chat_server(&self) -> &Addr<ChatServer> {
        &self.receivers.chat_server
    }

    /// Sends a message to other nodes.
    pub(super) async fn deliver(
        &self,
        target: Target,
        message: PeerMessage<'_>,
    ) -> Result<Delivery, ApiError> {
        Ok(self.backplane.publish(target, self.message(message)).await?)
    }

    /// Registers a list that waits for every other node: its number, its parts, and how many nodes there are.
    pub(super) fn begin_collection(&self) -> (u64, mpsc::Receiver<LivePart>, usize) {
        let mut state = self.state();
        let peers = state.peers.count();
        let (id, parts) = state.collections.begin(peers);
        (id, parts, peers)
    }

    pub(super) fn end_collection(&self, id: u64) {
        self.state().collections.end(id);
    }

    /// Tells the other nodes that this one ends.
    pub async fn leave(&self) {
        let goodbye = self.backplane.publish(Target::All, self.message(PeerMessage::Gone));
        if !matches!(timeout(LEAVE_TIMEOUT, goodbye).await, Ok(Ok(_))) {
            log::debug!("cannot tell other nodes that this one ends");
        }
    }

    /// Handles the backplane's events, until its driver ends.
    pub async fn run(self, mut events: mpsc::Receiver<Event>) {
        let mut heartbeat = interval(self.state().heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(Event::Connected) => {
                        self.metrics.backplane_connected.set(1);
                        self.state().connected(self.here);
                        self.count_peers();
                        heartbeat.reset_immediately();
                    }
                    Some(Event::Disconnected) => {
                        self.metrics.backplane_connected.set(0);
                        self.state().disconnected();
                    }
                    Some(Event::Message(bytes)) => self.hear(&bytes).await,
                    None => return,
                },
                _ = heartbeat.tick() => {
                    self.heartbeat();
                }
            }
        }
    }

    /// Handles a message of another node. Unknown messages are ignored: the node may have another
    /// version.
    async fn hear(&self, bytes: &[u8]) {
        let Received { from, number, message } = match self.codec.read(bytes) {
            Ok(received) => received,
            Err(Unread::Foreign) => {
                return self.ignore("a message with a wrong tag (have all nodes one auth.secret?)");
            }
            Err(Unread::Unknown) => return self.ignore("an unknown message (of another version?)"),
        };
        if from == self.here {
            return;
        }
        let age = self.state().replays.record(from, number, Timestamp::now());
        match age {
            Age::New => {}
            Age::Repeated => return log::debug!("ignored a repeated message of {from}"),
            Age::Old => return self.ignore("an old message (are all nodes' clocks right?)"),
        }
        let Some(is_new) = self.state().peers.hear(from, Instant::now()) else {
            log::debug!("ignored {from}: it has ended, or nodes are too many");
            return;
        };
        if is_new && !matches!(message, PeerMessage::Gone) {
            log::info!("node {from} is there");
            self.count_peers();
            // So it learns of this node before the next heartbeat.
            self.send(Target::Node(from), PeerMessage::Here);
            self.change(PeerChange::Came);
        }
        match message {
            PeerMessage::Here => {}
            PeerMessage::Gone => {
                {
                    let mut state = self.state();
                    state.peers.forget(from);
                    state.answered_no(|_| true, from);
                }
                log::info!("node {from} has ended");
                self.count_peers();
                self.change(PeerChange::Left(from));
            }
            PeerMessage::Tell { to, frame } => {
                let Some(audience) = to.audience() else { return };
                if self.tell_here(audience, Frame::from(frame.get())).await.is_err() {
                    log::debug!("dropped a frame of another node: this one stops");
                }
            }
            PeerMessage::Find { find, user } => {
                let here = self.receivers.chat_server.send(IsHere(user)).await.unwrap_or(false);
                self.send(Target::Node(from), PeerMessage::Found { find, here });
            }
            PeerMessage::Found { find, here: true } => {
                if let Some(search) = self.state().searches.remove(&find) {
                    search.conclude(true);
                }
            }
            PeerMessage::Found { find, here: false } => {
                self.state().answered_no(|id| id == find, from);
            }
            PeerMessage::News(news) => self.hear_news(from, news),
            PeerMessage::Share(part) => self.pass(PeerShare { from, part: part.part() }),
            PeerMessage::AskShare => self.change(PeerChange::Asks(from)),
            PeerMessage::AskLive { ask, list } => {
                let nodes = self.clone();
                // Other messages do not wait for it.
                actix::spawn(async move { nodes.tell_live(from, ask, list).await });
            }
            PeerMessage::Live { ask, part } => self.state().collections.add(ask, part),
            PeerMessage::EndSession(session) => {
                if let Some(session) = SessionId::parse(&session) {
                    self.pass(EndSession(session));
                }
            }
        }
    }

    fn hear_news(&self, from: NodeId, news: WireNews<'_>) {
        let WireNews { posts, grown, live, chats, users, shares } = news;
        let chats = chats.into_iter().map(Change::ChatCreated);
        for change in chats.chain(users.into_iter().map(Change::UserChanged)) {
            if self.receivers.changes.try_send(change).is_err() {
                log::debug!("dropped a change of another node: it is found by the poll");
            }
        }
        if self.receivers.commits.is_watched() {
            let ends = posts.iter().map(WirePost::end).chain(grown.iter().copied());
            self.receivers.commits.committed(Hints(ends.collect()));
        }
        let mut by_chat: HashMap<ChatId, Vec<Posted>> = HashMap::new();
        for message in posts.into_iter().filter_map(WirePost::message) {
            let posts = by_chat.entry(message.chat_id).or_default();
            posts.push(Posted::new(message, None));
        }
        self.pass(PeerNews {
            from,
            posts: by_chat.into_iter().collect(),
            grown,
            live: live.into_iter().map(WireLive::event).collect(),
            shares: shares.into_iter().map(WireUpdate::update).collect(),
        });
    }

    fn heartbeat(&self) {
        let (is_connected, lost) = self.state().beat();
        if is_connected {
            self.send(Target::All, PeerMessage::Here);
        }
        for (node, last_heard) in lost {
            log::warn!("node {node} is silent, and counts as ended");
            self.change(PeerChange::Lost { node, last_heard });
        }
        self.count_peers();
    }

    fn change(&self, change: PeerChange) {
        // Bounded: one for each node that comes or goes, and two for its heartbeats.
        self.receivers.chat_server.do_send(change);
    }

    /// Passes a message on to ChatServer. Dropping one costs time alone: logs are polled, and shares
    /// have versions.
    fn pass<M>(&self, message: M)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        ChatServer: Handler<M>,
    {
        if self.receivers.chat_server.try_send(message).is_err() {
            log::debug!("dropped news of another node: ChatServer is full");
        }
    }

    fn count_peers(&self) {
        let (peers, may_have_peers) = {
            let state = self.state();
            (state.peers.count(), state.may_have_peers())
        };
        self.metrics.peers.set(i64::try_from(peers).unwrap_or(i64::MAX));
        self.receivers.feed.set_has_peers(may_have_peers);
    }

    fn ignore(&self, what: &str) {
        self.metrics.peer_messages_ignored.inc();
        self.state().ignored.warn(&format!("ignored from another node: {what}"));
    }

    async fn tell_here(&self, audience: Audience, frame: Frame) -> Result<(), ApiError> {
        let told = self.receivers.chat_server.send(Broadcast { audience, frame }).await;
        let told = told.map_err(|_| ApiError::unavailable())?;
        if let Audience::Session(session) = audience {
            self.metrics.gateway_answer(match told {
                0 => AnswerOutcome::Unknown,
                _ => AnswerOutcome::Delivered,
            });
            if told == 0 {
                log::debug!("dropped a frame: session {session} is gone, or too slow");
            }
        }
        Ok(())
    }

    /// Registers a search; `None` without other nodes.
    fn begin_search(&self) -> Result<Option<(u64, oneshot::Receiver<bool>)>, ApiError> {
        let mut state = self.state();
        let awaited = state.awaited(self.here);
        if awaited.is_empty() && state.is_connected {
            return Ok(None);
        }
        if state.searches.len() >= MAX_SEARCHES {
            state.searches.retain(|_, search| !search.found.is_closed());
        }
        if state.searches.len() >= MAX_SEARCHES {
            return Err(ApiError::unavailable());
        }
        state.last_search += 1;
        let (id, (found, answer)) = (state.last_search, oneshot::channel());
        state.searches.insert(id, Search { awaited, found });
        Ok(Some((id, answer)))
    }

    /// Ends a search at its deadline. `true` if all nodes could have answered.
    fn end_search(&self, find: u64) -> bool {
        let search = self.state().searches.remove(&find);
        search.is_some_and(|search| search.awaited.values().all(|can_answer| *can_answer))
    }

    fn send(&self, target: Target, message: PeerMessage<'_>) {
        if let Err(error) = self.backplane.send(target, self.message(message)) {
            log::debug!("cannot publish a message to other nodes: {error}");
        }
    }

    fn message(&self, message: PeerMessage<'_>) -> Vec<u8> {
        self.codec.write(message).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn connected(&mut self, here: NodeId) {
        self.is_connected = true;
        self.peers.listen(Instant::now());
        // Not asked before: messages wait while the connection opens.
        let awaited = self.awaited(here);
        self.searches.values_mut().for_each(|search| search.awaited.clone_from(&awaited));
    }

    /// Searches are dropped, which is `unavailable`.
    fn disconnected(&mut self) {
        self.is_connected = false;
        self.searches.clear();
    }

    /// `true` if other nodes can hear a heartbeat, and the nodes that are silent, with the times of
    /// their last messages.
    fn beat(&mut self) -> (bool, Vec<(NodeId, Timestamp)>) {
        let now = Instant::now();
        // A node that was stopped for a while has heard nobody in that time.
        if now.duration_since(self.last_heartbeat) > 2 * self.heartbeat {
            self.peers.listen(now);
        }
        self.last_heartbeat = now;
        if !self.is_connected {
            return (false, Vec::new());
        }
        let lost = self.peers.forget_silent(now).into_iter();
        let lost = lost.map(|(node, silence)| (node, Timestamp::now().before(silence))).collect();
        (true, lost)
    }

    fn may_have_peers(&self) -> bool {
        self.peers.may_be_more(Instant::now()) || self.peers.all().next().is_some()
    }

    /// The nodes that a search asks.
    fn awaited(&self, here: NodeId) -> HashMap<NodeId, bool> {
        let mut awaited: HashMap<_, _> = self.peers.all().collect();
        if self.peers.may_be_more(Instant::now()) {
            // This node does not answer itself, so the search lasts until its deadline.
            awaited.insert(here, true);
        }
        awaited
    }

    /// A node has answered no, or has ended. Searches without further nodes end.
    fn answered_no(&mut self, is_meant: impl Fn(u64) -> bool, node: NodeId) {
        let over = self.searches.extract_if(|id, search| {
            is_meant(*id) && search.awaited.remove(&node).is_some() && search.awaited.is_empty()
        });
        over.for_each(|(_, search)| search.conclude(false));
    }
}

impl Search {
    fn conclude(self, is_found: bool) {
        // The caller may have stopped waiting.
        let _ = self.found.send(is_found);
    }
}
