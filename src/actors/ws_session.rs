//! One WebSocket connection: frames in, frames out, and the session's position in each chat.
//!
//! This file, the upgrade handler and [`frames`] alone know `actix_web_actors`.

mod arrive;
mod commands;
mod forward;
mod frames;
mod reading;
mod stream;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_web_actors::ws;

pub use reading::FrameReader;
pub use stream::{Attached, NotAttached, Page, Purpose};

use self::arrive::Entering;
use self::forward::Forwards;
use self::frames::{Fragments, Incoming};
use self::reading::{Reading, Request};
use super::chat_server::Disconnect;
use super::delivery::{Link, Meter};
use super::room_actor::RoomActor;
use crate::app::{Admitted, AppState, HandshakePermit};
use crate::auth::AuthenticatedUser;
use crate::domain::{
    ChatAccess, ChatId, RateLimit, Receipt, Role, Seq, SessionId, Streams, Timestamp,
};
use crate::metrics::{Ending, Part};
use crate::protocol::{self, ApiError, Command, Entry, Envelope, Frame, Rejected, RequestId};

/// How long the peer has to answer a close frame before the connection ends without it.
const CLOSING: Duration = Duration::from_secs(1);

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
    /// The user's newer sessions take its place.
    Replaced,
    Shutdown,
}

/// A request that was passed on, and is answered later.
struct Pending {
    nonce: u64,
    request: Option<RequestId>,
    chat: ChatId,
    what: Asked,
    _in_work: Request,
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
    own: Option<ChatAccess>,
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
        _permit: HandshakePermit,
        /// From the URL.
        resume: Vec<Entry>,
    },
    /// The token is being looked at, or the rooms are being entered: no `welcome` yet.
    Arriving(Option<Box<Member>>),
    Welcomed(Box<Member>),
    Ended,
}

/// How a connection begins.
pub enum Beginning {
    /// The upgrade request had a token.
    Known(Box<Admitted>),
    /// The first frame must have one. The URL may have named chats to go on with.
    Unknown(HandshakePermit, Vec<Entry>),
}

pub struct WsSession {
    id: SessionId,
    desk: AppState,
    meter: Arc<Meter>,
    phase: Phase,
    /// Taken when the actor starts.
    beginning: Option<Box<Admitted>>,
    fragments: Fragments,
    /// Held while a command waits for the database, or for rooms.
    reading: Rc<Reading>,
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
    pub fn new(desk: AppState, beginning: Beginning) -> Self {
        desk.metrics().sessions.inc();
        let (phase, beginning) = match beginning {
            Beginning::Known(arrival) => (Phase::Arriving(None), Some(arrival)),
            Beginning::Unknown(permit, resume) => {
                (Phase::Stranger { _permit: permit, resume }, None)
            }
        };
        let limits = desk.limits();
        let fragments = Fragments::new(limits.frame_bytes);
        let reading = Reading::new(limits.commands_in_flight, limits.frame_bytes.saturating_mul(2));
        Self {
            id: SessionId::of(desk.node()),
            desk,
            meter: Arc::default(),
            phase,
            beginning,
            fragments,
            reading,
            entering: None,
            retrying: false,
            entries: 0,
            early: Vec::new(),
        }
    }

    /// Reads the connection's bytes for this session, at the pace at which it serves them.
    #[must_use]
    pub fn reader<S>(&self, stream: S) -> FrameReader<S> {
        FrameReader::new(stream, Rc::clone(&self.reading), self.desk.limits().frame_bytes)
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

    /// Awaits `work`, and goes on with its outcome unless the session has ended meanwhile.
    fn after<T: 'static>(
        &self,
        work: impl Future<Output = T> + 'static,
        ctx: &mut ws::WebsocketContext<Self>,
        then: impl FnOnce(&mut Self, T, &mut ws::WebsocketContext<Self>) + 'static,
    ) {
        ctx.spawn(work.into_actor(self).map(move |outcome, this, ctx| {
            if !matches!(this.phase, Phase::Ended) {
                then(this, outcome, ctx);
            }
        }));
    }

    /// A text frame, or a fragmented one put together.
    fn text(&mut self, text: &str, ctx: &mut ws::WebsocketContext<Self>) {
        match Envelope::parse(text) {
            Ok(envelope) if matches!(self.phase, Phase::Stranger { .. }) => {
                self.introduce(&envelope, ctx);
            }
            Ok(envelope) => self.obey(&envelope, ctx),
            Err(rejected) => {
                let Rejected { id, event, exception } = *rejected;
                self.reject(id.as_ref(), event.as_deref(), exception, ctx);
            }
        }
    }

    /// The first frame of a connection without a token.
    fn introduce(&mut self, envelope: &Envelope<'_>, ctx: &mut ws::WebsocketContext<Self>) {
        let limits = self.desk.request_limits();
        let exception = match Command::parse(envelope, &limits) {
            Ok(Command::Authenticate { token, resume }) => {
                return self.authenticate(&token, resume, envelope.id.clone(), ctx);
            }
            Err(exception) if envelope.event == "authenticate" => exception,
            _ => ApiError::new(protocol::Code::Unauthenticated, "authenticate first"),
        };
        self.refuse(envelope.id.as_ref(), Some(&envelope.event), &exception, ctx);
        self.close(4401, Ending::Unauthenticated, ctx);
    }

    fn obey(&mut self, envelope: &Envelope<'_>, ctx: &mut ws::WebsocketContext<Self>) {
        let limits = self.desk.request_limits();
        let id = envelope.id.as_ref();
        if let Err(exception) = self.count_frame() {
            return self.refuse(id, Some(&envelope.event), &exception, ctx);
        }
        match Command::parse(envelope, &limits) {
            Ok(command) => self.command(command, id, &envelope.event, ctx),
            Err(exception) => match self.route(&exception, &envelope.event) {
                Some(route) => self.forward(route, envelope, ctx),
                None => self.refuse(id, Some(&envelope.event), &exception, ctx),
            },
        }
    }

    /// Answers a frame that is no envelope.
    fn reject(
        &mut self,
        id: Option<&RequestId>,
        event: Option<&str>,
        exception: ApiError,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        let exception = self.count_frame().err().unwrap_or(exception);
        self.refuse(id, event, &exception, ctx);
        if matches!(self.phase, Phase::Stranger { .. }) {
            self.close(4401, Ending::Unauthenticated, ctx);
        }
    }

    /// Counts a frame, whatever is in it, against the session's rate.
    fn count_frame(&mut self) -> Result<(), ApiError> {
        self.member().map_or(Ok(()), Member::rate).inspect_err(|_| {
            self.desk.metrics().requests_limited.inc();
        })
    }

    fn refuse(
        &self,
        id: Option<&RequestId>,
        event: Option<&str>,
        exception: &ApiError,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        ctx.text(protocol::exception(id, event, exception));
    }

    /// Ends a session that may do less than it was welcomed for.
    fn role_became_less(&mut self, ctx: &mut ws::WebsocketContext<Self>) {
        ctx.text(protocol::goodbye("role_changed", 0));
        self.close(4401, Ending::RoleChanged, ctx);
    }

    /// Ends the session with a close frame. The connection ends once the peer has answered it; until
    /// then, and not for long, what still comes is dropped. (Ended at once, with bytes unread, it
    /// would be reset, and the peer might never see the frame.)
    fn close(&mut self, code: u16, reason: Ending, ctx: &mut ws::WebsocketContext<Self>) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        self.end(reason);
        ctx.close(Some(ws::CloseReason { code: code.into(), description: None }));
        self.reading.discard();
        ctx.run_later(CLOSING, |_, ctx| ctx.stop());
    }

    /// Lets go of all that the session held.
    fn end(&mut self, reason: Ending) {
        self.desk.metrics().ended(reason);
        self.phase = Phase::Ended;
        self.entering = None;
        self.early.clear();
        // Bounded: one of each session. One that never connected is not known, which does no harm.
        self.desk.chat_server().do_send(Disconnect(self.id));
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
        let reason = if std::thread::panicking() {
            self.desk.metrics().panicked(Part::Session);
            log::error!("session {} died of a panic", self.id);
            Ending::Panicked
        } else {
            Ending::Gone
        };
        if !matches!(self.phase, Phase::Ended) {
            self.end(reason);
        }
        self.desk.metrics().sessions.dec();
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for WsSession {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        match self.fragments.take(message) {
            Ok(Incoming::Text(text)) => self.text(&text, ctx),
            Ok(Incoming::Binary) => {
                let exception = ApiError::new(
                    protocol::Code::BadRequest,
                    "a binary frame: the envelope is a text frame",
                );
                self.reject(None, None, exception, ctx);
            }
            Ok(Incoming::Ping(payload)) => ctx.pong(&payload),
            Ok(Incoming::Close(reason)) => {
                self.end(Ending::Closed);
                ctx.close(reason);
                ctx.stop();
            }
            Ok(Incoming::Nothing) => {}
            Err(broken) => match broken.close() {
                Some((code, reason)) => self.close(code, reason, ctx),
                None => {
                    self.end(Ending::Gone);
                    ctx.stop();
                }
            },
        }
    }

    /// The peer has answered the close frame, or is gone.
    fn finished(&mut self, ctx: &mut Self::Context) {
        if !matches!(self.phase, Phase::Ended) {
            self.end(Ending::Gone);
        }
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
        if matches!(self.phase, Phase::Ended) {
            return;
        }
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
            Kick::Replaced => {
                ctx.text(protocol::goodbye("replaced", 0));
                self.close(4411, Ending::Replaced, ctx);
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

#[cfg(feature = "faults")]
impl Handler<super::Crash> for WsSession {
    type Result = ();

    fn handle(&mut self, _: super::Crash, _: &mut Self::Context) {
        super::crash();
    }
}

impl Member {
    fn new(user: AuthenticatedUser, own: Option<ChatAccess>, limit: RateLimit) -> Self {
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
    fn ask(
        &mut self,
        request: Option<RequestId>,
        chat: ChatId,
        what: Asked,
        in_work: Request,
    ) -> u64 {
        self.last_nonce += 1;
        let nonce = self.last_nonce;
        self.pending.push_back(Pending { nonce, request, chat, what, _in_work: in_work });
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

    fn rate(&mut self) -> Result<(), ApiError> {
        self.limit.take(Timestamp::now()).map_err(ApiError::rate_limited)
    }
}
