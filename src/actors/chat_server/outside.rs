//! What other services say to sessions, and what they are told of who is here.

use actix::prelude::*;

use super::ChatServer;
use crate::actors::delivery::{Link, Tell};
use crate::actors::gateway::{Audience, Broadcast, IsHere, PresenceChanged};
use crate::actors::ws_session::Kick;
use crate::domain::UserId;
use crate::protocol::Frame;

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

    /// Hands a frame to a session, and gives up one that does not keep up.
    fn tell(&self, link: &Link, frame: &Frame) -> bool {
        let limits = self.parts.room;
        let is_charged = link.meter.charge_told(frame, limits.session_events, limits.session_bytes);
        if is_charged && link.addr.try_send(Tell(frame.clone())).is_ok() {
            return true;
        }
        if is_charged {
            link.meter.release_told(frame);
        }
        if link.meter.give_up() {
            // Once: it is told nothing after this.
            link.addr.do_send(Kick::TooSlow);
        }
        false
    }
}

impl Handler<Broadcast> for ChatServer {
    type Result = usize;

    fn handle(&mut self, Broadcast { audience, frame }: Broadcast, _: &mut Self::Context) -> usize {
        let is_told = |link: &&Link| self.tell(link, &frame);
        match audience {
            Audience::Session(session) => {
                self.hub.session(session).into_iter().filter(is_told).count()
            }
            Audience::User(user) => {
                self.hub.sessions_of(user).map(|(_, link)| link).filter(is_told).count()
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
