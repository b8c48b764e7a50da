//! Getting in: the token, the rooms, and the answers that wait for them.

use actix::prelude::*;
use actix_web_actors::ws::WebsocketContext;

use super::{Attached, Member, Phase, Purpose, WsSession};
use crate::actors::chat_server::{Connect, Join, Leave};
use crate::actors::desk::Arrival;
use crate::domain::{Chat, ChatId, ChatKind, RateLimit, Role, Seq, Standing, Timestamp};
use crate::metrics::Ending;
use crate::protocol::{
    self, ChatState, ChatView, EnteredView, Entry, Exception, Expires, RequestId, Welcome,
    WelcomeLimits,
};

/// Rooms that are being entered, and who is told once they have been.
pub struct Entering {
    answer: Answer,
    rooms: Vec<Room>,
}

enum Answer {
    /// `welcome`, and after it the ack of an `authenticate` that had an `id`.
    Welcome { request: Option<RequestId> },
    /// The ack of `enter_chat`, which waits for what is replayed.
    Enter { request: Option<RequestId> },
    /// The ack of `create_chat`.
    Create { request: Option<RequestId>, chat: Box<Chat>, standing: Standing },
}

struct Room {
    standing: Standing,
    /// Whether the client named a position, and is told what is replayed.
    resumed: bool,
    state: Option<ChatState>,
}

impl Room {
    fn entry(&self, after: Option<Seq>) -> Entry {
        Entry { chat_id: self.standing.chat_id, after_seq: after }
    }
}

impl WsSession {
    pub(super) fn authenticate(
        &mut self,
        token: &str,
        resume: Vec<Entry>,
        request: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) {
        let claims = match self.desk.verify(token) {
            Ok(claims) => claims,
            Err(exception) => return self.turn_away(request.as_ref(), &exception, ctx),
        };
        self.busy = true;
        self.phase = Phase::Arriving(None);
        let desk = self.desk.clone();
        let arrival = async move { desk.arrive(claims, resume).await };
        ctx.spawn(arrival.into_actor(self).map(|arrival, this, ctx| match arrival {
            Ok(arrival) => this.arrive(arrival, Some(request), ctx),
            Err(exception) => this.turn_away(request.as_ref(), &exception, ctx),
        }));
    }

    fn turn_away(
        &mut self,
        request: Option<&RequestId>,
        exception: &Exception,
        ctx: &mut WebsocketContext<Self>,
    ) {
        use protocol::Code::{Forbidden, TokenExpired, Unauthenticated};
        self.refuse(request, Some("authenticate"), exception, ctx);
        match exception.code {
            Forbidden => self.close(4410, Ending::Blocked, ctx),
            Unauthenticated | TokenExpired => self.close(4401, Ending::Unauthenticated, ctx),
            protocol::Code::Internal => self.close(1011, Ending::Refused, ctx),
            // The database does not answer.
            _ if self.beginning.is_none() && matches!(self.phase, Phase::Arriving(_)) => {
                self.close(1013, Ending::Refused, ctx);
            }
            _ => self.close(4401, Ending::Unauthenticated, ctx),
        }
    }

    /// Enters the rooms of a user who was let in. `request` is there where it was a frame that asked.
    pub(super) fn arrive(
        &mut self,
        Arrival { user, chats, resume }: Arrival,
        request: Option<Option<RequestId>>,
        ctx: &mut WebsocketContext<Self>,
    ) {
        let limits = self.desk.limits();
        let limit = RateLimit::new(limits.messages_per_second, limits.burst, Timestamp::now());
        let own = chats
            .iter()
            .find(|standing| user.role() == Role::Customer && standing.kind == ChatKind::Support)
            .copied();
        let connect_as = user.id();
        self.phase = Phase::Arriving(Some(Box::new(Member::new(user, own, limit))));
        self.busy = true;
        let after = |chat: ChatId| resume.iter().find(|entry| entry.chat_id == chat)?.after_seq;
        let mut entries = Vec::with_capacity(chats.len());
        let rooms = chats
            .iter()
            .map(|standing| {
                let after = after(standing.chat_id);
                let room = Room { standing: *standing, resumed: after.is_some(), state: None };
                entries.push(room.entry(after));
                room
            })
            .collect();
        self.entering = Some(Box::new(Entering {
            answer: Answer::Welcome { request: request.flatten() },
            rooms,
        }));
        let connect = Connect { link: self.link(ctx), user: connect_as, chats: entries };
        if self.desk.chat_server().try_send(connect).is_err() {
            return self.close(1013, Ending::Refused, ctx);
        }
        self.entered(ctx);
    }

    /// Enters rooms at a client's request, which has been checked.
    pub(super) fn enter(
        &mut self,
        entries: Vec<Entry>,
        standings: &[Standing],
        request: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) {
        let rooms = standings.iter().map(|standing| Room {
            standing: *standing,
            resumed: true,
            state: None,
        });
        self.join(
            Entering { answer: Answer::Enter { request }, rooms: rooms.collect() },
            entries,
            ctx,
        );
    }

    /// Enters the room of a chat that this session has just made.
    pub(super) fn enter_created(
        &mut self,
        chat: Chat,
        standing: Standing,
        request: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) {
        let room = Room { standing, resumed: false, state: None };
        let entries = vec![room.entry(None)];
        let answer = Answer::Create { request, chat: Box::new(chat), standing };
        self.join(Entering { answer, rooms: vec![room] }, entries, ctx);
    }

    fn join(&mut self, entering: Entering, chats: Vec<Entry>, ctx: &mut WebsocketContext<Self>) {
        self.busy = true;
        self.entering = Some(Box::new(entering));
        let join = Join { link: self.link(ctx), chats };
        if self.desk.chat_server().try_send(join).is_err() {
            self.not_entered(ctx);
        }
    }

    /// A room has let the session in.
    pub(super) fn attached(&mut self, attached: Attached, ctx: &mut WebsocketContext<Self>) {
        let Attached { chat, room, head, replay, purpose } = attached;
        let Some(member) = self.member() else { return };
        member.rooms.insert(chat, room);
        match purpose {
            Purpose::Replaced => {
                member.streams.page_lost(chat);
                member.streams.hinted(chat, head);
                self.pump(ctx);
            }
            Purpose::Created(frame) => {
                member.streams.enter(chat, head, &replay);
                member.streams.release(chat);
                if matches!(self.phase, Phase::Welcomed(_)) {
                    ctx.text(frame);
                } else {
                    self.early.push(frame);
                }
            }
            Purpose::Entry => {
                member.streams.enter(chat, head, &replay);
                if let Some(entering) = &mut self.entering
                    && let Some(room) =
                        entering.rooms.iter_mut().find(|room| room.standing.chat_id == chat)
                {
                    let read_seq = room.standing.read_seq.min(head);
                    let replay = room.resumed.then_some(EnteredView::from(replay));
                    room.state = Some(ChatState {
                        id: chat,
                        last_seq: head,
                        read_seq,
                        unread: read_seq.until(head),
                        replay,
                    });
                }
                self.entered(ctx);
            }
        }
    }

    /// Answers, once all rooms have let the session in and what is replayed first has been.
    pub(super) fn entered(&mut self, ctx: &mut WebsocketContext<Self>) {
        let Some(entering) = &self.entering else { return };
        if entering.rooms.iter().any(|room| room.state.is_none()) {
            return;
        }
        if let Answer::Enter { .. } = entering.answer {
            let chats: Vec<ChatId> =
                entering.rooms.iter().map(|room| room.standing.chat_id).collect();
            let Some(member) = self.member() else { return };
            if !chats.iter().all(|chat| member.streams.is_replayed(*chat)) {
                return self.pump(ctx);
            }
        }
        let Some(entering) = self.entering.take() else { return };
        let Entering { answer, rooms } = *entering;
        let states: Vec<ChatState> = rooms.into_iter().filter_map(|room| room.state).collect();
        match answer {
            Answer::Welcome { request } => self.welcome(&states, request.as_ref(), ctx),
            Answer::Enter { request } => {
                if let Some(request) = request {
                    ctx.text(protocol::ack_entered(&request, &states));
                }
            }
            Answer::Create { request, chat, standing } => {
                if let (Some(request), Some(member)) = (request, self.member()) {
                    let view = ChatView::new(&chat, member.user.role()).read_by(&standing);
                    ctx.text(protocol::ack(&request, &view));
                }
            }
        }
        if let Some(member) = self.member() {
            for state in &states {
                member.streams.release(state.id);
            }
        }
        self.pump(ctx);
        self.go_on(ctx);
    }

    fn welcome(
        &mut self,
        chats: &[ChatState],
        request: Option<&RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) {
        let Phase::Arriving(Some(member)) = std::mem::replace(&mut self.phase, Phase::Ended) else {
            return;
        };
        let limits = self.desk.limits();
        let welcome = Welcome {
            session: self.id,
            user: &member.user.author(),
            chats,
            now: Timestamp::now(),
            limits: WelcomeLimits {
                heartbeat_ms: limits.heartbeat_ms,
                frame_bytes: limits.frame_bytes,
                message_chars: limits.message_chars,
                messages_per_second: limits.messages_per_second,
                burst: limits.burst,
            },
        };
        ctx.text(protocol::welcome(&welcome));
        if let Some(request) = request {
            ctx.text(protocol::ack(request, Expires { expires_at: member.user.expires_at() }));
        }
        for frame in self.early.drain(..) {
            ctx.text(frame);
        }
        self.phase = Phase::Welcomed(member);
    }

    /// A room could not let the session in, or nobody could ask it.
    pub(super) fn not_entered(&mut self, ctx: &mut WebsocketContext<Self>) {
        let Some(entering) = self.entering.take() else { return };
        let (request, event) = match entering.answer {
            // It would begin with less than its user has; it comes back when that is possible.
            Answer::Welcome { .. } => return self.close(1013, Ending::Refused, ctx),
            Answer::Enter { request } => (request, "enter_chat"),
            Answer::Create { request, .. } => (request, "create_chat"),
        };
        self.refuse(request.as_ref(), Some(event), &Exception::unavailable(), ctx);
        let own = self.member().and_then(|member| member.own).map(|own| own.chat_id);
        let chats: Vec<ChatId> = entering
            .rooms
            .iter()
            .map(|room| room.standing.chat_id)
            .filter(|chat| Some(*chat) != own)
            .collect();
        for chat in &chats {
            self.forget(*chat);
        }
        self.desk.chat_server().do_send(Leave { session: self.id, chats });
        self.go_on(ctx);
    }

    /// What was to be replayed before the answer cannot be read now. The session has entered, and
    /// what it missed follows when it can; the client may ask again.
    pub(super) fn replay_failed(&mut self, ctx: &mut WebsocketContext<Self>) {
        let Some(entering) =
            self.entering.take_if(|entering| matches!(entering.answer, Answer::Enter { .. }))
        else {
            return;
        };
        if let Answer::Enter { request } = &entering.answer {
            self.refuse(request.as_ref(), Some("enter_chat"), &Exception::unavailable(), ctx);
        }
        if let Some(member) = self.member() {
            for room in &entering.rooms {
                member.streams.release(room.standing.chat_id);
            }
        }
        self.go_on(ctx);
    }

    pub(super) fn forget(&mut self, chat: ChatId) {
        if let Some(member) = self.member() {
            member.streams.leave(chat);
            member.rooms.remove(&chat);
        }
    }
}

impl From<crate::domain::Replay> for EnteredView {
    fn from(replay: crate::domain::Replay) -> Self {
        let crate::domain::Replay { replayed, replayed_to, truncated, reset } = replay;
        Self { replayed, replayed_to, truncated, reset }
    }
}
