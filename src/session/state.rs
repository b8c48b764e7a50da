//! State of a session: its phases, and what each of them holds.

use std::sync::Arc;

use super::action::Action;
use super::budget::Permit;
use super::config::SessionConfig;
use super::forwards::Forwards;
use super::joining::Joining;
use super::requests::Requests;
use super::rooms::Rooms;
use super::waiting::Waiting;
use crate::auth::AuthenticatedUser;
use crate::domain::{
    ChatAccess, ChatEntry, ChatId, ChatKind, FloodGuard, RateLimit, Role, Seq, SessionId, Streams,
    Timestamp, retry_after_ms,
};
use crate::protocol::{
    AckData, Answer, ApiError, Control, Ending, Entry, RequestId, ServerEvent, Shared,
};

/// A session, from the first frame to its end.
pub struct Session<R> {
    pub(super) id: SessionId,
    pub(super) config: Arc<SessionConfig>,
    pub(super) phase: Phase<R>,
}

pub enum Phase<R> {
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
    Ended {
        /// The last `seq` written of each chat, of a session that was welcomed.
        positions: Box<[(ChatId, Seq)]>,
    },
}

impl<R> Phase<R> {
    fn is_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    /// The phase, in whose place the session is ended.
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Ended { positions: Box::default() })
    }
}

/// State of an authenticated session.
pub struct Authenticated<R> {
    pub user: AuthenticatedUser,
    /// A customer's support chat.
    pub own: Option<ChatAccess>,
    pub streams: Streams,
    pub rooms: Rooms<R>,
    pub requests: Requests,
    pub limit: RateLimit,
    /// There once the client has misbehaved.
    pub flood: Option<Box<FloodGuard>>,
    /// There once an event was forwarded.
    pub forwards: Option<Box<Forwards>>,
    /// The one command that waits for the database.
    pub waiting: Option<Box<Waiting>>,
    pub joining: Option<Box<Joining>>,
    /// Joins so far: a late answer is not taken for another join's.
    pub joins: u64,
    /// A page is asked for again soon.
    pub retrying: bool,
    /// The node leaves: no frame is read any more, and the session ends with its last answer.
    pub leaving: bool,
    /// Held back until the answer to a join is written.
    pub deferred: Vec<Deferred>,
}

/// Something that a session is told before the answer to its join.
pub enum Deferred {
    Created(ChatId, Arc<Shared>),
    Event(ServerEvent, Permit),
}

/// The most ephemeral states that are held back; one more is dropped.
const MOST_EPHEMERAL: usize = 64;

/// One turn of the state machine: the time, and the actions so far.
pub struct Turn<'c, R> {
    pub clock: &'c dyn Fn() -> Timestamp,
    pub actions: Vec<Action<R>>,
}

impl<R> Turn<'_, R> {
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub fn act(&mut self, action: Action<R>) {
        self.actions.push(action);
    }

    pub fn send(&mut self, event: ServerEvent) {
        self.actions.push(Action::Send(event));
    }

    /// Answers a request that asked for it.
    pub fn ack(&mut self, id: Option<RequestId>, data: AckData) {
        if let Some(id) = id {
            self.send(ServerEvent::Answer(Answer::Ack(id, data)));
        }
    }

    pub fn refuse(&mut self, id: Option<RequestId>, event: Option<&str>, exception: ApiError) {
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

    /// A session whose token came with the upgrade request; [`Answered::Authenticated`](super::Answered) is its first
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
        self.phase.is_ended()
    }

    /// The session's user, once the token was checked.
    #[must_use]
    pub fn user(&self) -> Option<&AuthenticatedUser> {
        match &self.phase {
            Phase::Welcomed(session) | Phase::Joining(session) => Some(&session.user),
            Phase::Unauthenticated { .. } | Phase::Authenticating { .. } | Phase::Ended { .. } => {
                None
            }
        }
    }

    /// The last `seq` written of each chat that it was in, once it has ended.
    #[must_use]
    pub fn positions(&self) -> &[(ChatId, Seq)] {
        match &self.phase {
            Phase::Ended { positions } => positions,
            _ => &[],
        }
    }

    /// The next frame may be handed in. A frame that comes earlier waits with the host: its sender
    /// feels the back-pressure.
    #[must_use]
    pub fn accepts_frames(&self) -> bool {
        match &self.phase {
            Phase::Unauthenticated { .. } | Phase::Ended { .. } => true,
            Phase::Authenticating { .. } | Phase::Joining(_) => false,
            Phase::Welcomed(session) => {
                let most_bytes = self.config.welcome.frame_bytes.saturating_mul(2);
                !session.leaving
                    && session.waiting.is_none()
                    && session.joining.is_none()
                    && session.requests.len() < self.config.commands_in_flight
                    && session.requests.bytes() < most_bytes
            }
        }
    }

    pub(super) fn live(&mut self) -> Option<&mut Authenticated<R>> {
        match &mut self.phase {
            Phase::Welcomed(session) | Phase::Joining(session) => Some(session),
            Phase::Unauthenticated { .. } | Phase::Authenticating { .. } | Phase::Ended { .. } => {
                None
            }
        }
    }

    /// Ends the session, once all that it was asked is answered. Told a second time, it ends at once.
    pub(super) fn leave(&mut self, turn: &mut Turn<'_, R>) {
        match &mut self.phase {
            Phase::Welcomed(session) if !session.leaving => session.leaving = true,
            _ => self.end(Ending::Shutdown, turn),
        }
    }

    /// Ends a session that leaves, if nothing waits for an answer.
    pub(super) fn end_if_left(&mut self, turn: &mut Turn<'_, R>) {
        if let Phase::Welcomed(session) = &self.phase
            && session.leaving
            && session.waiting.is_none()
            && session.requests.len() == 0
        {
            self.end(Ending::Shutdown, turn);
        }
    }

    /// Ends the session, and frees all that it held.
    pub(super) fn end(&mut self, ending: Ending, turn: &mut Turn<'_, R>) {
        if self.is_ended() {
            return;
        }
        let positions = match self.phase.take() {
            Phase::Welcomed(session) => session.streams.positions().collect(),
            _ => Box::default(),
        };
        self.phase = Phase::Ended { positions };
        if let Some(reason) = ending.goodbye() {
            let retry_after_ms = match ending {
                // Spread, so that not all come back at once.
                Ending::Shutdown => retry_after_ms(self.id, self.config.drain_window),
                _ => 0,
            };
            turn.send(ServerEvent::Control(Control::Goodbye { reason, retry_after_ms }));
        }
        turn.act(Action::Close(ending));
    }
}

impl<R> Authenticated<R> {
    pub fn new(user: AuthenticatedUser, chats: &[ChatEntry], limit: RateLimit) -> Self {
        let mut access = chats.iter().map(|chat| chat.access);
        let own =
            access.find(|chat| user.role() == Role::Customer && chat.kind == ChatKind::Support);
        Self {
            user,
            own,
            streams: Streams::default(),
            rooms: Rooms::default(),
            requests: Requests::default(),
            limit,
            flood: None,
            forwards: None,
            waiting: None,
            joining: None,
            joins: 0,
            retrying: false,
            leaving: false,
            deferred: Vec::new(),
        }
    }

    /// A live state of a chat that is being joined.
    #[must_use]
    pub fn is_early(&self, event: &ServerEvent) -> bool {
        let ServerEvent::Ephemeral(key, _) = event else { return false };
        self.joining.as_ref().is_some_and(|joining| joining.has(key.chat))
    }

    /// Holds an event back; of an ephemeral state, the newest.
    pub fn defer(&mut self, event: ServerEvent, permit: Permit) {
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
