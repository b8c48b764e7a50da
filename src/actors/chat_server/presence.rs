//! Presence: who is online, told to rooms and to other services.

use std::time::Instant;

use actix::prelude::*;

use super::{ChatServer, OnlineOf};
use crate::actors::gateway::PresenceChanged;
use crate::actors::last_seen::Seen;
use crate::actors::room_actor::TellPresence;
use crate::domain::{ChatId, Timestamp, UserId};
use crate::session::JoinChat;

impl ChatServer {
    pub(super) fn is_online(&self, user: UserId) -> bool {
        self.hub.has_session(user) || self.presence.is_leaving(user)
    }

    /// Those who are online, in the same order.
    pub(super) fn online_among(&self, users: &[UserId]) -> impl Iterator<Item = UserId> {
        users.iter().copied().filter(|user| self.is_online(*user))
    }

    /// A user's first session begins, in these chats.
    pub(super) fn came(&mut self, user: UserId, chats: &[JoinChat]) {
        self.tell_services(PresenceChanged { user, online: true });
        if self.presence.came(user) {
            self.tell_rooms(user, true, shown(chats));
        }
    }

    /// A user who is online enters further chats: those who are there were not told before.
    pub(super) fn came_to(&mut self, user: UserId, chats: &[JoinChat]) {
        let is_new =
            |chat: &ChatId| self.hub.sessions_in(*chat).all(|(_, session)| session.user() != user);
        self.tell_rooms(user, true, shown(chats).filter(is_new));
    }

    /// A user's last session has ended.
    pub(super) fn went(&mut self, user: UserId, chats: Vec<ChatId>, ctx: &mut Context<Self>) {
        self.tell_services(PresenceChanged { user, online: false });
        // Bounded: one for each session that has ended.
        self.parts.last_seen.do_send(Seen { user, at: Timestamp::now() });
        self.presence.went(user, chats, Instant::now());
        self.end_graces_later(ctx);
    }

    fn end_graces_later(&mut self, ctx: &mut Context<Self>) {
        let Some(end) = self.presence.next_end().filter(|_| !self.is_grace_timed) else { return };
        self.is_grace_timed = true;
        ctx.run_later(end.saturating_duration_since(Instant::now()), |this, ctx| {
            this.is_grace_timed = false;
            for (user, chats) in this.presence.expire(Instant::now()) {
                this.tell_rooms(user, false, chats.into_iter());
            }
            this.end_graces_later(ctx);
        });
    }

    /// Tells the rooms in which there are others.
    fn tell_rooms(&self, user: UserId, online: bool, chats: impl Iterator<Item = ChatId>) {
        for chat in chats {
            let is_seen = self.hub.sessions_in(chat).any(|(_, session)| session.user() != user);
            if let Some(room) = self.hub.room(chat).filter(|_| is_seen) {
                // Bounded: one for each change of a user, and chat.
                room.do_send(TellPresence { user, online });
            }
        }
    }

    fn tell_services(&self, changed: PresenceChanged) {
        let Some(presence) = &self.parts.presence else { return };
        if presence.try_send(changed).is_err() {
            self.parts.metrics.events_dropped.inc();
        }
    }
}

/// The chats that show this member's presence.
fn shown(chats: &[JoinChat]) -> impl Iterator<Item = ChatId> {
    let shown = chats.iter().filter(|join| join.is_member && join.members.is_some());
    shown.map(|join| join.chat)
}

impl Handler<OnlineOf> for ChatServer {
    type Result = Vec<UserId>;

    fn handle(&mut self, OnlineOf(users): OnlineOf, _: &mut Self::Context) -> Vec<UserId> {
        self.online_among(&users).collect()
    }
}
