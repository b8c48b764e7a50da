//! News of chats: a new one for its members and for sessions that watch, and their activity.

use std::collections::HashSet;
use std::sync::Arc;

use actix::prelude::*;

use super::{Announce, ChatServer, ChatUpdated, FilterNew, IsAnnounced};
use crate::actors::peer_feed::News;
use crate::actors::session_handle::SessionHandle;
use crate::domain::{ChatKind, Role, Roster, SessionId};
use crate::protocol::{Shared, SharedEvent};
use crate::session::{JoinChat, Purpose};

impl ChatServer {
    /// Sends an event to the sessions that watch all chats. One that cannot take it watches no more,
    /// and is closed.
    pub(super) fn tell_watchers(
        &mut self,
        event: &Arc<Shared>,
        is_meant: impl Fn(SessionId) -> bool,
    ) {
        let slow: Vec<SessionId> = self
            .hub
            .watchers()
            .filter(|(id, session)| is_meant(*id) && !session.control(event))
            .map(|(id, _)| id)
            .collect();
        for session in slow {
            self.hub.watch(session, false);
        }
        self.parts.commits.set_watched(self.hub.is_watched());
    }
}

impl Handler<Announce> for ChatServer {
    type Result = ();

    fn handle(&mut self, announce: Announce, ctx: &mut Self::Context) {
        let Announce { chat, members, except, made_here } = announce;
        if made_here {
            self.parts.peers.send(News::ChatCreated(chat.id));
        }
        let created = |viewer| Shared::new(SharedEvent::ChatCreated(Arc::clone(&chat), viewer));
        let (to_admins, to_others) = (created(Role::Admin), created(Role::Customer));
        // Messages since the chat was read follow the event that tells of it.
        let is_small = members.len() <= Roster::MOST;
        let join = JoinChat {
            chat: chat.id,
            after: Some(chat.last_seq),
            last_seq: chat.last_seq,
            is_member: true,
            members: is_small.then(|| members.as_slice().into()),
        };
        let mut told: HashSet<SessionId> = except.into_iter().collect();
        for member in members {
            let sessions: Vec<SessionHandle> =
                self.hub.sessions_of(member).map(|(_, session)| session.clone()).collect();
            for session in sessions {
                // Who is in the room already was told of the chat when they entered.
                let is_told = self.hub.is_in(session.id(), chat.id)
                    || self.hub.has_left(session.id(), chat.id);
                if told.insert(session.id()) && !is_told {
                    let (to_admins, to_others) = (to_admins.clone(), to_others.clone());
                    self.join(
                        &session,
                        join.clone(),
                        Purpose::Created { to_admins, to_others },
                        ctx,
                    );
                }
            }
        }
        // A group is announced a second time, from the journal, for members who were on their way in
        // at the first; one who watches would hear it twice.
        let is_first = self.announced.insert(chat.id);
        if !is_first || chat.kind == ChatKind::Support {
            self.settled.insert(chat.id);
        }
        if !is_first {
            return;
        }
        self.tell_watchers(&to_admins, |session| !told.contains(&session));
    }
}

impl Handler<ChatUpdated> for ChatServer {
    type Result = ();

    fn handle(&mut self, ChatUpdated(chat): ChatUpdated, _: &mut Self::Context) {
        self.tell_watchers(&Shared::new(SharedEvent::ChatUpdated(chat)), |_| true);
    }
}

impl Handler<FilterNew> for ChatServer {
    type Result = MessageResult<FilterNew>;

    fn handle(&mut self, FilterNew(mut chats): FilterNew, _: &mut Self::Context) -> Self::Result {
        chats.retain(|chat| !self.settled.contains(chat));
        MessageResult(chats)
    }
}

impl Handler<IsAnnounced> for ChatServer {
    type Result = bool;

    fn handle(&mut self, IsAnnounced(chat): IsAnnounced, _: &mut Self::Context) -> bool {
        self.announced.contains(&chat)
    }
}
