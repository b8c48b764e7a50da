//! Getting in: the token, the rooms, and the answers that wait for them.

use actix::prelude::*;
use actix_web_actors::ws::WebsocketContext;

use super::{Attached, Early, Member, Phase, Purpose, WsSession};
use crate::actors::chat_server::{Connect, Entrance, Join, Leave};
use crate::app::{Admitted, authenticate};
use crate::domain::{Chat, ChatAccess, ChatId, ChatKind, RateLimit, Role, Seq, Timestamp};
use crate::metrics::Ending;
use crate::protocol::{
    self, ApiError, ChatState, ChatView, EnteredView, Entry, Expires, RequestId, Welcome,
    WelcomeLimits,
};

/// Rooms that are being entered, and who is told once they have been.
pub struct Entering {
    answer: Answer,
    rooms: Vec<Room>,
}

impl Entering {
    pub fn is_welcome(&self) -> bool {
        matches!(self.answer, Answer::Welcome { .. })
    }
}

enum Answer {
    /// `welcome`, and after it the ack of an `authenticate` that had an `id`.
    Welcome { request: Option<RequestId> },
    /// The ack of `enter_chat`, which waits for what is replayed.
    Enter { request: Option<RequestId> },
    /// The ack of `create_chat`.
    Create { request: Option<RequestId>, chat: Box<Chat>, standing: ChatAccess },
}

struct Room {
    standing: ChatAccess,
    after: Option<Seq>,
    /// Whether the session was in it before, and stays in it if this entry fails.
    was_in: bool,
    /// Whether the client named a position, and is told what is replayed.
    resumed: bool,
    state: Option<ChatState>,
}

impl Room {
    fn entrance(&self) -> Entrance {
        let ChatAccess { chat_id: chat, last_seq, .. } = self.standing;
        Entrance { chat, after: self.after, last_seq }
    }
}

impl WsSession {
    pub(super) fn authenticate(
        &mut self,
        token: &str,
        resume: Option<Vec<Entry>>,
        request: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) {
        let claims = match authenticate::verify(&self.desk, token) {
            Ok(claims) => claims,
            Err(exception) => return self.turn_away(request.as_ref(), &exception, ctx),
        };
        self.reading.hold();
        let from_url = match std::mem::replace(&mut self.phase, Phase::Arriving(None)) {
            Phase::Stranger { resume, .. } => resume,
            _ => Vec::new(),
        };
        let desk = self.desk.clone();
        let resume = resume.unwrap_or(from_url);
        let arrival = async move { authenticate::connect(&desk, claims, resume).await };
        self.after(arrival, ctx, |this, arrival, ctx| match arrival {
            Ok(arrival) => this.arrive(arrival, Some(request), ctx),
            Err(exception) => this.turn_away(request.as_ref(), &exception, ctx),
        });
    }

    fn turn_away(
        &mut self,
        request: Option<&RequestId>,
        exception: &ApiError,
        ctx: &mut WebsocketContext<Self>,
    ) {
        use protocol::Code::{Forbidden, TokenExpired, Unauthenticated, Unavailable};
        self.refuse(request, Some("authenticate"), exception, ctx);
        match exception.code {
            Forbidden => {
                ctx.text(protocol::goodbye("blocked", 0));
                self.close(4410, Ending::Blocked, ctx);
            }
            Unauthenticated | TokenExpired => self.close(4401, Ending::Unauthenticated, ctx),
            // The database does not answer.
            Unavailable => self.close(1013, Ending::Refused, ctx),
            _ => self.close(1011, Ending::Refused, ctx),
        }
    }

    /// Enters the rooms of a user who was let in. `request` is there where it was a frame that asked.
    pub(super) fn arrive(
        &mut self,
        Admitted { user, chats, resume }: Admitted,
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
        self.reading.hold();
        let rooms: Vec<Room> = chats
            .into_iter()
            .map(|standing| {
                let named = resume.iter().find(|entry| entry.chat_id == standing.chat_id);
                let after = named.and_then(|entry| entry.after_seq);
                Room { standing, after, was_in: false, resumed: named.is_some(), state: None }
            })
            .collect();
        let entries = rooms.iter().map(Room::entrance).collect();
        let answer = Answer::Welcome { request: request.flatten() };
        self.entering = Some(Box::new(Entering { answer, rooms }));
        self.entries += 1;
        let connect =
            Connect { link: self.link(ctx), user: connect_as, entry: self.entries, chats: entries };
        if self.desk.chat_server().try_send(connect).is_err() {
            return self.close(1013, Ending::Refused, ctx);
        }
        self.await_rooms(ctx);
        self.entered(ctx);
    }

    /// Enters rooms at a client's request, which has been checked.
    pub(super) fn enter(
        &mut self,
        entries: &[Entry],
        standings: Vec<ChatAccess>,
        request: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) {
        let rooms = standings
            .into_iter()
            .map(|standing| {
                let named = entries.iter().find(|entry| entry.chat_id == standing.chat_id);
                let after = named.and_then(|entry| entry.after_seq);
                let was_in =
                    self.member().is_some_and(|member| member.streams.contains(standing.chat_id));
                Room { standing, after, was_in, resumed: true, state: None }
            })
            .collect();
        self.join(Entering { answer: Answer::Enter { request }, rooms }, ctx);
    }

    /// Enters the room of a chat that this session has just made.
    pub(super) fn enter_created(
        &mut self,
        chat: Chat,
        standing: ChatAccess,
        request: Option<RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) {
        let room = Room { standing, after: None, was_in: false, resumed: false, state: None };
        let answer = Answer::Create { request, chat: Box::new(chat), standing };
        self.join(Entering { answer, rooms: vec![room] }, ctx);
    }

    fn join(&mut self, entering: Entering, ctx: &mut WebsocketContext<Self>) {
        self.reading.hold();
        self.entries += 1;
        let chats = entering.rooms.iter().map(Room::entrance).collect();
        self.entering = Some(Box::new(entering));
        let join = Join { link: self.link(ctx), entry: self.entries, chats };
        if self.desk.chat_server().try_send(join).is_err() {
            return self.not_entered(ctx);
        }
        self.await_rooms(ctx);
    }

    /// Gives up an entry that a room leaves unanswered for too long.
    fn await_rooms(&self, ctx: &mut WebsocketContext<Self>) {
        let entry = self.entries;
        ctx.run_later(self.desk.timings().room_timeout, move |this, ctx| {
            let is_waiting =
                |entering: &Entering| entering.rooms.iter().any(|room| room.state.is_none());
            if this.entries == entry && this.entering.as_deref().is_some_and(is_waiting) {
                log::warn!("session {} waited for a room in vain", this.id);
                this.not_entered(ctx);
            }
        });
    }

    /// A room has let the session in.
    pub(super) fn attached(&mut self, attached: Attached, ctx: &mut WebsocketContext<Self>) {
        let Attached { chat, room, head, replay, purpose } = attached;
        let is_welcomed = matches!(self.phase, Phase::Welcomed(_));
        let awaited = self.entry_of(chat);
        let Some(member) = self.member() else { return };
        match purpose {
            Purpose::Replaced => {
                if member.streams.contains(chat) {
                    member.rooms.insert(chat, room);
                    member.streams.page_lost(chat);
                    member.streams.hinted(chat, head);
                    self.pump(ctx);
                }
                // The room died before it could answer the entry, which goes to the next one.
                if let Some(entry) = awaited {
                    let join =
                        Join { link: self.link(ctx), entry: self.entries, chats: vec![entry] };
                    if self.desk.chat_server().try_send(join).is_err() {
                        self.not_entered(ctx);
                    }
                }
            }
            Purpose::Created { to_admins, to_others } => {
                let frame = if member.user.role() == Role::Admin { to_admins } else { to_others };
                member.rooms.insert(chat, room);
                member.streams.enter(chat, head, &replay);
                if is_welcomed {
                    member.streams.release(chat);
                    ctx.text(frame);
                    self.pump(ctx);
                } else {
                    self.early.push(Early::Created(chat, frame));
                }
            }
            Purpose::Entry(entry) => {
                let is_late = awaited.is_none() || entry != self.entries;
                self.settle(chat, ctx);
                let Some(member) = self.member() else { return };
                // A late answer, to an entry that was given up: where the session was before, it stays.
                if is_late && !member.streams.contains(chat) {
                    return;
                }
                member.rooms.insert(chat, room);
                member.streams.enter(chat, head, &replay);
                if is_late {
                    member.streams.release(chat);
                    return self.pump(ctx);
                }
                if let Some(entering) = &mut self.entering
                    && let Some(room) =
                        entering.rooms.iter_mut().find(|room| room.standing.chat_id == chat)
                {
                    let read_seq = room.standing.read_seq.min(head);
                    let replay = room.resumed.then_some(EnteredView::from(replay));
                    let unread = read_seq.until(head);
                    room.state =
                        Some(ChatState { id: chat, last_seq: head, read_seq, unread, replay });
                }
                self.entered(ctx);
            }
        }
    }

    /// The entry into a chat's room that has not been answered.
    fn entry_of(&self, chat: ChatId) -> Option<Entrance> {
        let rooms = &self.entering.as_ref()?.rooms;
        rooms
            .iter()
            .find(|room| room.standing.chat_id == chat && room.state.is_none())
            .map(Room::entrance)
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
        self.reading.go_on();
    }

    fn welcome(
        &mut self,
        chats: &[ChatState],
        request: Option<&RequestId>,
        ctx: &mut WebsocketContext<Self>,
    ) {
        let Phase::Arriving(Some(mut member)) = std::mem::replace(&mut self.phase, Phase::Ended)
        else {
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
        for early in self.early.drain(..) {
            match early {
                Early::Created(chat, frame) => {
                    ctx.text(frame);
                    member.streams.release(chat);
                }
                Early::Told(frame) => {
                    self.meter.release_told(&frame);
                    ctx.text(frame);
                }
            }
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
        self.refuse(request.as_ref(), Some(event), &ApiError::unavailable(), ctx);
        let (stays, leaves): (Vec<Room>, Vec<Room>) =
            entering.rooms.into_iter().partition(|room| room.was_in);
        if let Some(member) = self.member() {
            for room in &stays {
                member.streams.release(room.standing.chat_id);
            }
        }
        let chats: Vec<ChatId> = leaves.iter().map(|room| room.standing.chat_id).collect();
        for chat in &chats {
            self.forget(*chat, ctx);
        }
        self.desk.chat_server().do_send(Leave { session: self.id, chats });
        self.pump(ctx);
        self.reading.go_on();
    }

    /// What was to be replayed before the answer cannot be read now. The session has entered, and
    /// what it missed follows when it can; the client may ask again.
    pub(super) fn replay_failed(&mut self, chat: ChatId, ctx: &mut WebsocketContext<Self>) {
        let concerns = |entering: &mut Box<Entering>| {
            let all_in = entering.rooms.iter().all(|room| room.state.is_some());
            let named = entering.rooms.iter().any(|room| room.standing.chat_id == chat);
            all_in && named && matches!(entering.answer, Answer::Enter { .. })
        };
        let Some(entering) = self.entering.take_if(concerns) else { return };
        if let Answer::Enter { request } = &entering.answer {
            self.refuse(request.as_ref(), Some("enter_chat"), &ApiError::unavailable(), ctx);
        }
        if let Some(member) = self.member() {
            for room in &entering.rooms {
                member.streams.release(room.standing.chat_id);
            }
        }
        self.reading.go_on();
    }

    pub(super) fn forget(&mut self, chat: ChatId, ctx: &mut WebsocketContext<Self>) {
        self.settle(chat, ctx);
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
