//! Events of other services for sessions, and presence for other services.

use actix::prelude::*;

use super::ChatServer;
use crate::actors::gateway::{Audience, Broadcast, IsHere, PresenceChanged};
use crate::actors::session_handle::SessionHandle;
use crate::domain::UserId;
use crate::protocol::{Push, Shared, SharedEvent};

impl ChatServer {
    /// A user has one session more.
    pub(super) fn came(&self, user: UserId) {
        if self.hub.sessions_of(user).nth(1).is_none() {
            self.tell_presence(PresenceChanged { user, online: true });
        }
    }

    /// A user has one session less.
    pub(super) fn went(&self, user: UserId) {
        if self.hub.sessions_of(user).next().is_none() {
            self.tell_presence(PresenceChanged { user, online: false });
        }
    }

    fn tell_presence(&self, changed: PresenceChanged) {
        let Some(presence) = &self.parts.presence else { return };
        if presence.try_send(changed).is_err() {
            self.parts.metrics.events_dropped.inc();
        }
    }
}

impl Handler<Broadcast> for ChatServer {
    type Result = usize;

    fn handle(&mut self, Broadcast { audience, frame }: Broadcast, _: &mut Self::Context) -> usize {
        let Ok(push) = serde_json::from_str::<Push>(&frame) else {
            log::error!("a push that is not an event is dropped");
            return 0;
        };
        let event = Shared::new(SharedEvent::Push(push));
        let is_told = |session: &&SessionHandle| session.control(&event);
        match audience {
            Audience::Session(session) => {
                self.hub.session(session).into_iter().filter(is_told).count()
            }
            Audience::User(user) => {
                self.hub.sessions_of(user).map(|(_, session)| session).filter(is_told).count()
            }
            Audience::Everybody => self.hub.sessions().filter(is_told).count(),
        }
    }
}

impl Handler<IsHere> for ChatServer {
    type Result = bool;

    fn handle(&mut self, IsHere(user): IsHere, _: &mut Self::Context) -> bool {
        self.hub.sessions_of(user).next().is_some()
    }
}
