//! Other nodes: their messages and live states for the rooms here, and shares in both directions.

use std::time::Duration;

use actix::prelude::*;

use super::{ChatServer, PeerChange, PeerNews, PeerShare};
use crate::actors::last_seen::Seen;
use crate::actors::peer_feed::News;
use crate::actors::room_actor::{Hint, PostedElsewhere, TellOwnSessions, ToldElsewhere};
use crate::domain::{Applied, Change, LiveState, NodeId};

/// The time for which changes of the share are gathered.
const GATHER: Duration = Duration::from_millis(20);
/// The time between two tellings of the share's version: a change that was lost is missed no longer.
pub(super) const TELL_VERSION: Duration = Duration::from_secs(2);

impl ChatServer {
    /// Tells the other nodes of changes, soon.
    pub(super) fn tell_share_later(&mut self, ctx: &mut Context<Self>) {
        if self.presence.is_told() || std::mem::replace(&mut self.is_share_timed, true) {
            return;
        }
        ctx.run_later(GATHER, |this, _| {
            this.is_share_timed = false;
            if !this.presence.is_told() {
                this.tell_share();
            }
        });
    }

    /// Tells the other nodes the changes, or the version alone.
    pub(super) fn tell_share(&mut self) {
        self.parts.peers.send(News::Share(self.presence.take_update()));
    }

    /// Answers a node that has missed changes.
    fn tell_whole_share(&mut self, to: NodeId) {
        self.tell_share();
        let online = self.hub.shown().map(|(user, chats)| Change::Online(user, chats));
        let here = |session| self.hub.session(session).is_some();
        let views = self.viewers.all().filter(|(session, ..)| here(*session));
        let views = views.map(|(session, chat, user)| Change::Views(session, Some((chat, user))));
        let parts = self.presence.share(online.chain(views));
        self.parts.peers.send(News::WholeShare(to, parts));
    }

    fn apply(&mut self, applied: Applied) {
        let Applied { news, shown, views } = applied;
        let elsewhere = i64::try_from(self.presence.elsewhere()).unwrap_or(i64::MAX);
        self.parts.metrics.peer_users.set(elsewhere);
        for news in news.into_iter().chain(shown) {
            self.tell_presence(news);
        }
        for (session, view) in views {
            let changed = match view {
                Some((chat, viewer)) => self.viewers.view(session, viewer, Some(chat)),
                None => self.viewers.end(session).into_iter().collect(),
            };
            for chat in changed {
                self.tell_viewers(chat);
            }
        }
    }

    fn forget_peer(&mut self, node: NodeId) -> Applied {
        let hub = &self.hub;
        self.presence.remove(node, |user| hub.has_session(user))
    }
}

impl Handler<PeerNews> for ChatServer {
    type Result = ();

    fn handle(&mut self, news: PeerNews, _: &mut Self::Context) {
        let PeerNews { from, posts, grown, live, shares } = news;
        // Bounded: one for each room that a message of another node is about.
        for (chat, posts) in posts {
            if let Some(room) = self.hub.room(chat) {
                room.do_send(PostedElsewhere(posts));
            }
        }
        for (chat, end) in grown {
            if let Some(room) = self.hub.room(chat) {
                room.do_send(Hint(end));
            }
        }
        for event in live {
            if let Some(room) = self.hub.room(event.chat) {
                room.do_send(ToldElsewhere(event));
            }
            if matches!(event.state, LiveState::Read(_)) {
                self.tell_own_sessions(TellOwnSessions { event, origin: None });
            }
        }
        for share in shares {
            let hub = &self.hub;
            match self.presence.update(from, share, |user| hub.has_session(user)) {
                Some(applied) => self.apply(applied),
                None => self.parts.peers.send(News::AskShare(from)),
            }
        }
    }
}

impl Handler<PeerShare> for ChatServer {
    type Result = ();

    fn handle(&mut self, PeerShare { from, part }: PeerShare, _: &mut Self::Context) {
        let hub = &self.hub;
        let applied = self.presence.add(from, part, |user| hub.has_session(user));
        self.apply(applied);
    }
}

impl Handler<PeerChange> for ChatServer {
    type Result = ();

    fn handle(&mut self, change: PeerChange, ctx: &mut Self::Context) {
        match change {
            PeerChange::Came => self.tell_share(),
            PeerChange::Asks(node) => self.tell_whole_share(node),
            // Its users come back on another node meanwhile. It has written when it saw them last.
            PeerChange::Left(node) => {
                ctx.run_later(self.parts.presence_grace, move |this, _| {
                    let applied = this.forget_peer(node);
                    this.apply(applied);
                });
            }
            PeerChange::Lost { node, last_heard } => {
                let applied = self.forget_peer(node);
                for news in &applied.news {
                    // Bounded: one for each user of a node that is gone.
                    self.parts.last_seen.do_send(Seen { user: news.user, at: last_heard });
                }
                self.apply(applied);
            }
        }
    }
}
