//! What rooms send, written out in order: live messages, pages of what was missed, one's own acks.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_web_actors::ws::WebsocketContext;

use super::{Asked, Early, Pending, Phase, WsSession};
use crate::actors::chat_server::Locate;
use crate::actors::delivery::{Deliver, Origin, Posted, Tell};
use crate::actors::reply::Reply;
use crate::actors::reply::{Answered, Unanswered};
use crate::actors::room_actor::{Post, PostOutcome, ReplayPage, RoomActor};
use crate::app::mark_read::mark_view;
use crate::app::{AppState, refused};
use crate::db::{Marked, Refusal};
use crate::domain::{ChatId, Draft, Live, PostResult, Receipt, Replay, Seq};
use crate::protocol::{self, ApiError, Frame, ReceiptView};

/// How long a session waits before it asks again for a page that could not be read.
const RETRY: Duration = Duration::from_millis(500);

/// Why a session is put into a room.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// It asked for it, or connects; counted by the session.
    Entry(u64),
    /// The chat has just been made; the frames say so, to admins and to others.
    Created { to_admins: Frame, to_others: Frame },
    /// The room that it was in has died.
    Replaced,
}

/// A room has let the session in: what is delivered from now on follows `head`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Attached {
    pub chat: ChatId,
    pub room: Addr<RoomActor>,
    pub head: Seq,
    pub replay: Replay,
    pub purpose: Purpose,
}

/// A room could not let the session in.
#[derive(Message)]
#[rtype(result = "()")]
pub struct NotAttached {
    pub chat: ChatId,
    pub purpose: Purpose,
}

/// A page of what the session missed; none where it could not be read.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Page {
    pub chat: ChatId,
    pub after: Seq,
    pub messages: Option<Arc<[Posted]>>,
}

impl Unanswered for PostOutcome {
    fn unanswered() -> Self {
        Self::Stored(PostResult::Unavailable)
    }
}

impl Unanswered for Result<Marked, Refusal> {
    fn unanswered() -> Self {
        Err(Refusal::Unavailable)
    }
}

impl WsSession {
    /// Asks for the next page that is missing, if none is under way.
    pub(super) fn pump(&mut self, ctx: &mut WebsocketContext<Self>) {
        let session = self.id;
        // Before `welcome` nothing is written.
        let is_entering = self.entering.as_ref().is_some_and(|entering| entering.is_welcome());
        let Some(member) = self.member().filter(|_| !is_entering) else { return };
        let Some(fetch) = member.streams.next_fetch() else { return };
        let ask = ReplayPage { session, to: ctx.address(), after: fetch.after, up_to: fetch.up_to };
        let asked = member.rooms.get(&fetch.chat_id).is_some_and(|room| room.try_send(ask).is_ok());
        if !asked {
            self.page_lost(fetch.chat_id, ctx);
        }
    }

    fn page_lost(&mut self, chat: ChatId, ctx: &mut WebsocketContext<Self>) {
        if let Some(member) = self.member() {
            member.streams.page_lost(chat);
        }
        if !std::mem::replace(&mut self.retrying, true) {
            ctx.run_later(RETRY, |this, ctx| {
                this.retrying = false;
                this.pump(ctx);
            });
        }
        self.replay_failed(chat, ctx);
    }

    /// Writes the ack of a post of one's own, where its author asked for one.
    fn ack(pending: &Pending, receipt: Receipt, duplicate: bool, ctx: &mut WebsocketContext<Self>) {
        if let (Some(request), Asked::Post { client_id, .. }) = (&pending.request, &pending.what) {
            ctx.text(protocol::ack(
                request,
                ReceiptView::new(pending.chat, client_id, receipt, duplicate),
            ));
        }
    }

    /// Acks the posts of a chat whose place in the stream will not come.
    pub(super) fn settle(&mut self, chat: ChatId, ctx: &mut WebsocketContext<Self>) {
        let Some(member) = self.member() else { return };
        let is_settled = |pending: &Pending| pending.chat == chat && pending.stored().is_some();
        let (settled, rest): (Vec<Pending>, Vec<Pending>) =
            member.pending.drain(..).partition(is_settled);
        member.pending = rest.into();
        for pending in settled {
            if let Some(receipt) = pending.stored() {
                Self::ack(&pending, receipt, false, ctx);
            }
        }
    }

    fn post_answered(
        &mut self,
        nonce: u64,
        outcome: PostOutcome,
        ctx: &mut WebsocketContext<Self>,
    ) {
        let stored = match outcome {
            PostOutcome::Stored(stored) => stored,
            PostOutcome::Moved(draft) => return self.post_again(nonce, *draft, ctx),
        };
        let Some(pending) = self.member().and_then(|member| member.answered(nonce)) else { return };
        match stored {
            PostResult::New(receipt, _) => Self::ack(&pending, receipt, false, ctx),
            PostResult::Duplicate(receipt) => Self::ack(&pending, receipt, true, ctx),
            refused => {
                if let Some(exception) = ApiError::of_stored(pending.chat, &refused) {
                    self.refuse(pending.request.as_ref(), Some("send_message"), &exception, ctx);
                }
            }
        }
    }

    /// The room had retired: the post goes to the one that is in place now.
    fn post_again(&mut self, nonce: u64, draft: Draft, ctx: &mut WebsocketContext<Self>) {
        let Some(member) = self.member() else { return };
        let (chat, author) = (draft.chat_id, member.user.author());
        let draft = Draft { role: author.role, ..draft };
        let origin = Some(Origin { session: self.id, nonce });
        let reply = Reply::to_session(ctx.address(), nonce);
        self.relocate(chat, Post { draft, author, origin, reply }, ctx);
    }

    /// Sends a post to the chat's room as ChatServer knows it. What cannot be sent is dropped, which
    /// answers it `unavailable`.
    pub(super) fn relocate(&mut self, chat: ChatId, post: Post, ctx: &mut WebsocketContext<Self>) {
        let desk = self.desk.clone();
        let located = async move { locate(&desk, chat).await };
        // Nothing overtakes it meanwhile.
        ctx.wait(located.into_actor(self).map(move |room, this, _| {
            if let (Ok(room), Some(member)) = (room, this.member())
                && room.try_send(post).is_ok()
            {
                member.rooms.insert(chat, room);
            }
        }));
    }
}

/// A chat's room on this node.
///
/// # Errors
/// `unavailable` while the server stops.
pub(super) async fn locate(app: &AppState, chat: ChatId) -> Result<Addr<RoomActor>, ApiError> {
    app.chat_server().send(Locate(chat)).await.map_err(|_| ApiError::unavailable())
}

impl Handler<Attached> for WsSession {
    type Result = ();

    fn handle(&mut self, attached: Attached, ctx: &mut Self::Context) {
        self.attached(attached, ctx);
    }
}

impl Handler<NotAttached> for WsSession {
    type Result = ();

    fn handle(&mut self, NotAttached { purpose, .. }: NotAttached, ctx: &mut Self::Context) {
        // A replaced room opens as soon as the database answers, and then says so.
        if let Purpose::Entry(entry) = purpose
            && self.entering.is_some()
            && self.entries == entry
        {
            self.not_entered(ctx);
        }
    }
}

impl Handler<Deliver> for WsSession {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, ctx: &mut Self::Context) {
        self.meter.release(&deliver);
        let (session, chat) = (self.id, deliver.chat);
        let Some(member) = self.member() else { return };
        let mut missed = false;
        for posted in &*deliver.messages {
            let own = posted.origin.filter(|origin| origin.session == session);
            match (member.streams.live(chat, posted.receipt.seq), own) {
                (Live::Now, None) => ctx.text(posted.frame.clone()),
                (Live::Later, own) => {
                    missed = true;
                    if let Some(origin) = own {
                        member.stored(origin.nonce, posted.receipt);
                    }
                }
                (Live::Now | Live::Never, Some(origin)) => {
                    if let Some(pending) = member.answered(origin.nonce) {
                        Self::ack(&pending, posted.receipt, false, ctx);
                    }
                }
                (Live::Never, None) => {}
            }
        }
        if missed {
            self.pump(ctx);
        }
    }
}

impl Handler<Tell> for WsSession {
    type Result = ();

    fn handle(&mut self, Tell(frame): Tell, ctx: &mut Self::Context) {
        match self.phase {
            Phase::Welcomed(_) => {
                self.meter.release_told(&frame);
                ctx.text(frame);
            }
            // Who is told of a user that came may answer before `welcome` is written.
            Phase::Arriving(_) => self.early.push(Early::Told(frame)),
            Phase::Stranger { .. } | Phase::Ended => self.meter.release_told(&frame),
        }
    }
}

impl Handler<Page> for WsSession {
    type Result = ();

    fn handle(&mut self, Page { chat, after, messages }: Page, ctx: &mut Self::Context) {
        let Some(member) = self.member().filter(|member| member.streams.awaits(chat, after)) else {
            return;
        };
        let Some(messages) = messages else { return self.page_lost(chat, ctx) };
        let user = member.user.id();
        for posted in &*messages {
            if !member.streams.replayed(chat, posted.receipt.seq) {
                continue;
            }
            let own = (posted.author == user)
                .then(|| member.answered_as(chat, &posted.client_id, posted.receipt.seq))
                .flatten();
            match own {
                Some(pending) => Self::ack(&pending, posted.receipt, false, ctx),
                None => ctx.text(posted.frame.clone()),
            }
        }
        member.streams.page_done(chat, messages.is_empty());
        if messages.is_empty() {
            self.settle(chat, ctx);
        }
        self.pump(ctx);
        self.entered(ctx);
    }
}

impl Handler<Answered<PostOutcome>> for WsSession {
    type Result = ();

    fn handle(
        &mut self,
        Answered { nonce, outcome }: Answered<PostOutcome>,
        ctx: &mut Self::Context,
    ) {
        if !matches!(self.phase, Phase::Ended) {
            self.post_answered(nonce, outcome, ctx);
        }
    }
}

impl Handler<Answered<Result<Marked, Refusal>>> for WsSession {
    type Result = ();

    fn handle(
        &mut self,
        Answered { nonce, outcome }: Answered<Result<Marked, Refusal>>,
        ctx: &mut Self::Context,
    ) {
        let Some(pending) = self.member().and_then(|member| member.answered(nonce)) else { return };
        match outcome {
            Ok(marked) => {
                if let Some(request) = &pending.request {
                    ctx.text(protocol::ack(request, mark_view(marked)));
                }
            }
            Err(refusal) => {
                let exception = refused(pending.chat, &refusal);
                self.refuse(pending.request.as_ref(), Some("read_message"), &exception, ctx);
            }
        }
    }
}
