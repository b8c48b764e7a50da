//! Presence: who is online, told to rooms and to other services.

use std::time::Instant;

use actix::prelude::*;

use super::{ChatServer, OnlineOf};
use crate::actors::gateway::PresenceChanged;
use crate::actors::last_seen::Seen;
use crate::actors::room_actor::TellPresence;
use crate::domain::{Change, ChatId, PresenceNews, Timestamp, UserId};
use crate::session::JoinChat;

impl ChatServer {
    pub(super) fn is_online(&self, user: UserId) -> bool {
        self.hub.has_session(user) || self.presence.is_online(user)
    }

    /// Those who are online, in the same order.
    pub(super) fn online_among(&self, users: &[UserId]) -> impl Iterator<Item = UserId> {
        users.iter().copied().filter(|user| self.is_online(*user))
    }

    /// A user's first session begins, in these chats.
    pub(super) fn came(&mut self, user: UserId, chats: &[JoinChat], ctx: &mut Context<Self>) {
        self.tell_services(PresenceChanged { user, online: true });
        if let Some(news) = self.presence.came(user, shown(chats).collect()) {
            self.tell_presence(news);
        }
        self.tell_share_later(ctx);
    }

    /// A user who is online enters further chats: those who are there were not told before.
    pub(super) fn came_to(&mut self, user: UserId, chats: &[JoinChat], ctx: &mut Context<Self>) {
        let is_new =
            |chat: &ChatId| self.hub.sessions_in(*chat).all(|(_, session)| session.user() != user);
        let chats: Vec<ChatId> = shown(chats).filter(is_new).collect();
        if chats.is_empty() {
            return;
        }
        self.presence.record(Change::Online(user, chats.clone()));
        self.tell_presence(PresenceNews { user, online: true, chats });
        self.tell_share_later(ctx);
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
            for news in this.presence.expire(Instant::now()) {
                this.tell_presence(news);
            }
            this.end_graces_later(ctx);
            this.tell_share_later(ctx);
        });
    }

    /// Tells the rooms in which there are others.
    pub(super) fn tell_presence(&self, PresenceNews { user, online, chats }: PresenceNews) {
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
