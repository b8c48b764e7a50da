//! An answer that cannot be forgotten.

use actix::prelude::*;
use tokio::sync::oneshot;

use super::WsSession;

/// What an actor answers if it dies before it could.
pub trait Unanswered: Sized + Send + 'static {
    fn unanswered() -> Self;
}

/// An answer to one of a session's requests.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Answered<T> {
    pub nonce: u64,
    pub outcome: T,
}

enum To<T: Unanswered>
where
    WsSession: Handler<Answered<T>>,
{
    Session(Addr<WsSession>, u64),
    /// Who no longer waits hears nothing.
    Caller(oneshot::Sender<T>),
    Nobody,
}

/// Where an answer goes. Dropped without one (its actor panicked, or ended), it answers
/// [`Unanswered`], so that whoever asked does not wait for ever.
pub struct Reply<T: Unanswered>(To<T>)
where
    WsSession: Handler<Answered<T>>;

impl<T: Unanswered> Reply<T>
where
    WsSession: Handler<Answered<T>>,
{
    /// To a session's request. Bounded: one answer for each.
    #[must_use]
    pub fn to_session(addr: Addr<WsSession>, nonce: u64) -> Self {
        Self(To::Session(addr, nonce))
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
            To::Session(addr, nonce) => addr.do_send(Answered { nonce, outcome }),
            To::Caller(sender) => drop(sender.send(outcome)),
            To::Nobody => {}
        }
    }
}

impl<T: Unanswered> Drop for Reply<T>
where
    WsSession: Handler<Answered<T>>,
{
    fn drop(&mut self) {
        if !matches!(self.0, To::Nobody) {
            self.answer(T::unanswered());
        }
    }
}
