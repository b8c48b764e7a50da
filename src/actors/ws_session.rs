//! One WebSocket connection: frames in, frames out, and the session's position in each chat.
//!
//! This file, the upgrade handler and [`frames`] alone know `actix_web_actors`.

mod arrive;
mod commands;
mod forward;
mod frames;
mod stream;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use actix::prelude::*;
use actix_web_actors::ws;
use bytestring::ByteString;

pub use frames::FrameGuard;
pub use stream::{Attached, NotAttached, Page, Purpose};

use self::arrive::Entering;
use self::forward::Forwards;
use self::frames::{Fragments, Incoming};
use super::chat_server::Disconnect;
use super::delivery::{Link, Meter};
use super::desk::{Arrival, Desk, Stranger};
use super::room_actor::RoomActor;
use crate::auth::AuthenticatedUser;
use crate::domain::{
    ChatId, RateLimit, Receipt, Role, Seq, SessionId, Standing, Streams, Timestamp,
};
use crate::metrics::{Ending, Part};
use crate::protocol::{self, Command, Envelope, Exception, Frame, RequestId};

/// A frame for the client, as it is.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Push(pub Frame);

/// Why the server ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum Kick {
    /// More waited for it than may; it resumes without loss.
    TooSlow,
    Blocked,
    /// The stored role may be another one now; a session ends only if it may do less by that.
    Role(Role),
    TooManySessions,
    Shutdown,
}

/// A request that was passed on, and is answered later.
struct Pending {
    nonce: u64,
    request: Option<RequestId>,
    chat: ChatId,
    what: Asked,
}

enum Asked {
    Post {
        client_id: Arc<str>,
        /// The chat's end when it was sent: what stands in the log up to there is another message,
        /// or the same one sent before.
        above: Seq,
        /// It is in the log, and its ack waits for its place in the stream.
        stored: Option<Receipt>,
    },
    Mark,
}

impl Pending {
    fn stored(&self) -> Option<Receipt> {
        match self.what {
            Asked::Post { stored, .. } => stored,
            Asked::Mark => None,
        }
    }
}

/// What there is of a session once it is known whose it is.
struct Member {
    user: AuthenticatedUser,
    /// A customer's support chat.
    own: Option<Standing>,
    streams: Streams,
    /// Rooms that are posted to directly: those it is in, and those it only visits.
    rooms: HashMap<ChatId, Addr<RoomActor>>,
    pending: VecDeque<Pending>,
    last_nonce: u64,
    limit: RateLimit,
    forwards: Forwards,
}

/// What a session is told before it was welcomed.
enum Early {
    /// A chat was made.
    Created(ChatId, Frame),
    /// Of another service; the meter bounds how many.
    Told(Frame),
}

enum Phase {
    /// No token yet.
    Stranger {
        _place: Stranger,
    },
    /// The token is being looked at, or the rooms are being entered: no `welcome` yet.
    Arriving(Option<Box<Member>>),
    Welcomed(Box<Member>),
    Ended,
}

/// How a connection begins.
pub enum Beginning {
    /// The upgrade request had a token.
    Known(Box<Arrival>),
    /// The first frame must have one.
    Unknown(Stranger),
}

pub struct WsSession {
    id: SessionId,
    desk: Desk,
    meter: Arc<Meter>,
    phase: Phase,
    /// Taken when the actor starts.
    beginning: Option<Box<Arrival>>,
    fragments: Fragments,
    /// Frames behind a command that waits for the database, or for rooms.
    waiting: VecDeque<ByteString>,
    waiting_bytes: usize,
    busy: bool,
    entering: Option<Box<Entering>>,
    /// A page is asked for again soon.
    retrying: bool,
    /// Counts entries, so that a late answer is not taken for another's.
    entries: u64,
    /// What came before `welcome` was sent; told right after it.
    early: Vec<Early>,
}

impl WsSession {
    #[must_use]
    pub fn new(desk: Desk, beginning: Beginning) -> Self {
        desk.metrics().sessions.inc();
        let (phase, beginning) = match beginning {
            Beginning::Known(arrival) => (Phase::Arriving(None), Some(arrival)),
            Beginning::Unknown(place) => (Phase::Stranger { _place: place }, None),
        };
        let fragments = Fragments::new(desk.limits().frame_bytes);
        Self {
            id: SessionId::of(desk.node()),
            desk,
            meter: Arc::default(),
            phase,
            beginning,
            fragments,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            busy: false,
            entering: None,
            retrying: false,
            entries: 0,
            early: Vec::new(),
        }
    }

    fn link(&self, ctx: &ws::WebsocketContext<Self>) -> Link {
        Link { session: self.id, addr: ctx.address(), meter: Arc::clone(&self.meter) }
    }

    fn member(&mut self) -> Option<&mut Member> {
        match &mut self.phase {
            Phase::Welcomed(member) | Phase::Arriving(Some(member)) => Some(member),
            Phase::Stranger { .. } | Phase::Arriving(None) | Phase::Ended => None,
        }
    }

    /// A text frame, or a fragmented one put together.
    fn text(&mut self, text: ByteString, ctx: &mut ws::WebsocketContext<Self>) {
        if !self.busy {
            return self.obey(&text, ctx);
        }
        let limits = self.desk.limits();
        let fits = self.waiting.len() < limits.commands_in_flight
            && self.waiting_bytes + text.len() <= limits.frame_bytes.saturating_mul(2);
        if fits {
            self.waiting_bytes += text.len();
            self.waiting.push_back(text);
            return;
        }
        if matches!(self.phase, Phase::Arriving(_)) {
            // Before `welcome` there is no answering it.
            return self.close(1008, Ending::Refused, ctx);
        }
        let (id, event, exception) = match Envelope::parse(&text) {
            Ok(Envelope { id, event, .. }) => {
                (id, Some(event.into_owned()), Exception::unavailable())
            }
            Err(rejected) => (rejected.id, rejected.event, rejected.exception),
        };
        self.refuse(id.as_ref(), event.as_deref(), &exception, ctx);
    }

    /// What the last command held back follows, as far as the next one that waits.
    fn go_on(&mut self, ctx: &mut ws::WebsocketContext<Self>) {
        self.busy = false;
        while !self.busy
            && let Some(text) = self.waiting.pop_front()
        {
            self.waiting_bytes -= text.len();
            self.obey(&text, ctx);
        }
    }

    fn obey(&mut self, text: &str, ctx: &mut ws::WebsocketContext<Self>) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        let limits = protocol::Limits::from(self.desk.limits());
        let envelope = match Envelope::parse(text) {
            Ok(envelope) => envelope,
            Err(rejected) => {
                self.refuse(
                    rejected.id.as_ref(),
                    rejected.event.as_deref(),
                    &rejected.exception,
                    ctx,
                );
                if matches!(self.phase, Phase::Stranger { .. }) {
                    self.close(4401, Ending::Unauthenticated, ctx);
                }
                return;
            }
        };
        let id = envelope.id.clone();
        if matches!(self.phase, Phase::Stranger { .. }) {
            match Command::parse(&envelope, &limits) {
                Ok(Command::Authenticate { token, resume }) => {
                    self.authenticate(&token, resume, id, ctx);
                }
                parsed => {
                    let exception = match parsed {
                        Err(exception) if envelope.event == "authenticate" => exception,
                        _ => Exception::new(protocol::Code::Unauthenticated, "authenticate first"),
                    };
                    self.refuse(id.as_ref(), Some(&envelope.event), &exception, ctx);
                    self.close(4401, Ending::Unauthenticated, ctx);
                }
            }
            return;
        }
        match Command::parse(&envelope, &limits) {
            Ok(command) => self.command(command, id, &envelope.event, ctx),
            Err(exception) => match self.route(&exception, &envelope.event) {
                Some(route) => self.forward(route, &envelope, ctx),
                None => self.refuse(id.as_ref(), Some(&envelope.event), &exception, ctx),
            },
        }
    }

    fn refuse(
        &self,
        id: Option<&RequestId>,
        event: Option<&str>,
        exception: &Exception,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        ctx.text(protocol::exception(id, event, exception));
    }

    /// Ends a session that may do less than it was welcomed for.
    fn role_became_less(&mut self, ctx: &mut ws::WebsocketContext<Self>) {
        ctx.text(protocol::goodbye("role_changed", 0));
        self.close(4401, Ending::RoleChanged, ctx);
    }

    /// Ends the session with a close frame.
    fn close(&mut self, code: u16, reason: Ending, ctx: &mut ws::WebsocketContext<Self>) {
        if !matches!(self.phase, Phase::Ended) {
            self.desk.metrics().ended(reason);
            self.phase = Phase::Ended;
            ctx.close(Some(ws::CloseReason { code: code.into(), description: None }));
            ctx.stop();
        }
    }
}

impl Actor for WsSession {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.desk.limits().session_queue_events);
        match self.beginning.take() {
            Some(arrival) => self.arrive(*arrival, None, ctx),
            None => {
                ctx.run_later(self.desk.limits().auth_timeout(), |this, ctx| {
                    if matches!(this.phase, Phase::Stranger { .. }) {
                        this.close(4401, Ending::Unauthenticated, ctx);
                    }
                });
            }
        }
    }
}

impl Drop for WsSession {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.desk.metrics().panicked(Part::Session);
            log::error!("session {} died of a panic", self.id);
        }
        self.desk.metrics().sessions.dec();
        // Bounded: one of each session. One that never connected is not known, which does no harm.
        self.desk.chat_server().do_send(Disconnect(self.id));
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for WsSession {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        match self.fragments.take(message) {
            Ok(Incoming::Text(text)) => self.text(text, ctx),
            // In its turn it is answered as what it is: no JSON.
            Ok(Incoming::Binary) if self.busy => self.text(ByteString::new(), ctx),
            Ok(Incoming::Binary) => {
                let exception = Exception::new(
                    protocol::Code::BadRequest,
                    "a binary frame: the envelope is a text frame",
                );
                self.refuse(None, None, &exception, ctx);
                if matches!(self.phase, Phase::Stranger { .. }) {
                    self.close(4401, Ending::Unauthenticated, ctx);
                }
            }
            Ok(Incoming::Ping(payload)) => ctx.pong(&payload),
            Ok(Incoming::Close(reason)) => {
                self.phase = Phase::Ended;
                ctx.close(reason);
                ctx.stop();
            }
            Ok(Incoming::Nothing) => {}
            Err(broken) => match broken.close() {
                Some((code, reason)) => self.close(code, reason, ctx),
                None => {
                    self.phase = Phase::Ended;
                    ctx.stop();
                }
            },
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        self.phase = Phase::Ended;
        ctx.stop();
    }
}

impl Handler<Push> for WsSession {
    type Result = ();

    fn handle(&mut self, Push(frame): Push, ctx: &mut Self::Context) {
        if matches!(self.phase, Phase::Welcomed(_)) {
            ctx.text(frame);
        }
    }
}

impl Handler<Kick> for WsSession {
    type Result = ();

    fn handle(&mut self, kick: Kick, ctx: &mut Self::Context) {
        match kick {
            Kick::TooSlow => self.close(4409, Ending::SlowReader, ctx),
            Kick::Blocked => {
                ctx.text(protocol::goodbye("blocked", 0));
                self.close(4410, Ending::Blocked, ctx);
            }
            Kick::Role(role) => {
                if self.member().is_some_and(|member| member.user.is_lowered_by(role)) {
                    self.role_became_less(ctx);
                }
            }
            Kick::TooManySessions => {
                let most = self.desk.limits().sessions_per_user;
                let exception = Exception::forbidden(format!(
                    "this user has {most} sessions, the most allowed"
                ));
                self.refuse(None, None, &exception, ctx);
                self.close(1008, Ending::Refused, ctx);
            }
            Kick::Shutdown => {
                // Spread over two seconds, so that not all come back at once.
                let spread = self.id.0.as_u128() % 2_000;
                let retry_after_ms = 500 + u64::try_from(spread).unwrap_or_default();
                ctx.text(protocol::goodbye("shutdown", retry_after_ms));
                self.close(1001, Ending::Shutdown, ctx);
            }
        }
    }
}

impl From<&crate::settings::Limits> for protocol::Limits {
    fn from(limits: &crate::settings::Limits) -> Self {
        Self {
            message_chars: limits.message_chars,
            title_chars: limits.title_chars,
            group_members: limits.group_members,
        }
    }
}

#[cfg(feature = "faults")]
impl Handler<super::Crash> for WsSession {
    type Result = ();

    fn handle(&mut self, _: super::Crash, _: &mut Self::Context) {
        super::crash();
    }
}

impl Member {
    fn new(user: AuthenticatedUser, own: Option<Standing>, limit: RateLimit) -> Self {
        Self {
            user,
            own,
            streams: Streams::default(),
            rooms: HashMap::new(),
            pending: VecDeque::new(),
            last_nonce: 0,
            limit,
            forwards: Forwards::default(),
        }
    }

    /// Notes a request that is passed on; the number that its answer has.
    fn ask(&mut self, request: Option<RequestId>, chat: ChatId, what: Asked) -> u64 {
        self.last_nonce += 1;
        let nonce = self.last_nonce;
        self.pending.push_back(Pending { nonce, request, chat, what });
        nonce
    }

    fn answered(&mut self, nonce: u64) -> Option<Pending> {
        let at = self.pending.iter().position(|pending| pending.nonce == nonce)?;
        self.pending.remove(at)
    }

    /// A post of one's own is in the log, and comes in a page.
    fn stored(&mut self, nonce: u64, receipt: Receipt) {
        for pending in self.pending.iter_mut().filter(|pending| pending.nonce == nonce) {
            if let Asked::Post { stored, .. } = &mut pending.what {
                *stored = Some(receipt);
            }
        }
    }

    /// A post of one's own that was found in the log before its room could say so.
    fn answered_as(&mut self, chat: ChatId, name: &str, seq: Seq) -> Option<Pending> {
        let at = self.pending.iter().position(|pending| {
            pending.chat == chat
                && matches!(&pending.what, Asked::Post { client_id, above, .. } if **client_id == *name && seq > *above)
        })?;
        self.pending.remove(at)
    }

    fn rate(&mut self) -> Result<(), Exception> {
        self.limit.take(Timestamp::now()).map_err(Exception::rate_limited)
    }
}
