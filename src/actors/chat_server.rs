//! The control plane: which rooms there are, who is in them, and where each user's sessions are.
//! Never on the path of a message, and never waits for the database.

mod leaving;
mod live_list;
mod messages;
mod notify;
mod peers;
mod presence;
mod viewers;
mod watching;

use std::sync::Arc;

use actix::prelude::*;

pub use live_list::{EndSession, ListRooms, ListSessions, LiveSession};
#[cfg(feature = "faults")]
pub use messages::CrashOf;
pub use messages::{
    AddWorker, Announce, ChatServerParts, ChatUpdated, CloseRest, CloseSessions, Connect,
    Disconnect, FilterNew, IsAnnounced, IsWatched, Join, Learn, Leave, OnlineOf, PeerChange,
    PeerNews, PeerShare, Recheck, RoomIs, RoomRequest, Route, UserChanged, UserState, View, Watch,
};

use self::leaving::Leaving;
use super::db_executor::{DbExecutor, ExecutorDied, ExecutorLink, Hints, WritePermits};
use super::peer_feed::News;
use super::room_actor::{
    Attach, Detach, Hint, Reopen, Retire, RoomActor, RoomNode, RoomParts, RoomReport, RoomState,
    TellOwnSessions,
};
use super::session_handle::{SessionHandle, ToSession};
use crate::domain::{
    Change, ChatId, Hub, Presence, RecentMap, RecentSet, Seq, SessionId, Timestamp, UserId,
    Viewers, access,
};
use crate::protocol::{Ending, EphemeralKey, Shared, SharedEvent};
use crate::session::{JoinChat, Purpose};

/// Messages that wait for ChatServer; a session that finds it full is told `unavailable`.
const MAILBOX: usize = 65_536;
/// Users who were changed lately, so that a session that was let in before and comes after it learns of it.
const CHANGED: usize = 4_096;
/// Chats whose making was announced lately, so that hearing of it twice announces it once.
const ANNOUNCED: usize = 16_384;

pub struct ChatServer {
    parts: ChatServerParts,
    hub: Hub<SessionHandle, Addr<RoomActor>>,
    presence: Presence,
    /// The timer of the next grace that ends is set.
    is_grace_timed: bool,
    /// The timer that tells other nodes of changes is set.
    is_share_timed: bool,
    viewers: Viewers,
    executors: Vec<(Arbiter, Arc<ExecutorLink>)>,
    /// The handles that all rooms share; `Some` once the actor has started.
    node: Option<Arc<RoomNode>>,
    workers: Vec<ArbiterHandle>,
    changed: RecentMap<UserId, UserState>,
    announced: RecentSet<ChatId>,
    /// Those of which nobody is to be told again.
    settled: RecentSet<ChatId>,
    /// There once the node leaves: a session that comes then is sent away.
    leaving: Option<Leaving>,
}

impl ChatServer {
    #[must_use]
    pub fn new(parts: ChatServerParts) -> Self {
        let announced = RecentSet::new(ANNOUNCED);
        let presence = Presence::new(parts.presence_grace);
        Self {
            parts,
            hub: Hub::default(),
            presence,
            is_grace_timed: false,
            is_share_timed: false,
            viewers: Viewers::default(),
            executors: Vec::new(),
            node: None,
            workers: Vec::new(),
            changed: RecentMap::new(CHANGED),
            announced,
            settled: RecentSet::new(ANNOUNCED),
            leaving: None,
        }
    }

    fn start_executor(
        &self,
        index: usize,
        arbiter: &ArbiterHandle,
        ctx: &Context<Self>,
    ) -> Arc<ExecutorLink> {
        let permits = Arc::new(WritePermits::new(
            self.parts.backlog,
            self.parts.metrics.writes_waiting.clone(),
        ));
        let (store, batch, metrics) =
            (self.parts.store.clone(), self.parts.batch, Arc::clone(&self.parts.metrics));
        let (theirs, chat_server) = (Arc::clone(&permits), ctx.address().recipient());
        let commits = Arc::clone(&self.parts.commits);
        let addr = DbExecutor::start_in_arbiter(arbiter, move |_| {
            DbExecutor::new(index, store, batch, theirs, metrics, chat_server, commits)
        });
        Arc::new(ExecutorLink { addr, permits })
    }

    fn executor_of(&self, chat: ChatId) -> usize {
        spread(chat, self.executors.len())
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "`spread` stays below the length, and there is at least one"
    )]
    fn executor(&self, chat: ChatId) -> &Arc<ExecutorLink> {
        &self.executors[self.executor_of(chat)].1
    }

    /// A chat's room: the one that is in place and alive, or a new one.
    fn room(&mut self, chat: ChatId, ctx: &Context<Self>) -> Addr<RoomActor> {
        match self.hub.room(chat) {
            Some(room) if room.connected() => room.clone(),
            _ => self.start_room(chat, ctx),
        }
    }

    fn node(&mut self, ctx: &Context<Self>) -> Arc<RoomNode> {
        let parts = &self.parts;
        let node = self.node.get_or_insert_with(|| {
            Arc::new(RoomNode {
                reader: parts.reader.clone(),
                reports: ctx.address().recipient(),
                own_sessions: ctx.address().recipient(),
                peers: Arc::clone(&parts.peers),
                limits: parts.room,
                timings: parts.timings,
                metrics: Arc::clone(&parts.metrics),
            })
        });
        Arc::clone(node)
    }

    /// Sessions that were in a room before are in this one, and go on where they are.
    fn start_room(&mut self, chat: ChatId, ctx: &Context<Self>) -> Addr<RoomActor> {
        let generation = self.hub.next_generation();
        let executor = self.executor(chat).clone();
        let parts = RoomParts { chat, generation, executor, node: self.node(ctx) };
        let room = match self.workers.get(spread(chat, self.workers.len())) {
            Some(worker) => RoomActor::start_in_arbiter(worker, move |_| RoomActor::new(parts)),
            None => RoomActor::new(parts).start(),
        };
        self.hub.open(chat, room.clone(), generation);
        for (_, session) in self.hub.sessions_in(chat) {
            room.do_send(Attach {
                session: session.clone(),
                after: None,
                known: Seq::ZERO,
                online: None,
                purpose: Purpose::Replaced,
            });
        }
        room
    }

    fn join(
        &mut self,
        session: &SessionHandle,
        join: JoinChat,
        purpose: Purpose,
        ctx: &Context<Self>,
    ) {
        let JoinChat { chat, after, last_seq: known, is_member, members } = join;
        let room = self.room(chat, ctx);
        let shows_presence = is_member && members.is_some();
        if self.hub.join(session.id(), chat, shows_presence) {
            // Later changes reach the room behind this message.
            let online = members.map(|members| self.online_among(&members).collect());
            let enters = matches!(purpose, Purpose::Join(_));
            room.do_send(Attach { session: session.clone(), after, known, online, purpose });
            if enters && access::may_view(session.role()) {
                self.tell_viewers_to(chat, [session].into_iter());
            }
        }
    }
}

impl ChatServer {
    /// Forgets a session that has ended, or is about to.
    fn disconnect(&mut self, session: SessionId, ctx: &mut Context<Self>) {
        let Some(gone) = self.hub.disconnect(session) else { return };
        for chat in &gone.rooms {
            if let Some(room) = self.hub.room(*chat) {
                room.do_send(Detach(session));
            }
        }
        self.parts.commits.set_watched(self.hub.is_watched());
        if self.viewers.views(session) {
            self.presence.record(Change::Views(session, None));
            self.tell_share_later(ctx);
        }
        if let Some(chat) = self.viewers.end(session) {
            self.tell_viewers(chat);
        }
        if gone.is_last {
            self.went(gone.user, gone.shown_in, ctx);
        }
    }
}

impl ChatServer {
    /// Tells a session of a change of its user that was read after its user was.
    fn tell_what_changed(&self, session: &SessionHandle, as_of: Timestamp) {
        if let Some(state) = self.changed.get(&session.user()).filter(|state| state.as_of >= as_of)
        {
            tell_changed(session, state);
        }
    }

    fn tell_own_sessions(&self, TellOwnSessions { event, origin }: TellOwnSessions) {
        let (key, shared) = (EphemeralKey::from(&event), Shared::new(SharedEvent::Live(event)));
        for (id, session) in self.hub.sessions_of(event.user) {
            let is_told = Some(id) != origin && !self.hub.is_in(id, event.chat);
            if is_told && !session.ephemeral(key, &shared) {
                self.parts.metrics.live_events_dropped.inc();
            }
        }
    }
}

/// Tells a session of its user's state.
fn tell_changed(session: &SessionHandle, UserState { role, blocked, ended, .. }: &UserState) {
    if *blocked {
        session.close(Ending::Blocked);
    } else {
        session.send(ToSession::UserChanged { role: *role, ended: Arc::clone(ended) });
    }
}

/// The index below `count` for a chat, always the same one.
fn spread(chat: ChatId, count: usize) -> usize {
    usize::try_from(chat.0.unsigned_abs()).unwrap_or_default() % count.max(1)
}

impl Actor for ChatServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        for index in 0..self.parts.executors.max(1) {
            let arbiter = Arbiter::new();
            let link = self.start_executor(index, &arbiter.handle(), ctx);
            self.executors.push((arbiter, link));
        }
        ctx.run_interval(peers::TELL_VERSION, |this, _| this.tell_share());
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        for (arbiter, _) in &self.executors {
            arbiter.stop();
        }
    }
}

impl Handler<Connect> for ChatServer {
    type Result = ();

    fn handle(&mut self, connect: Connect, ctx: &mut Self::Context) {
        let Connect { session, join, chats, as_of } = connect;
        if self.leaving.is_some() {
            session.close(Ending::Shutdown);
            return;
        }
        let (most, user) = (self.parts.sessions_per_user, session.user());
        let is_first = !self.hub.has_session(user);
        let oldest = self.hub.connect(session.id(), user, session.clone(), most);
        if is_first {
            self.came(user, &chats, ctx);
        }
        if let Some(oldest) = oldest {
            if let Some(oldest) = self.hub.session(oldest) {
                oldest.close(Ending::Replaced);
            }
            self.disconnect(oldest, ctx);
        }
        for chat in chats {
            self.join(&session, chat, Purpose::Join(join), ctx);
        }
        self.tell_what_changed(&session, as_of);
    }
}

impl Handler<Join> for ChatServer {
    type Result = ();

    fn handle(&mut self, Join { session, join, chats }: Join, ctx: &mut Self::Context) {
        self.came_to(session.user(), &chats, ctx);
        for chat in chats {
            self.join(&session, chat, Purpose::Join(join), ctx);
        }
    }
}

impl Handler<Leave> for ChatServer {
    type Result = ();

    fn handle(&mut self, Leave { session, chats }: Leave, _: &mut Self::Context) {
        for chat in chats {
            if self.hub.leave(session, chat)
                && let Some(room) = self.hub.room(chat)
            {
                room.do_send(Detach(session));
            }
        }
    }
}

impl Handler<Disconnect> for ChatServer {
    type Result = ();

    fn handle(&mut self, Disconnect(session): Disconnect, ctx: &mut Self::Context) {
        self.disconnect(session, ctx);
    }
}

impl Handler<Watch> for ChatServer {
    type Result = ();

    fn handle(&mut self, Watch { session, watching }: Watch, _: &mut Self::Context) {
        self.hub.watch(session, watching);
        self.parts.commits.set_watched(self.hub.is_watched());
    }
}

impl Handler<Route> for ChatServer {
    type Result = ();

    fn handle(&mut self, Route { chat, request, learn }: Route, ctx: &mut Self::Context) {
        let room = self.room(chat, ctx);
        // Dropped where the room has just ended, the request is answered `unavailable`.
        drop(request.send_to(&room));
        // Bounded: one for each request that was routed.
        match learn {
            Learn::Directory(directory) => directory.do_send(RoomIs { chat, room }),
            Learn::Session(session) => session.send(ToSession::RoomIs { chat, room }),
        }
    }
}

impl Handler<TellOwnSessions> for ChatServer {
    type Result = ();

    fn handle(&mut self, tell: TellOwnSessions, _: &mut Self::Context) {
        self.tell_own_sessions(tell);
    }
}

impl Handler<UserChanged> for ChatServer {
    type Result = ();

    fn handle(&mut self, changed: UserChanged, _: &mut Self::Context) {
        if changed.changed_here {
            self.parts.peers.send(News::UserChanged(changed.user));
        }
        for (_, session) in self.hub.sessions_of(changed.user) {
            tell_changed(session, &changed.state);
        }
        let known = self.changed.get(&changed.user);
        if known.is_none_or(|known| known.as_of <= changed.state.as_of) {
            self.changed.insert(changed.user, changed.state);
        }
    }
}

impl Handler<Recheck> for ChatServer {
    type Result = ();

    fn handle(&mut self, Recheck { session, as_of }: Recheck, _: &mut Self::Context) {
        if let Some(session) = self.hub.session(session) {
            self.tell_what_changed(session, as_of);
        }
    }
}

impl Handler<CloseRest> for ChatServer {
    type Result = ();

    fn handle(&mut self, _: CloseRest, _: &mut Self::Context) {
        self.close_rest();
    }
}

impl Handler<Hints> for ChatServer {
    type Result = ();

    fn handle(&mut self, Hints(hints): Hints, _: &mut Self::Context) {
        for (chat, end) in hints {
            if let Some(room) = self.hub.room(chat) {
                // Bounded: one for each room, and poll or message of another node.
                room.do_send(Hint(end));
            }
        }
    }
}

impl Handler<IsWatched> for ChatServer {
    type Result = bool;

    fn handle(&mut self, _: IsWatched, _: &mut Self::Context) -> bool {
        self.hub.is_watched()
    }
}

impl Handler<RoomReport> for ChatServer {
    type Result = ();

    fn handle(&mut self, report: RoomReport, ctx: &mut Self::Context) {
        let RoomReport { chat, generation, state } = report;
        let is_current = self.hub.is_current(chat, generation);
        match (self.hub.retire(chat, generation), state) {
            // Out of the map first: nobody is sent to it any more.
            (Some(room), RoomState::Idle) => room.do_send(Retire),
            (None, RoomState::Died) if is_current => drop(self.start_room(chat, ctx)),
            _ => {}
        }
    }
}

impl Handler<ExecutorDied> for ChatServer {
    type Result = ();

    fn handle(&mut self, ExecutorDied { index }: ExecutorDied, ctx: &mut Self::Context) {
        let Some((arbiter, _)) = self.executors.get(index) else { return };
        let link = self.start_executor(index, &arbiter.handle(), ctx);
        if let Some((_, place)) = self.executors.get_mut(index) {
            *place = link.clone();
        }
        for (chat, room) in self.hub.rooms() {
            if self.executor_of(chat) == index {
                room.do_send(Reopen(link.clone()));
            }
        }
    }
}

impl Handler<AddWorker> for ChatServer {
    type Result = ();

    fn handle(&mut self, AddWorker(worker): AddWorker, _: &mut Self::Context) {
        self.workers.push(worker);
    }
}

#[cfg(feature = "faults")]
impl Handler<CrashOf> for ChatServer {
    type Result = ();

    fn handle(&mut self, crash: CrashOf, _: &mut Self::Context) {
        match crash {
            CrashOf::Session(session) => {
                if let Some(session) = self.hub.session(session) {
                    session.crash();
                }
            }
            CrashOf::Room(chat) => {
                if let Some(room) = self.hub.room(chat) {
                    room.do_send(super::Crash);
                }
            }
            CrashOf::Executor(index) => {
                if let Some((_, link)) = self.executors.get(index) {
                    link.addr.do_send(super::Crash);
                }
            }
        }
    }
}
