//! Viewers: which admins have a chat on their screens, told to admins alone.

use std::sync::Arc;

use actix::prelude::*;

use super::{ChatServer, View};
use crate::actors::session_handle::SessionHandle;
use crate::domain::{Change, ChatId, access};
use crate::protocol::{EphemeralKey, Shared, SharedEvent};

impl ChatServer {
    /// Tells the admins who are in a chat's room, or watch.
    pub(super) fn tell_viewers(&self, chat: ChatId) {
        let watches = |session: &SessionHandle| self.hub.watches(session.id());
        let in_room = self.hub.sessions_in(chat).map(|(_, session)| session);
        let in_room =
            in_room.filter(|session| access::may_view(session.role()) && !watches(session));
        let watchers = self.hub.watchers().map(|(_, session)| session);
        self.tell_viewers_to(chat, in_room.chain(watchers));
    }

    pub(super) fn tell_viewers_to<'a>(
        &self,
        chat: ChatId,
        sessions: impl Iterator<Item = &'a SessionHandle>,
    ) {
        let event = Shared::new(SharedEvent::Viewers(chat, self.viewers.of(chat)));
        for session in sessions {
            if !session.ephemeral(EphemeralKey::viewers(chat), &event) {
                self.parts.metrics.live_events_dropped.inc();
            }
        }
    }
}

impl Handler<View> for ChatServer {
    type Result = ();

    fn handle(&mut self, View { session, chat, viewer }: View, ctx: &mut Self::Context) {
        // A session that has ended meanwhile views nothing.
        let Some(handle) = self.hub.session(session).cloned() else { return };
        let view = chat.map(|chat| (chat, Arc::clone(&viewer)));
        self.presence.record(Change::Views(session, view));
        self.tell_share_later(ctx);
        let changed = self.viewers.view(session, viewer, chat);
        for chat in &changed {
            self.tell_viewers(*chat);
        }
        if let Some(chat) = chat {
            let is_told = changed.contains(&chat)
                && (self.hub.is_in(session, chat) || self.hub.watches(session));
            if !is_told {
                self.tell_viewers_to(chat, [&handle].into_iter());
            }
        }
    }
}
