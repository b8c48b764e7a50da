//! Handle of a session: the one way to send to it, whatever its transport.

use std::sync::Arc;

use actix::prelude::*;

use super::room_actor::RoomActor;
use crate::domain::{ChatId, Role, SessionId, Timestamp, UserId};
use crate::protocol::{Codec, Control, Ending, EphemeralKey, Posted, ServerEvent, Shared};
use crate::session::{self, Budget};

/// A message to a session, with rooms as they are addressed here.
pub type ToSession = session::ToSession<Addr<RoomActor>>;

/// The number of a session within its host, never used twice there.
pub type Slot = u32;

/// A message to one of the sessions that an actor hosts.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Told {
    pub slot: Slot,
    pub message: ToSession,
}

/// Reaches a session. Cheap to clone; all clones share one place in its mailbox.
#[derive(Clone)]
pub struct SessionHandle(Arc<Parts>);

struct Parts {
    id: SessionId,
    user: UserId,
    role: Role,
    to: Recipient<Told>,
    slot: Slot,
    codec: Codec,
    budget: Arc<Budget>,
    since: Timestamp,
}

impl SessionHandle {
    /// A handle of the user's session that `to` hosts in `slot`, and that speaks `codec`.
    #[must_use]
    pub fn new(
        id: SessionId,
        (user, role): (UserId, Role),
        (to, slot): (Recipient<Told>, Slot),
        codec: Codec,
        budget: Arc<Budget>,
    ) -> Self {
        let since = Timestamp::now();
        Self(Arc::new(Parts { id, user, role, to, slot, codec, budget, since }))
    }

    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    #[must_use]
    pub fn user(&self) -> UserId {
        self.0.user
    }

    /// The user's role when the session began.
    #[must_use]
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// Begin of the session.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.0.since
    }

    /// The wire format of its frames.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.0.codec
    }

    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.0.budget
    }

    /// Sends messages of one chat, ascending, of `weight` bytes. `false` where the session cannot take
    /// them: it is closed, and resumes.
    #[must_use]
    pub fn deliver(&self, chat: ChatId, messages: &Arc<[Posted]>, weight: usize) -> bool {
        let permit = self.0.budget.take(messages.len(), weight);
        let is_sent = permit.is_some_and(|permit| {
            let messages = Arc::clone(messages);
            self.try_send(ToSession::Deliver { chat, messages, permit })
        });
        self.or_close(is_sent)
    }

    /// Sends a control event. `false` where the session cannot take it: it is closed.
    #[must_use]
    pub fn control(&self, event: &Arc<Shared>) -> bool {
        let permit = self.0.budget.take(1, event.weight(self.0.codec));
        let is_sent = permit.is_some_and(|permit| {
            let event = ServerEvent::Control(Control::Shared(Arc::clone(event)));
            self.try_send(ToSession::Event(event, permit))
        });
        self.or_close(is_sent)
    }

    /// Sends an ephemeral event. `false` where the session has no room for it: it is dropped.
    #[must_use]
    pub fn ephemeral(&self, key: EphemeralKey, event: &Arc<Shared>) -> bool {
        self.0.budget.take_ephemeral(event.weight(self.0.codec)).is_some_and(|permit| {
            let event = ServerEvent::Ephemeral(key, Arc::clone(event));
            self.try_send(ToSession::Event(event, permit))
        })
    }

    /// Sends what the session is owed once: an answer, or a fact that its sender is bounded in.
    pub fn send(&self, message: ToSession) {
        self.0.to.do_send(Told { slot: self.0.slot, message });
    }

    /// Ends the session.
    pub fn close(&self, ending: Ending) {
        self.send(ToSession::Close(ending));
    }

    /// Makes the session's host panic.
    #[cfg(feature = "faults")]
    pub fn crash(&self) {
        self.send(ToSession::Crash);
    }

    fn try_send(&self, message: ToSession) -> bool {
        self.0.to.try_send(Told { slot: self.0.slot, message }).is_ok()
    }

    fn or_close(&self, is_sent: bool) -> bool {
        // Once: it is sent nothing after this.
        if !is_sent && self.0.budget.give_up() {
            self.close(Ending::SlowReader);
        }
        is_sent
    }
}
