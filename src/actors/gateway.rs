//! Messages between sessions and other services.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::domain::{ChatId, Route, SessionId, UserId};
use crate::protocol::{ApiError, Frame};
use crate::session::{Budget, ServiceAnswer};

/// A client's event on its way to another service. Its access is checked.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Forward {
    pub route: Arc<Route>,
    pub session: SessionId,
    pub user: UserId,
    pub chat: Option<ChatId>,
    /// The fields of `data` as the client wrote them, `"a":1,"b":2`, without `metadata`.
    pub fields: String,
    /// Dropped, it answers `unavailable`.
    pub responder: ForwardResponder,
}

/// Outcome of a forward: the service's answer to a request, or the refusal.
pub type ForwardResult = Result<Option<Box<RawValue>>, ApiError>;

/// The session that waits for the answer to a forward. The answer is one of the things that wait for
/// the session, and counted among them: a client that asks and does not read holds no more by that.
pub struct ForwardResponder {
    answer: oneshot::Sender<Result<Option<ServiceAnswer>, ApiError>>,
    budget: Arc<Budget>,
}

impl ForwardResponder {
    /// The session's end of it is the receiver.
    #[must_use]
    pub fn new(
        budget: Arc<Budget>,
    ) -> (Self, oneshot::Receiver<Result<Option<ServiceAnswer>, ApiError>>) {
        let (answer, receiver) = oneshot::channel();
        (Self { answer, budget }, receiver)
    }

    /// Answers; `false`, and `unavailable`, where the session does not keep up with its answers. One
    /// that has gone is not told.
    #[must_use]
    pub fn answer(self, forwarded: ForwardResult) -> bool {
        let (answer, fits) = match forwarded.map(|value| value.map(|value| self.charge(value))) {
            Ok(Some(Some(answer))) => (Ok(Some(answer)), true),
            Ok(Some(None)) => (Err(ApiError::unavailable()), false),
            Ok(None) => (Ok(None), true),
            Err(exception) => (Err(exception), true),
        };
        drop(self.answer.send(answer));
        fits
    }

    fn charge(&self, value: Box<RawValue>) -> Option<ServiceAnswer> {
        let permit = self.budget.take(1, value.get().len())?;
        Some(ServiceAnswer { value, permit })
    }

    /// True if nobody waits any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }
}

/// The way to other services.
#[derive(Clone)]
pub struct Integrations {
    /// By the client's name of the event.
    pub routes: Arc<HashMap<String, Arc<Route>>>,
    /// Bytes of a client's `data`.
    pub most_bytes: usize,
    pub gateway: Recipient<Forward>,
    pub presence: Recipient<PresenceChanged>,
}

/// A user has come to this node, or has left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct PresenceChanged {
    pub user: UserId,
    pub online: bool,
}

/// Receivers of a service's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Session(SessionId),
    User(UserId),
    Everybody,
}

/// A service's event for sessions of this node. Who is too slow for it is told so, and closed (4409). Answers
/// with the number of sessions that it is on its way to.
#[derive(Clone, Message)]
#[rtype(result = "usize")]
pub struct Broadcast {
    pub audience: Audience,
    pub frame: Frame,
}

/// Asks whether a user has a session on this node.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct IsHere(pub UserId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_counted_until_it_is_dropped() {
        let budget = Budget::new(4, 10);
        let ask = || ForwardResponder::new(Arc::clone(&budget));
        let text = |text: &str| RawValue::from_string(format!("{text:?}")).map(Some);
        let answered = |responder: ForwardResponder, said: &str| {
            responder.answer(Ok(text(said).expect("JSON")))
        };
        let [(first, read), (second, unread), (third, gone), (fourth, last), (fifth, refused)] =
            std::array::from_fn(|_| ask());
        assert!(answered(first, "12345678"));
        assert!(!answered(second, "1"), "the first has not been read");
        assert!(matches!(unread.blocking_recv(), Ok(Err(_))), "it is told");
        // What has no bytes, or only an exception's, is not counted.
        assert!(fifth.answer(Err(ApiError::unavailable())));
        assert!(matches!(refused.blocking_recv(), Ok(Err(_))));
        drop(read.blocking_recv());
        drop(gone);
        assert!(third.is_gone() && answered(third, "12345678"), "nobody hears it");
        assert!(answered(fourth, "12345678"), "it is not counted for who has gone");
        drop(last);
        assert!(budget.is_unused());
    }
}
