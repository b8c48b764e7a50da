//! A reply that cannot be forgotten: dropped, it answers for its actor.

use tokio::sync::oneshot;

use super::session_handle::{SessionHandle, ToSession};
use crate::domain::PostResult;
use crate::protocol::ApiError;
use crate::session::{MarkOutcome, Outcome, PostOutcome};

/// An answer to a call, with a value for an actor that died before it could give one.
pub trait CallOutcome: Send + 'static {
    fn unanswered() -> Self;
    fn into_outcome(self) -> Outcome;
}

impl CallOutcome for PostOutcome {
    fn unanswered() -> Self {
        Self::Stored(PostResult::Unavailable)
    }

    fn into_outcome(self) -> Outcome {
        Outcome::Post(self)
    }
}

impl CallOutcome for MarkOutcome {
    fn unanswered() -> Self {
        Self::Done(Err(ApiError::unavailable()))
    }

    fn into_outcome(self) -> Outcome {
        Outcome::Mark(self)
    }
}

enum To<T> {
    /// A session, and its number of the request.
    Session(SessionHandle, u64),
    /// A caller, who may have gone.
    Caller(oneshot::Sender<T>),
    Nobody,
}

/// The address of an answer. Dropped without one (its actor panicked, or ended), it sends
/// [`CallOutcome::unanswered`], so that nobody waits for ever.
pub struct Reply<T: CallOutcome>(To<T>);

impl<T: CallOutcome> Reply<T> {
    /// To a session's request.
    #[must_use]
    pub fn to_session(session: SessionHandle, nonce: u64) -> Self {
        Self(To::Session(session, nonce))
    }

    /// To a caller that awaits it.
    #[must_use]
    pub fn to_caller() -> (Self, oneshot::Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self(To::Caller(sender)), receiver)
    }

    pub fn send(mut self, outcome: T) {
        self.answer(outcome);
    }

    /// Another message is the answer.
    pub fn forget(mut self) {
        self.0 = To::Nobody;
    }

    fn answer(&mut self, outcome: T) {
        match std::mem::replace(&mut self.0, To::Nobody) {
            // Bounded: one answer for each request.
            To::Session(session, nonce) => {
                session.send(ToSession::Outcome { nonce, outcome: outcome.into_outcome() });
            }
            To::Caller(sender) => drop(sender.send(outcome)),
            To::Nobody => {}
        }
    }
}

impl<T: CallOutcome> Drop for Reply<T> {
    fn drop(&mut self) {
        if !matches!(self.0, To::Nobody) {
            self.answer(T::unanswered());
        }
    }
}
