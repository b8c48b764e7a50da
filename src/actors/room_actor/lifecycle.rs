//! A room's life: it opens at the log's end, goes on with another executor, and goes when it is empty.

use std::time::{Duration, Instant};

use actix::prelude::*;

use super::{
    AskPosition, Attach, InFlight, Reopen, Retire, RoomActor, RoomParts, RoomReport, RoomState,
    State,
};
use crate::actors::db_executor::OpenRoom;
use crate::actors::session_handle::ToSession;
use crate::db::{Refusal, WriteOp};
use crate::domain::{PostResult, Room, Seq, Timings};
use crate::session::{PostOutcome, Purpose};

impl RoomActor {
    /// Asks where the log ends, unless that is being asked.
    pub(super) fn open(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.asking, true) {
            return;
        }
        let generation = self.parts.generation;
        self.parts.executor.addr.do_send(OpenRoom { generation, room: ctx.address().recipient() });
        self.submit(WriteOp::LastSeq(self.parts.chat), InFlight::Open);
    }

    pub(super) fn opened(&mut self, answer: Result<Seq, Refusal>, ctx: &mut Context<Self>) {
        let head = match answer {
            Ok(head) => head,
            Err(refusal) => return self.not_opened(refusal, ctx),
        };
        self.asking = false;
        match &mut self.state {
            State::Opening { attaching, posting, hint } => {
                let (attaching, posting) = (std::mem::take(attaching), std::mem::take(posting));
                let hint = *hint;
                self.state = State::Open(Room::new(head));
                // Most rooms are quiet, and keep no space for posts.
                self.in_flight.shrink_to_fit();
                for attach in attaching {
                    self.attach(attach, ctx);
                }
                for post in posting {
                    self.post(post);
                }
                self.step(|room| room.hinted(hint), ctx);
            }
            // After the executor was replaced: what the dead one stored shows in the log's end.
            State::Open(_) => self.step(|room| room.hinted(head), ctx),
            State::Retired => {}
        }
    }

    /// The database does not answer: who can ask again is told so, the others wait with the room.
    pub(super) fn not_opened(&mut self, refusal: Refusal, ctx: &mut Context<Self>) {
        let chat = self.parts.chat;
        if let State::Opening { attaching, posting, .. } = &mut self.state {
            for Attach { session, purpose, .. } in
                attaching.extract_if(.., |attach| matches!(attach.purpose, Purpose::Join(_)))
            {
                session.send(ToSession::NotAttached { chat, purpose });
            }
            let stored = PostResult::from(refusal);
            for post in posting.drain(..) {
                post.reply.send(PostOutcome::Stored(stored.clone()));
            }
        }
        ctx.run_later(self.parts.node.timings.retry, |this, ctx| {
            this.asking = false;
            let is_wanted = match &this.state {
                State::Opening { attaching, posting, .. } => {
                    !(attaching.is_empty() && posting.is_empty())
                }
                State::Open(_) => true,
                State::Retired => false,
            };
            if is_wanted {
                this.open(ctx);
            } else {
                this.linger(ctx);
            }
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        let quiet = match &self.state {
            State::Opening { attaching, posting, .. } => attaching.is_empty() && posting.is_empty(),
            State::Open(room) => room.is_quiet(),
            State::Retired => true,
        };
        quiet && self.sessions.is_empty() && self.in_flight.is_empty() && self.reads.is_empty()
    }

    /// Starts the idle timeout of an empty room, or sets it back.
    pub(super) fn linger(&mut self, ctx: &mut Context<Self>) {
        if self.is_empty() && self.idle.touched(Instant::now()) {
            self.retire_after(self.parts.node.timings.room_idle, ctx);
        }
    }

    fn retire_after(&self, wait: Duration, ctx: &mut Context<Self>) {
        ctx.run_later(wait, |this, ctx| {
            if !this.is_empty() || matches!(this.state, State::Retired) {
                return this.idle.end();
            }
            let RoomParts { chat, generation, node, .. } = &this.parts;
            let left = this.idle.fired(Instant::now(), node.timings.room_idle);
            if left.is_zero() {
                let (chat, generation, state) = (*chat, *generation, RoomState::Idle);
                node.reports.do_send(RoomReport { chat, generation, state });
            } else {
                this.retire_after(left, ctx);
            }
        });
    }
}

impl Handler<AskPosition> for RoomActor {
    type Result = Option<Seq>;

    fn handle(&mut self, AskPosition: AskPosition, _: &mut Self::Context) -> Option<Seq> {
        match &self.state {
            State::Open(room) => Some(room.head()),
            State::Opening { .. } | State::Retired => None,
        }
    }
}

impl Handler<Reopen> for RoomActor {
    type Result = ();

    fn handle(&mut self, Reopen(executor): Reopen, ctx: &mut Self::Context) {
        self.parts.executor = executor;
        // Dropped, they are answered `unavailable`: nobody knows whether they were stored, until the
        // log is looked at, or they are sent again.
        self.in_flight.clear();
        if let State::Open(room) = &mut self.state {
            room.abandoned();
        }
        self.asking = false;
        self.open(ctx);
    }
}

impl Handler<Retire> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        for (_, (stored, reply)) in self.replies.drain() {
            reply.send(PostOutcome::Stored(stored));
        }
        if let State::Opening { posting, .. } = std::mem::replace(&mut self.state, State::Retired) {
            for post in posting {
                post.reply.send(PostOutcome::Moved(Box::new(post.draft)));
            }
        }
        let Timings { drain_grace, drain_deadline, .. } = self.parts.node.timings;
        ctx.run_later(drain_grace, |this, ctx| {
            if this.in_flight.is_empty() {
                ctx.stop();
            }
        });
        // Whatever is still owed then will not come: dropped, it is answered `unavailable`.
        ctx.run_later(drain_deadline, |_, ctx| ctx.stop());
    }
}
