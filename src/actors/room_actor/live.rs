//! Live states of a chat, for the sessions in its room.

use std::time::Instant;

use actix::prelude::*;

use super::{RoomActor, State, TellOwnSessions, TellPresence, ToldElsewhere, Typing};
use crate::actors::peer_feed::News;
use crate::db::{Marked, Refusal};
use crate::domain::{LiveEvent, LiveState, SessionId, UserId};
use crate::protocol::{EphemeralKey, Shared, SharedEvent};

impl RoomActor {
    /// Tells the others in the room, except the session that caused it.
    fn tell_others(&self, user: UserId, state: LiveState, origin: Option<SessionId>) {
        let event = LiveEvent { chat: self.parts.chat, user, state };
        let (key, shared) = (EphemeralKey::from(&event), Shared::new(SharedEvent::Live(event)));
        for session in &self.sessions {
            let is_told = Some(session.id()) != origin && event.is_for(session.user());
            if is_told && !session.ephemeral(key, &shared) {
                self.parts.node.metrics.live_events_dropped.inc();
            }
        }
    }

    /// A user types, or has read.
    fn changed(&mut self, event: &LiveEvent, origin: Option<SessionId>) {
        let LiveEvent { user, state, .. } = *event;
        let live = self.live.get_or_insert_default();
        let is_news = match state {
            LiveState::Typing(typing) => {
                let end = Instant::now() + self.parts.node.timings.typing;
                live.typists.set(user, typing, end)
            }
            LiveState::Read(seq) => {
                live.reads.raised(user, seq);
                true
            }
            LiveState::Online(_) => true,
        };
        if is_news {
            self.tell_others(user, state, origin);
        }
    }

    /// A read mark is written.
    pub(super) fn marked(
        &mut self,
        user: UserId,
        marked: Result<Marked, Refusal>,
        origin: Option<SessionId>,
    ) {
        let Ok(Marked { read_seq, is_raised: true, .. }) = marked else { return };
        let event = LiveEvent { chat: self.parts.chat, user, state: LiveState::Read(read_seq) };
        self.changed(&event, origin);
        self.parts.node.peers.send(News::Live(event));
        // Bounded: one for each mark that the room had accepted.
        self.parts.node.own_sessions.do_send(TellOwnSessions { event, origin });
    }

    /// Starts the timer that ends the typing of those who do not repeat it.
    fn end_typing_later(&mut self, ctx: &mut Context<Self>) {
        let Some(live) = &self.live else { return };
        let Some(end) = live.typists.next_end().filter(|_| !self.is_typing_timed) else { return };
        self.is_typing_timed = true;
        ctx.run_later(end.saturating_duration_since(Instant::now()), |this, ctx| {
            this.is_typing_timed = false;
            let Some(live) = &mut this.live else { return };
            for user in live.typists.expire(Instant::now()) {
                this.tell_others(user, LiveState::Typing(false), None);
            }
            this.end_typing_later(ctx);
        });
    }
}

impl Handler<Typing> for RoomActor {
    type Result = ();

    fn handle(&mut self, Typing { user, typing }: Typing, ctx: &mut Self::Context) {
        let state = LiveState::Typing(typing);
        let event = LiveEvent { chat: self.parts.chat, user, state };
        self.changed(&event, None);
        self.parts.node.peers.send(News::Live(event));
        self.end_typing_later(ctx);
        // It may have been started for this.
        self.linger(ctx);
    }
}

impl Handler<ToldElsewhere> for RoomActor {
    type Result = ();

    fn handle(&mut self, ToldElsewhere(event): ToldElsewhere, ctx: &mut Self::Context) {
        self.changed(&event, None);
        self.end_typing_later(ctx);
    }
}

impl Handler<TellPresence> for RoomActor {
    type Result = ();

    fn handle(&mut self, TellPresence { user, online }: TellPresence, _: &mut Self::Context) {
        if let State::Opening { attaching, .. } = &mut self.state {
            // They are answered later, with what is so then.
            for others in attaching.iter_mut().filter_map(|attach| attach.online.as_mut()) {
                let mut ids = std::mem::take(others).into_vec();
                ids.retain(|id| *id != user);
                ids.extend(online.then_some(user));
                ids.sort_unstable();
                *others = ids.into();
            }
        }
        self.tell_others(user, LiveState::Online(online), None);
    }
}
