//! Dispatch of inputs to the parts of a session.

use super::action::{Action, Counted, Timer};
use super::budget::Permit;
use super::commands;
use super::input::{Input, ToSession};
use super::state::{Phase, Session, Turn};
use super::waiting::Waiting;
use crate::domain::Timestamp;
use crate::protocol::{ApiError, Code, Ending, Envelope, Rejected, RequestId, ServerEvent};

impl<R: Clone> Session<R> {
    /// The first actions of a session that is to bring a token.
    #[must_use]
    pub fn start(&self) -> Vec<Action<R>> {
        match self.phase {
            Phase::Unauthenticated { .. } => {
                vec![Action::SetDeadline(Timer::Authentication, self.config.auth_timeout)]
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
                Input::Text(text) => self.request(Envelope::parse(text), &mut turn),
                Input::Request(request) => self.request(request, &mut turn),
                Input::Unreadable(problem) => {
                    let exception = ApiError::new(Code::BadRequest, problem);
                    self.reject(None, None, exception, &mut turn);
                }
                Input::FromServer(message) => self.told(message, &mut turn),
                Input::Answered(answer) => self.answered(answer, &mut turn),
                Input::Timer(timer) => self.timer(timer, &mut turn),
                Input::Tick => self.tick(&mut turn),
                Input::End(ending) => self.end(ending, &mut turn),
            }
            self.end_if_left(&mut turn);
        }
        turn.actions
    }

    fn request(&mut self, request: Result<Envelope<'_>, Box<Rejected>>, turn: &mut Turn<'_, R>) {
        match request {
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
            None => self.refuse_frame(id, Some(&envelope.event), exception, turn),
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
        self.refuse_frame(id, event, exception, turn);
        if matches!(self.phase, Phase::Unauthenticated { .. }) {
            self.end(Ending::Unauthenticated, turn);
        }
    }

    /// Answers a frame that is refused, and ends the session of a client that floods.
    fn refuse_frame(
        &mut self,
        id: Option<RequestId>,
        event: Option<&str>,
        exception: ApiError,
        turn: &mut Turn<'_, R>,
    ) {
        let (burst, now) = (self.config.welcome.burst, turn.now());
        let is_flood = self.live().is_some_and(|session| match exception.code {
            Code::RateLimited => {
                let wait = exception.retry_after_ms.unwrap_or_default();
                session.flood.get_or_insert_default().refused(now, wait, burst)
            }
            Code::BadRequest | Code::UnknownEvent => {
                session.flood.get_or_insert_default().bad(now, burst)
            }
            _ => false,
        });
        turn.refuse(id, event, exception);
        if is_flood {
            self.end(Ending::Flood, turn);
        }
    }

    /// Ends a session whose token has ended, unless a fresh one is being checked.
    pub(super) fn tick(&mut self, turn: &mut Turn<'_, R>) {
        let Some(session) = self.live() else { return };
        if matches!(session.waiting.as_deref(), Some(Waiting::Renew { .. })) {
            return;
        }
        if session.user.ends_at() <= turn.now() {
            self.end(Ending::TokenExpired, turn);
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
            ToSession::RoomLost(chat) => {
                if let Some(session) = self.live() {
                    session.rooms.lost(chat);
                }
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
            ToSession::Close(Ending::Shutdown) => self.leave(turn),
            ToSession::Close(ending) => self.end(ending, turn),
            ToSession::UserChanged { role, ended } => {
                let Some(session) = self.live() else { return };
                if session.user.login().is_some_and(|login| ended.contains(&login)) {
                    self.end(Ending::SignedOut, turn);
                } else if session.user.is_lowered_by(role) {
                    self.end(Ending::RoleChanged, turn);
                }
            }
            #[cfg(feature = "faults")]
            ToSession::Crash => crash(),
        }
    }

    /// Writes an event that is not a message. It is held back until `welcome`. A live state of a chat
    /// that is being joined goes into the answer, or waits for it.
    fn event(&mut self, event: ServerEvent, permit: Permit, turn: &mut Turn<'_, R>) {
        if let ServerEvent::Ephemeral(_, shared) = &event
            && let Some(state) = shared.live()
            && let Some(session) = self.live()
            && let Some(joining) = &mut session.joining
            && joining.fold(state, session.user.id())
        {
            return;
        }
        match &mut self.phase {
            Phase::Welcomed(session) if session.is_early(&event) => session.defer(event, permit),
            Phase::Welcomed(_) => {
                turn.send(event);
                turn.act(Action::Written(permit));
            }
            // A service that hears of `user.connected` may push before `welcome`.
            Phase::Joining(session) => session.defer(event, permit),
            Phase::Unauthenticated { .. } | Phase::Authenticating { .. } | Phase::Ended { .. } => {}
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
}

#[cfg(feature = "faults")]
#[expect(clippy::panic, reason = "a test asked for it")]
fn crash() {
    panic!("a test asked for it");
}
