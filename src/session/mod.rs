//! State machine of a session: frames and facts in, actions out.
//!
//! A [`Session`] knows no socket, no actor, no clock and no database. Its host (a transport, or a
//! test) hands it an [`Input`] at a time and carries out the [`Action`]s that come back, in order.
//! `R` is the address of a room, which the session keeps and hands back.

mod action;
mod budget;
mod catch_up;
mod commands;
mod config;
mod forwards;
mod input;
mod join;
mod requests;
mod rooms;

use std::sync::Arc;

pub use action::{Action, Ask, Counted, ForwardRequest, NewPost, RoomCall, Timer};
pub use budget::{Budget, Permit};
pub use commands::NAMES as COMMANDS;
pub use config::{Routes, SessionConfig};
pub use input::{
    Admitted, Answered, Attached, Input, JoinChat, MarkOutcome, Outcome, PostOutcome, Purpose,
    ServiceAnswer, ToSession,
};

use self::commands::Waiting;
use self::forwards::Forwards;
use self::join::Joining;
use self::requests::Requests;
use self::rooms::Rooms;
use crate::auth::AuthenticatedUser;
use crate::domain::{ChatAccess, ChatId, ChatKind, RateLimit, Role, SessionId, Streams, Timestamp};
use crate::protocol::{
    AckData, Answer, ApiError, Code, Control, Ending, Entry, Envelope, Rejected, RequestId,
    ServerEvent, Shared,
};

/// A session, from the first frame to its end.
pub struct Session<R> {
    id: SessionId,
    config: Arc<SessionConfig>,
    phase: Phase<R>,
}

enum Phase<R> {
    /// The first frame must bring a token. The URL may have named chats to go on with.
    Unauthenticated {
        resume: Vec<Entry>,
    },
    /// The token is being checked.
    Authenticating {
        request: Option<RequestId>,
    },
    /// Rooms are being joined. Nothing is written before `welcome`.
    Joining(Box<Authenticated<R>>),
    Welcomed(Box<Authenticated<R>>),
    Ended,
}

/// State of an authenticated session.
struct Authenticated<R> {
    user: AuthenticatedUser,
    /// A customer's support chat.
    own: Option<ChatAccess>,
    streams: Streams,
    rooms: Rooms<R>,
    requests: Requests,
    limit: RateLimit,
    forwards: Forwards,
    /// The one command that waits for the database.
    waiting: Option<Waiting>,
    joining: Option<Box<Joining>>,
    /// Joins so far: a late answer is not taken for another join's.
    joins: u64,
    /// A page is asked for again soon.
    retrying: bool,
    /// Held back until `welcome` is written.
    deferred: Vec<Deferred>,
}

/// Something that a session is told before `welcome`.
enum Deferred {
    Created(ChatId, Arc<Shared>),
    Event(ServerEvent, Permit),
}

/// The most ephemeral states that are held back; one more is dropped.
const MOST_EPHEMERAL: usize = 64;

/// One turn of the state machine: the time, and the actions so far.
struct Turn<'c, R> {
    clock: &'c dyn Fn() -> Timestamp,
    actions: Vec<Action<R>>,
}

impl<R> Turn<'_, R> {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn act(&mut self, action: Action<R>) {
        self.actions.push(action);
    }

    fn send(&mut self, event: ServerEvent) {
        self.actions.push(Action::Send(event));
    }

    /// Answers a request that asked for it.
    fn ack(&mut self, id: Option<RequestId>, data: AckData) {
        if let Some(id) = id {
            self.send(ServerEvent::Answer(Answer::Ack(id, data)));
        }
    }

    fn refuse(&mut self, id: Option<RequestId>, event: Option<&str>, exception: ApiError) {
        let (event, exception) = (event.map(Into::into), Box::new(exception));
        self.send(ServerEvent::Answer(Answer::Refusal { id, event, exception }));
    }
}

impl<R: Clone> Session<R> {
    /// A session whose first frame must bring a token. `resume` stood in the URL.
    #[must_use]
    pub fn unauthenticated(id: SessionId, config: Arc<SessionConfig>, resume: Vec<Entry>) -> Self {
        Self { id, config, phase: Phase::Unauthenticated { resume } }
    }

    /// A session whose token came with the upgrade request; [`Answered::Authenticated`] is its first
    /// input.
    #[must_use]
    pub fn authenticating(id: SessionId, config: Arc<SessionConfig>) -> Self {
        Self { id, config, phase: Phase::Authenticating { request: None } }
    }

    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// The session's user, once the token was checked.
    #[must_use]
    pub fn user(&self) -> Option<&AuthenticatedUser> {
        match &self.phase {
            Phase::Welcomed(session) | Phase::Joining(session) => Some(&session.user),
            Phase::Unauthenticated { .. } | Phase::Authenticating { .. } | Phase::Ended => None,
        }
    }

    /// The next frame may be handed in. A frame that comes earlier waits with the host: its sender
    /// feels the back-pressure.
    #[must_use]
    pub fn accepts_frames(&self) -> bool {
        match &self.phase {
            Phase::Unauthenticated { .. } | Phase::Ended => true,
            Phase::Authenticating { .. } | Phase::Joining(_) => false,
            Phase::Welcomed(session) => {
                let most_bytes = self.config.welcome.frame_bytes.saturating_mul(2);
                session.waiting.is_none()
                    && session.joining.is_none()
                    && session.requests.len() < self.config.commands_in_flight
                    && session.requests.bytes() < most_bytes
            }
        }
    }

    /// The first actions of a session that is to bring a token.
    #[must_use]
    pub fn start(&self) -> Vec<Action<R>> {
        match self.phase {
            Phase::Unauthenticated { .. } => {
                vec![Action::After(Timer::Authentication, self.config.auth_timeout)]
            }
            _ => Vec::new(),
        }
    }

    /// Takes one input; what is to be done about it, in this order.
    #[must_use]
    pub fn handle(&mut self, input: Input<'_, R>, clock: &dyn Fn() -> Timestamp) -> Vec<Action<R>> {
        let mut turn = Turn { clock, actions: Vec::new() };
        if !self.is_ended() {
            match input {
                Input::Text(text) => self.text(text, &mut turn),
                Input::Unreadable(problem) => {
                    let exception = ApiError::new(Code::BadRequest, problem);
                    self.reject(None, None, exception, &mut turn);
                }
                Input::FromServer(message) => self.told(message, &mut turn),
                Input::Answered(answer) => self.answered(answer, &mut turn),
                Input::Timer(timer) => self.timer(timer, &mut turn),
                Input::End(ending) => self.end(ending, &mut turn),
            }
        }
        turn.actions
    }

    fn live(&mut self) -> Option<&mut Authenticated<R>> {
        match &mut self.phase {
            Phase::Welcomed(session) | Phase::Joining(session) => Some(session),
            Phase::Unauthenticated { .. } | Phase::Authenticating { .. } | Phase::Ended => None,
        }
    }

    /// A text frame.
    fn text(&mut self, text: &str, turn: &mut Turn<'_, R>) {
        match Envelope::parse(text) {
            Ok(envelope) if matches!(self.phase, Phase::Unauthenticated { .. }) => {
                self.first_frame(&envelope, turn);
            }
            Ok(envelope) => self.frame(&envelope, turn),
            Err(rejected) => {
                let Rejected { id, event, exception } = *rejected;
                self.reject(id, event.as_deref(), exception, turn);
            }
        }
    }

    fn frame(&mut self, envelope: &Envelope<'_>, turn: &mut Turn<'_, R>) {
        let id = envelope.id.clone();
        let done = match self.count_frame(turn) {
            Ok(()) => commands::run(self, envelope, turn),
            Err(exception) => Err(exception),
        };
        let Err(exception) = done else { return };
        match self.route(&exception, &envelope.event) {
            Some(route) => self.forward(route, envelope, turn),
            None => turn.refuse(id, Some(&envelope.event), exception),
        }
    }

    /// Answers a frame that is not an envelope.
    fn reject(
        &mut self,
        id: Option<RequestId>,
        event: Option<&str>,
        exception: ApiError,
        turn: &mut Turn<'_, R>,
    ) {
        let exception = self.count_frame(turn).err().unwrap_or(exception);
        turn.refuse(id, event, exception);
        if matches!(self.phase, Phase::Unauthenticated { .. }) {
            self.end(Ending::Unauthenticated, turn);
        }
    }

    /// Counts a frame, whatever is in it, against the session's rate.
    fn count_frame(&mut self, turn: &mut Turn<'_, R>) -> Result<(), ApiError> {
        let Some(session) = self.live() else { return Ok(()) };
        session.limit.take(turn.now()).map_err(|wait| {
            turn.act(Action::Count(Counted::RateLimited));
            ApiError::rate_limited(wait)
        })
    }

    fn told(&mut self, message: ToSession<R>, turn: &mut Turn<'_, R>) {
        match message {
            ToSession::Attached(attached) => self.attached(*attached, turn),
            ToSession::NotAttached { chat, purpose } => self.not_attached(chat, &purpose, turn),
            ToSession::RoomIs { chat, room } => {
                if let Some(session) = self.live() {
                    session.rooms.found(chat, room);
                }
                self.fetch(turn);
            }
            ToSession::NotRouted(chat) => {
                if let Some(session) = self.live() {
                    session.rooms.not_routed(chat);
                }
            }
            ToSession::Deliver { chat, messages, permit } => {
                self.deliver(chat, &messages, turn);
                turn.act(Action::Written(permit));
            }
            ToSession::Page { chat, after, messages } => {
                self.page(chat, after, messages.as_deref(), turn);
            }
            ToSession::Event(event, permit) => self.event(event, permit, turn),
            ToSession::Outcome { nonce, outcome } => self.outcome(nonce, outcome, turn),
            ToSession::Close(ending) => self.end(ending, turn),
            ToSession::RoleChanged(role) => {
                if self.live().is_some_and(|session| session.user.is_lowered_by(role)) {
                    self.end(Ending::RoleChanged, turn);
                }
            }
            #[cfg(feature = "faults")]
            ToSession::Crash => crash(),
        }
    }

    /// Writes an event that is not a message, or holds it back until `welcome`.
    fn event(&mut self, event: ServerEvent, permit: Permit, turn: &mut Turn<'_, R>) {
        match &mut self.phase {
            Phase::Welcomed(_) => {
                turn.send(event);
                turn.act(Action::Written(permit));
            }
            // A service that hears of `user.connected` may push before `welcome`.
            Phase::Joining(session) => session.defer(event, permit),
            Phase::Unauthenticated { .. } | Phase::Authenticating { .. } | Phase::Ended => {}
        }
    }

    fn timer(&mut self, timer: Timer, turn: &mut Turn<'_, R>) {
        match timer {
            Timer::Authentication => {
                if matches!(self.phase, Phase::Unauthenticated { .. }) {
                    self.end(Ending::Unauthenticated, turn);
                }
            }
            Timer::Rooms(join) => self.rooms_are_late(join, turn),
            Timer::Retry => {
                if let Some(session) = self.live() {
                    session.retrying = false;
                }
                self.fetch(turn);
            }
        }
    }

    /// Ends the session, and frees all that it held.
    fn end(&mut self, ending: Ending, turn: &mut Turn<'_, R>) {
        if self.is_ended() {
            return;
        }
        self.phase = Phase::Ended;
        if let Some(reason) = ending.goodbye() {
            let retry_after_ms = match ending {
                // Spread over two seconds, so that not all come back at once.
                Ending::Shutdown => {
                    500 + u64::try_from(self.id.0.as_u128() % 2_000).unwrap_or_default()
                }
                _ => 0,
            };
            turn.send(ServerEvent::Control(Control::Goodbye { reason, retry_after_ms }));
        }
        turn.act(Action::Close(ending));
    }
}

impl<R> Authenticated<R> {
    fn new(user: AuthenticatedUser, chats: &[ChatAccess], limit: RateLimit) -> Self {
        let own = chats
            .iter()
            .find(|chat| user.role() == Role::Customer && chat.kind == ChatKind::Support)
            .copied();
        Self {
            user,
            own,
            streams: Streams::default(),
            rooms: Rooms::default(),
            requests: Requests::default(),
            limit,
            forwards: Forwards::default(),
            waiting: None,
            joining: None,
            joins: 0,
            retrying: false,
            deferred: Vec::new(),
        }
    }

    /// Holds an event back; of an ephemeral state, the newest.
    fn defer(&mut self, event: ServerEvent, permit: Permit) {
        if let ServerEvent::Ephemeral(key, _) = &event {
            let is_ephemeral = |deferred: &&mut Deferred| {
                matches!(deferred, Deferred::Event(ServerEvent::Ephemeral(..), _))
            };
            let older = self.deferred.iter_mut().find(|deferred| {
                matches!(deferred, Deferred::Event(ServerEvent::Ephemeral(older, _), _) if older == key)
            });
            if let Some(older) = older {
                *older = Deferred::Event(event, permit);
                return;
            }
            if self.deferred.iter_mut().filter(is_ephemeral).count() >= MOST_EPHEMERAL {
                return;
            }
        }
        self.deferred.push(Deferred::Event(event, permit));
    }
}

#[cfg(feature = "faults")]
#[expect(clippy::panic, reason = "a test asked for it")]
fn crash() {
    panic!("a test asked for it");
}

#[cfg(test)]
mod tests;
