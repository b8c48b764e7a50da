//! A chat's live side: its sessions, the order of what they see, and the way into the log.

mod lifecycle;
mod live;
mod messages;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

pub use messages::{
    AskPosition, Attach, Detach, Hint, MarkRead, Post, PostedElsewhere, Reopen, ReplayPage, Reply,
    Retire, RoomLimits, RoomNode, RoomParts, RoomReport, RoomState, TellOwnSessions, TellPresence,
    ToldElsewhere, Typing,
};

use super::db_executor::{Answers, CloseRoom, Submit};
use super::page_reader::{PageRead, ReadPage};
use super::peer_feed::News;
use super::session_handle::{SessionHandle, ToSession};
use crate::db::{Mark, Marked, Range, Refusal, Write, WriteId, WriteOp, WriteResult, Written};
use crate::domain::{
    Author, ChatId, Draft, Idle, LiveStates, Message, Origin, PostResult, Receipt, Replay, Room,
    Seq, Sequenced, SessionId, Step,
};
use crate::metrics::Part;
use crate::protocol::{ApiError, Codec, MarkView, Posted};
use crate::session::{Attached, MarkOutcome, PostOutcome};

/// Messages that wait in a room's mailbox; one more is `unavailable` to its author.
const MAILBOX: usize = 1024;

/// Time in which a message of another node may arrive that is missing before a later one: news are
/// gathered for up to 12 ms, and a read costs more than they do.
const ON_THE_WAY: Duration = Duration::from_millis(20);

/// A write that the executor has not answered.
enum InFlight {
    Open,
    Post(PendingPost),
    Mark { origin: Option<SessionId>, reply: Reply<MarkOutcome> },
}

/// The room's part of a post while its draft is with the executor.
struct PendingPost {
    author: Arc<Author>,
    origin: Option<Origin>,
    reply: Reply<PostOutcome>,
}

/// The requester of a page.
#[derive(Default)]
struct Readers {
    room: bool,
    sessions: Vec<SessionHandle>,
}

enum State {
    /// The log's end is not known yet: everything waits.
    Opening {
        attaching: Vec<Attach>,
        posting: Vec<Post>,
        hint: Seq,
    },
    Open(Room<Posted>),
    /// Retired: every message is forwarded to the next room.
    Retired,
}

pub struct RoomActor {
    parts: RoomParts,
    state: State,
    sessions: Vec<SessionHandle>,
    /// By the number in their correlation ids.
    in_flight: HashMap<u64, InFlight>,
    last_write: u64,
    /// To the authors of what is stored and not delivered yet.
    replies: HashMap<Seq, (PostResult, Reply<PostOutcome>)>,
    reads: HashMap<(Seq, Seq), Readers>,
    /// The question where the log ends is under way, or will be asked again soon.
    asking: bool,
    idle: Idle,
    /// There once somebody has typed, or read.
    live: Option<Box<LiveStates>>,
    /// The timer that ends the next typing is set.
    is_typing_timed: bool,
}

impl RoomActor {
    #[must_use]
    pub fn new(parts: RoomParts) -> Self {
        parts.node.metrics.rooms.inc();
        let state = State::Opening { attaching: Vec::new(), posting: Vec::new(), hint: Seq::ZERO };
        let (sessions, in_flight, reads) = (Vec::new(), HashMap::new(), HashMap::new());
        Self {
            parts,
            state,
            sessions,
            in_flight,
            last_write: 0,
            replies: HashMap::new(),
            reads,
            asking: false,
            idle: Idle::default(),
            live: None,
            is_typing_timed: false,
        }
    }

    /// A dead executor is replaced, and the room told; what it swallows is answered then.
    fn submit(&mut self, op: WriteOp, in_flight: InFlight) {
        self.last_write += 1;
        self.in_flight.insert(self.last_write, in_flight);
        let id = WriteId { source: self.parts.generation, number: self.last_write };
        self.parts.executor.addr.do_send(Submit(Write { id, op }));
    }

    fn attach(&mut self, attach: Attach, ctx: &mut Context<Self>) {
        let Attach { session, after, known, online, purpose } = attach;
        let State::Open(room) = &self.state else { return };
        // What other nodes stored is missing here only until it is read.
        let head = room.head().max(known);
        let replay = Replay::plan(head, after, self.parts.node.limits.replay);
        self.sessions.retain(|other| other.id() != session.id());
        let (chat, room) = (self.parts.chat, ctx.address());
        // Bounded: one answer for each attach, which ChatServer alone sends.
        let reads = self.live.as_ref().map(|live| live.reads.all()).unwrap_or_default();
        let attached = Attached { chat, room, head, replay, online, reads, purpose };
        session.send(ToSession::Attached(Box::new(attached)));
        if !replay.truncated {
            // Most rooms have one session, and there are many rooms.
            self.sessions.reserve_exact(usize::from(self.sessions.is_empty()));
            self.sessions.push(session);
        }
        self.step(|room| room.hinted(known), ctx);
    }

    fn post(&mut self, post: Post) {
        let State::Open(room) = &mut self.state else { return };
        if room.load() >= self.parts.node.limits.posts || !self.parts.executor.permits.take() {
            self.parts.node.metrics.messages_unavailable.inc();
            post.reply.send(PostOutcome::Stored(PostResult::Unavailable));
            return;
        }
        room.posted();
        let Post { draft, author, origin, reply } = post;
        self.submit(WriteOp::Post(draft), InFlight::Post(PendingPost { author, origin, reply }));
    }

    /// Does what the order of the chat asks for next.
    fn step(
        &mut self,
        decide: impl FnOnce(&mut Room<Posted>) -> Vec<Step<Posted>>,
        ctx: &mut Context<Self>,
    ) {
        let State::Open(room) = &mut self.state else { return };
        let (steps, head) = (decide(room), room.head());
        for step in steps {
            match step {
                Step::Deliver(messages) => self.deliver(messages),
                Step::Read { up_to, .. } if self.parts.node.peers.has_peers() => {
                    ctx.run_later(ON_THE_WAY, move |this, ctx| this.read_if_missing(up_to, ctx));
                }
                Step::Read { after, up_to } => self.read_missing(after, up_to, ctx),
            }
        }
        // What was read from the log before its own answer came has been delivered as another's.
        for (_, (stored, reply)) in self.replies.extract_if(|seq, _| *seq <= head) {
            reply.send(PostOutcome::Stored(stored));
        }
    }

    fn deliver(&mut self, messages: Vec<Posted>) {
        let (chat, messages) = (self.parts.chat, Arc::<[Posted]>::from(messages));
        let weight = messages.iter().map(Posted::weight).sum();
        for posted in &*messages {
            let is_origin = |session: &SessionHandle| {
                posted.origin().is_some_and(|origin| origin.session == session.id())
            };
            // Here, where the message was just made: for sessions on other threads its texts would
            // first have to come from this core's cache. In no wire format that nobody needs.
            for codec in Codec::ALL {
                let needs = |session| SessionHandle::codec(session) == codec && !is_origin(session);
                if self.sessions.iter().any(needs) {
                    drop(posted.frame(codec));
                }
            }
        }
        let mut delivered = 0;
        self.sessions.retain(|session| {
            let keeps_up = session.deliver(chat, &messages, weight);
            if keeps_up {
                delivered += messages.len() as u64;
            }
            keeps_up
        });
        self.parts.node.metrics.deliveries.inc_by(delivered);
        for posted in &*messages {
            let Some((stored, reply)) = self.replies.remove(&posted.seq()) else { continue };
            let attached =
                |origin: Origin| self.sessions.iter().any(|other| other.id() == origin.session);
            if posted.origin().is_some_and(attached) {
                // The message itself is the answer, at its place in the author's stream.
                reply.forget();
            } else {
                reply.send(PostOutcome::Stored(stored));
            }
        }
    }

    /// Reads what another node has stored, unless it has come meanwhile.
    fn read_if_missing(&mut self, up_to: Seq, ctx: &mut Context<Self>) {
        let State::Open(room) = &mut self.state else { return };
        let head = room.head();
        if head < up_to {
            return self.read_missing(head, up_to, ctx);
        }
        room.read_dropped();
        self.step(|room| room.hinted(Seq::ZERO), ctx);
        // It was not empty meanwhile.
        self.linger(ctx);
    }

    fn read_missing(&mut self, after: Seq, up_to: Seq, ctx: &Context<Self>) {
        self.parts.node.metrics.holes_repaired.inc();
        self.reads.entry((after, up_to)).or_default().room = true;
        self.read(after, up_to, ctx);
    }

    fn read(&self, after: Seq, up_to: Seq, ctx: &Context<Self>) {
        let range = Range { chat_id: self.parts.chat, after, up_to };
        // Bounded: one read of the room's own, and one of each session that waits for a page.
        self.parts.node.reader.do_send(ReadPage { range, room: ctx.address().recipient() });
    }

    fn stored(&mut self, post: PendingPost, draft: Draft, stored: PostResult) -> Option<Posted> {
        let PendingPost { author, origin, reply } = post;
        let metrics = &self.parts.node.metrics;
        match stored {
            PostResult::New(Receipt { id, seq, created_at }, ref nickname) => {
                let author = named(author, nickname.as_deref());
                metrics.messages_stored.inc();
                if matches!(self.state, State::Retired) {
                    // Nobody is here to see it; the next room begins after it, or finds it.
                    self.parts.node.peers.send(News::Grown(self.parts.chat, seq));
                    reply.send(PostOutcome::Stored(stored));
                    return None;
                }
                self.replies.insert(seq, (stored, reply));
                let message = Message {
                    id,
                    chat_id: draft.chat_id,
                    seq,
                    kind: draft.kind,
                    author,
                    content: draft.content.into_string(),
                    client_id: draft.client_id.into_string(),
                    created_at,
                };
                let posted = Posted::new(message, origin);
                if self.parts.node.peers.has_peers() {
                    self.parts.node.peers.send(News::Posted(posted.clone()));
                }
                Some(posted)
            }
            other => {
                match other {
                    PostResult::Duplicate(_) => drop(metrics.messages_duplicate.inc()),
                    PostResult::Unavailable => drop(metrics.messages_unavailable.inc()),
                    _ => {}
                }
                reply.send(PostOutcome::Stored(other));
                None
            }
        }
    }
}

/// A read mark as the wire shows it, or the reason for a refusal.
fn mark_view(chat: ChatId, marked: Result<Marked, Refusal>) -> Result<MarkView, ApiError> {
    match marked {
        Ok(Marked { read_seq, last_seq, .. }) => {
            Ok(MarkView { read_seq, unread: read_seq.until(last_seq) })
        }
        Err(Refusal::NoChat) => Err(ApiError::chat_not_found(chat)),
        Err(Refusal::Unavailable) => Err(ApiError::unavailable()),
        Err(Refusal::Failed) => Err(ApiError::internal()),
    }
}

/// The author under the nickname that the log shows: a session's own may be an older one.
fn named(author: Arc<Author>, nickname: Option<&str>) -> Arc<Author> {
    if author.nickname.as_deref() == nickname {
        return author;
    }
    Arc::new(Author { id: author.id, nickname: nickname.map(str::to_owned), role: author.role })
}

impl Actor for RoomActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.open(ctx);
    }
}

impl Drop for RoomActor {
    fn drop(&mut self) {
        let RoomParts { chat, generation, executor, node } = &self.parts;
        node.metrics.rooms.dec();
        executor.addr.do_send(CloseRoom { generation: *generation });
        if std::thread::panicking() {
            node.metrics.panicked(Part::Room);
            log::error!("the room of chat {chat} died of a panic and is replaced");
        }
        if !matches!(self.state, State::Retired) {
            let (chat, generation, state) = (*chat, *generation, RoomState::Died);
            node.reports.do_send(RoomReport { chat, generation, state });
        }
    }
}

impl Handler<Attach> for RoomActor {
    type Result = ();

    fn handle(&mut self, attach: Attach, ctx: &mut Self::Context) {
        match &mut self.state {
            State::Opening { attaching, .. } => {
                attaching.push(attach);
                self.open(ctx);
            }
            State::Open(_) => self.attach(attach, ctx),
            // ChatServer took this room out before it said so, and sends nobody here any more.
            State::Retired => {
                let (chat, Attach { session, purpose, .. }) = (self.parts.chat, attach);
                session.send(ToSession::NotAttached { chat, purpose });
            }
        }
    }
}

impl Handler<Detach> for RoomActor {
    type Result = ();

    fn handle(&mut self, Detach(session): Detach, ctx: &mut Self::Context) {
        self.sessions.retain(|other| other.id() != session);
        if let State::Opening { attaching, .. } = &mut self.state {
            attaching.retain(|attach| attach.session.id() != session);
        }
        self.linger(ctx);
    }
}

impl Handler<Post> for RoomActor {
    type Result = ();

    fn handle(&mut self, post: Post, ctx: &mut Self::Context) {
        match &mut self.state {
            State::Opening { posting, .. } if posting.len() < self.parts.node.limits.posts => {
                posting.push(post);
                self.open(ctx);
            }
            State::Opening { .. } => post.reply.send(PostOutcome::Stored(PostResult::Unavailable)),
            State::Open(_) => self.post(post),
            State::Retired => post.reply.send(PostOutcome::Moved(Box::new(post.draft))),
        }
    }
}

impl Handler<MarkRead> for RoomActor {
    type Result = ();

    fn handle(&mut self, mark: MarkRead, _: &mut Self::Context) {
        let MarkRead { user, seq, origin, reply } = mark;
        if matches!(self.state, State::Retired) {
            return reply.send(MarkOutcome::Moved);
        }
        let is_taken = self.in_flight.len() < self.parts.node.limits.posts
            && self.parts.executor.permits.take();
        if !is_taken {
            return reply.send(MarkOutcome::Done(Err(ApiError::unavailable())));
        }
        let mark = Mark { chat_id: self.parts.chat, user_id: user, seq };
        self.submit(WriteOp::Mark(mark), InFlight::Mark { origin, reply });
    }
}

impl Handler<ReplayPage> for RoomActor {
    type Result = ();

    fn handle(
        &mut self,
        ReplayPage { session, after, up_to }: ReplayPage,
        ctx: &mut Self::Context,
    ) {
        let known = self.reads.contains_key(&(after, up_to));
        // Many who miss the same are answered by one read.
        self.reads.entry((after, up_to)).or_default().sessions.push(session);
        if !known {
            self.read(after, up_to, ctx);
        }
    }
}

impl Handler<Answers> for RoomActor {
    type Result = ();

    fn handle(&mut self, Answers(answers): Answers, ctx: &mut Self::Context) {
        let mut answered = 0;
        let mut news = Vec::new();
        let mut opened = None;
        for Written { id, result } in answers {
            match (self.in_flight.remove(&id.number), result) {
                (Some(InFlight::Open), WriteResult::LastSeq(_, head)) => opened = Some(head),
                (Some(InFlight::Post(post)), WriteResult::Post(draft, stored)) => {
                    answered += 1;
                    news.extend(self.stored(post, draft, stored));
                }
                (Some(InFlight::Mark { origin, reply }), WriteResult::Mark(mark, marked)) => {
                    reply.send(MarkOutcome::Done(mark_view(self.parts.chat, marked)));
                    self.marked(mark.user_id, marked, origin);
                }
                // Of an executor that was replaced: answered already.
                _ => {}
            }
        }
        if answered > 0 {
            self.step(|room| room.stored(answered, news), ctx);
        }
        if let Some(head) = opened {
            self.opened(head, ctx);
        }
        if matches!(self.state, State::Retired) && self.in_flight.is_empty() {
            ctx.run_later(self.parts.node.timings.drain_grace, |_, ctx| ctx.stop());
        }
        self.linger(ctx);
    }
}

impl Handler<PageRead> for RoomActor {
    type Result = ();

    fn handle(&mut self, PageRead { after, up_to, messages }: PageRead, ctx: &mut Self::Context) {
        let Some(readers) = self.reads.remove(&(after, up_to)) else { return };
        let chat = self.parts.chat;
        let posted = messages.map(|messages| {
            messages.into_iter().map(|message| Posted::new(message, None)).collect::<Vec<_>>()
        });
        if !readers.sessions.is_empty() {
            let page: Option<Arc<[Posted]>> =
                posted.as_ref().map(|posted| posted.iter().cloned().collect());
            for session in readers.sessions {
                // Bounded: a session has asked for one page, and waits for it.
                session.send(ToSession::Page { chat, after, messages: page.clone() });
            }
        }
        if readers.room {
            match posted {
                Some(posted) => self.step(|room| room.read(posted), ctx),
                None => {
                    if let State::Open(room) = &mut self.state {
                        room.read_dropped();
                    }
                    let retry = self.parts.node.timings.retry;
                    ctx.run_later(retry, |this, ctx| this.step(|room| room.hinted(Seq::ZERO), ctx));
                }
            }
        }
        self.linger(ctx);
    }
}

impl Handler<PostedElsewhere> for RoomActor {
    type Result = ();

    fn handle(&mut self, PostedElsewhere(posts): PostedElsewhere, ctx: &mut Self::Context) {
        match &mut self.state {
            State::Opening { hint, .. } => {
                *hint = posts.iter().map(Posted::seq).fold(*hint, Seq::max);
            }
            State::Open(_) => self.step(|room| room.stored_elsewhere(posts), ctx),
            State::Retired => {}
        }
    }
}

impl Handler<Hint> for RoomActor {
    type Result = ();

    fn handle(&mut self, Hint(end): Hint, ctx: &mut Self::Context) {
        match &mut self.state {
            State::Opening { hint, .. } => *hint = end.max(*hint),
            State::Open(_) => self.step(|room| room.hinted(end), ctx),
            State::Retired => {}
        }
    }
}

#[cfg(feature = "faults")]
impl Handler<super::Crash> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: super::Crash, _: &mut Self::Context) {
        super::crash();
    }
}
