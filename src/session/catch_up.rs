//! Streams of chats written in order: live messages, pages of missed ones, and own acks.

use std::sync::Arc;

use super::action::{Action, NewPost, RoomCall, Timer};
use super::commands::{read_message, send_message};
use super::input::{MarkOutcome, Outcome, PostOutcome};
use super::requests::{Kind, Request};
use super::state::{Phase, Session, Turn};
use crate::domain::{ChatId, Draft, Live, PostResult, Receipt, Seq, Sequenced};
use crate::protocol::{AckData, ApiError, Posted, ServerEvent};

impl<R: Clone> Session<R> {
    /// Asks for the next missing page, if none is under way.
    pub(super) fn fetch(&mut self, turn: &mut Turn<'_, R>) {
        // Before `welcome` nothing is written.
        let Phase::Welcomed(session) = &mut self.phase else { return };
        let Some(fetch) = session.streams.next_fetch() else { return };
        match session.rooms.address(fetch.chat_id) {
            Some(room) => turn.act(Action::Fetch { room: room.clone(), fetch }),
            None => self.page_lost(fetch.chat_id, turn),
        }
    }

    /// A page could not be read, or asked for. It is asked for again soon.
    fn page_lost(&mut self, chat: ChatId, turn: &mut Turn<'_, R>) {
        let retry = self.config.retry;
        if let Some(session) = self.live() {
            session.streams.page_lost(chat);
            if !std::mem::replace(&mut session.retrying, true) {
                turn.act(Action::After(Timer::Retry, retry));
            }
        }
        self.replay_failed(chat, turn);
    }

    /// Messages came live.
    pub(super) fn deliver(
        &mut self,
        chat: ChatId,
        messages: &Arc<[Posted]>,
        turn: &mut Turn<'_, R>,
    ) {
        let id = self.id;
        let Some(session) = self.live() else { return };
        let mut missed = false;
        for posted in &**messages {
            let own = posted.origin().filter(|origin| origin.session == id);
            match (session.streams.live(chat, posted.seq()), own) {
                (Live::Deliver, None) => turn.send(ServerEvent::Logged(posted.clone())),
                (Live::Defer, own) => {
                    missed = true;
                    if let Some(origin) = own {
                        session.requests.stored(origin.nonce, posted.receipt());
                    }
                }
                (Live::Deliver | Live::Drop, Some(origin)) => {
                    if let Some(request) = session.requests.close(origin.nonce) {
                        turn.receipt(request, posted.receipt(), false);
                    }
                }
                (Live::Drop, None) => {}
            }
        }
        if missed {
            self.fetch(turn);
        }
    }

    /// A page of missed messages came.
    pub(super) fn page(
        &mut self,
        chat: ChatId,
        after: Seq,
        messages: Option<&[Posted]>,
        turn: &mut Turn<'_, R>,
    ) {
        let Some(session) = self.live().filter(|session| session.streams.awaits(chat, after))
        else {
            return;
        };
        let Some(messages) = messages else { return self.page_lost(chat, turn) };
        let user = session.user.id();
        for posted in messages {
            if !session.streams.replayed(chat, posted.seq()) {
                continue;
            }
            let message = posted.message();
            let own = (message.author.id == user)
                .then(|| session.requests.close_found(chat, &message.client_id, posted.seq()))
                .flatten();
            match own {
                Some(request) => turn.receipt(request, posted.receipt(), false),
                None => turn.send(ServerEvent::Logged(posted.clone())),
            }
        }
        session.streams.page_done(chat, messages.is_empty());
        if messages.is_empty() {
            self.flush_acks(chat, turn);
        }
        self.fetch(turn);
        self.joined(turn);
    }

    /// Acks the posts of a chat whose place in the stream will not come.
    pub(super) fn flush_acks(&mut self, chat: ChatId, turn: &mut Turn<'_, R>) {
        while let Some(request) =
            self.live().and_then(|session| session.requests.close_stored(chat))
        {
            if let Some(receipt) = request.stored() {
                turn.receipt(request, receipt, false);
            }
        }
    }

    /// A room has answered a call.
    pub(super) fn outcome(&mut self, nonce: u64, outcome: Outcome, turn: &mut Turn<'_, R>) {
        match outcome {
            Outcome::Post(PostOutcome::Stored(stored)) => self.post_stored(nonce, &stored, turn),
            Outcome::Post(PostOutcome::Moved(draft)) => self.post_moved(nonce, *draft, turn),
            Outcome::Mark(MarkOutcome::Done(marked)) => {
                let Some(request) = self.close_request(nonce) else { return };
                match marked {
                    Ok(mark) => turn.ack(request.id, AckData::Mark(mark)),
                    Err(exception) => {
                        turn.refuse(request.id, Some(read_message::NAME), exception);
                    }
                }
            }
            Outcome::Mark(MarkOutcome::Moved) => self.mark_moved(nonce, turn),
        }
    }

    fn close_request(&mut self, nonce: u64) -> Option<Request> {
        self.live()?.requests.close(nonce)
    }

    fn post_stored(&mut self, nonce: u64, stored: &PostResult, turn: &mut Turn<'_, R>) {
        let Some(request) = self.close_request(nonce) else { return };
        match stored {
            PostResult::New(receipt, _) => turn.receipt(request, *receipt, false),
            PostResult::Duplicate(receipt) => turn.receipt(request, *receipt, true),
            refused => {
                if let Some(exception) = ApiError::from_post_result(request.chat, refused) {
                    turn.refuse(request.id, Some(send_message::NAME), exception);
                }
            }
        }
    }

    /// The room had retired: the post goes to the one that is in place now.
    fn post_moved(&mut self, nonce: u64, draft: Draft, turn: &mut Turn<'_, R>) {
        let Some(session) = self.live() else { return };
        let (chat, author) = (draft.chat_id, session.user.author());
        let draft = Draft { role: author.role, ..draft };
        session.rooms.moved(chat);
        let call = RoomCall::Post(NewPost { nonce, draft, author });
        turn.act(Action::Call { chat, room: None, call });
    }

    fn mark_moved(&mut self, nonce: u64, turn: &mut Turn<'_, R>) {
        let Some(session) = self.live() else { return };
        let user = session.user.id();
        let Some(Request { chat, kind: Kind::Mark { seq }, .. }) = session.requests.get(nonce)
        else {
            return;
        };
        let (chat, call) = (*chat, RoomCall::Mark { nonce, user, seq: *seq });
        session.rooms.moved(chat);
        turn.act(Action::Call { chat, room: None, call });
    }
}

impl<R> Turn<'_, R> {
    /// Acks a post, where its author asked for an answer.
    fn receipt(&mut self, request: Request, receipt: Receipt, duplicate: bool) {
        let Request { id, chat, kind, .. } = request;
        if let Kind::Post { client_id, .. } = kind {
            self.ack(id, AckData::Receipt { chat, client_id, receipt, duplicate });
        }
    }
}
