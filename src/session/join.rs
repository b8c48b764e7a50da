//! Joining rooms: after the token, by `enter_chat`, and after `create_chat`.

use super::action::{Action, Timer};
use super::commands::{authenticate, create_chat, enter_chat};
use super::input::{Admitted, Attached, Purpose};
use super::joining::{JoinAnswer, Joining, JoiningRoom};
use super::state::{Authenticated, Deferred, Phase, Session, Turn};
use crate::domain::{ChatEntry, ChatId, RateLimit, Role, Roster, ShownChat};
use crate::protocol::{
    AckData, ApiError, ChatState, Code, Control, Ending, EnteredView, Entry, Expires, RequestId,
    ServerEvent, Welcome,
};

impl<R: Clone> Session<R> {
    /// The token was refused.
    pub(super) fn not_authenticated(&mut self, exception: ApiError, turn: &mut Turn<'_, R>) {
        let Phase::Authenticating { request } = &mut self.phase else { return };
        let (request, code) = (request.take(), exception.code);
        turn.refuse(request, Some(authenticate::NAME), exception);
        let ending = match code {
            Code::Forbidden => Ending::Blocked,
            Code::Unauthenticated | Code::TokenExpired => Ending::Unauthenticated,
            // The database does not answer.
            Code::Unavailable => Ending::NotReady,
            _ => Ending::Failed,
        };
        self.end(ending, turn);
    }

    /// The user was let in: the session joins the rooms of the user's chats.
    pub(super) fn admitted(&mut self, admitted: Admitted, turn: &mut Turn<'_, R>) {
        let Phase::Authenticating { request } = &mut self.phase else { return };
        let request = request.take();
        let Admitted { user, chats, resume } = admitted;
        let welcome = &self.config.welcome;
        let limit = RateLimit::new(welcome.messages_per_second, welcome.burst, turn.now());
        let (id, ends_at) = (user.id(), user.ends_at());
        let mut session = Box::new(Authenticated::new(user, &chats, limit));
        session.joins = 1;
        let number = session.joins;
        let rooms: Vec<JoiningRoom> =
            chats.into_iter().map(|entry| JoiningRoom::new(number, entry, &resume)).collect();
        let chats = rooms.iter().map(JoiningRoom::join).collect();
        let answer = JoinAnswer::Welcome { request };
        session.joining = Some(Box::new(Joining { number, answer, rooms }));
        self.phase = Phase::Joining(session);
        turn.act(Action::TickAt(ends_at));
        turn.act(Action::Connect { user: id, join: number, chats });
        turn.act(Action::SetDeadline(Timer::Rooms(number), self.config.room_timeout));
    }

    /// Joins rooms at a client's request, which has been checked.
    pub(super) fn enter(
        &mut self,
        entries: &[Entry],
        chats: Vec<ChatEntry>,
        request: Option<RequestId>,
        turn: &mut Turn<'_, R>,
    ) {
        let Some(session) = self.live() else { return };
        session.joins += 1;
        let number = session.joins;
        let rooms = chats
            .into_iter()
            .map(|entry| {
                let chat = entry.access.chat_id;
                let was_in = session.streams.contains(chat);
                let was_live = session.streams.goes_live(chat);
                JoiningRoom { was_in, was_live, ..JoiningRoom::new(number, entry, entries) }
            })
            .collect();
        self.join(Joining { number, answer: JoinAnswer::Enter { request }, rooms }, turn);
    }

    /// Joins the room of a chat that this session has just made.
    pub(super) fn enter_created(
        &mut self,
        created: Box<ShownChat>,
        request: Option<RequestId>,
        turn: &mut Turn<'_, R>,
    ) {
        let Some(session) = self.live() else { return };
        session.joins += 1;
        let number = session.joins;
        let access = created.access;
        let roster = created.online.is_some().then(|| Roster {
            members: created.chat.members.iter().map(|member| member.id).collect(),
            reads: Vec::new(),
        });
        // What was written since the chat was read follows the ack.
        let after = Some(access.last_seq);
        let room = JoiningRoom::new(number, ChatEntry { access, roster }, &[]);
        let room = JoiningRoom { after, ..room };
        let answer = JoinAnswer::Create { request, created };
        self.join(Joining { number, answer, rooms: vec![room] }, turn);
    }

    fn join(&mut self, joining: Joining, turn: &mut Turn<'_, R>) {
        let room_timeout = self.config.room_timeout;
        let Some(session) = self.live() else { return };
        let (join, chats) = (joining.number, joining.rooms.iter().map(JoiningRoom::join).collect());
        session.joining = Some(Box::new(joining));
        turn.act(Action::Join { join, chats });
        turn.act(Action::SetDeadline(Timer::Rooms(join), room_timeout));
    }

    /// ChatServer took the request to join, or is full.
    pub(super) fn join_sent(&mut self, is_sent: bool, turn: &mut Turn<'_, R>) {
        if is_sent {
            self.joined(turn);
        } else {
            self.not_joined(turn);
        }
    }

    /// Gives up a join that a room leaves unanswered for too long.
    pub(super) fn rooms_are_late(&mut self, join: u64, turn: &mut Turn<'_, R>) {
        let is_waiting = self.live().is_some_and(|session| {
            session.joining.as_ref().is_some_and(|joining| {
                joining.number == join && joining.rooms.iter().any(|room| room.state.is_none())
            })
        });
        if is_waiting {
            log::warn!("session {} timed out waiting for a room", self.id);
            self.not_joined(turn);
        }
    }

    /// A room has let the session in.
    pub(super) fn attached(&mut self, attached: Attached<R>, turn: &mut Turn<'_, R>) {
        let Attached { chat, room, head, replay, online, reads, purpose } = attached;
        let is_welcomed = matches!(self.phase, Phase::Welcomed(_));
        let Some(session) = self.live() else { return };
        let user_id = session.user.id();
        match purpose {
            Purpose::Replaced => {
                if session.streams.contains(chat) {
                    session.rooms.joined(chat, room);
                    session.streams.page_lost(chat);
                    session.streams.hinted(chat, head);
                }
                // The room may have died before it could answer the join, which goes to the next one.
                // Under a new number: an answer that comes all the same would set the position twice.
                session.joins += 1;
                let number = session.joins;
                if let Some(waiting) = session.unanswered(chat) {
                    waiting.number = number;
                    let chats = vec![waiting.join()];
                    turn.act(Action::Join { join: number, chats });
                }
                self.fetch(turn);
            }
            Purpose::Created { to_admins, to_others } => {
                let event = if session.user.role() == Role::Admin { to_admins } else { to_others };
                session.rooms.joined(chat, room);
                session.streams.enter(chat, head, &replay);
                if is_welcomed {
                    session.streams.release(chat);
                    turn.send(ServerEvent::Control(Control::Shared(event)));
                    self.fetch(turn);
                } else {
                    session.deferred.push(Deferred::Created(chat, event));
                }
            }
            Purpose::Join(join) => {
                let waiting = session.unanswered(chat).filter(|waiting| waiting.number == join);
                let Some(waiting) = waiting else {
                    // A late answer: the session stays where it was before.
                    if replay.truncated && session.streams.goes_live(chat) {
                        // The room keeps it no longer, and the client takes the chat to be live.
                        return self.end(Ending::NotReady, turn);
                    }
                    if !replay.truncated && session.streams.contains(chat) {
                        session.rooms.joined(chat, room);
                        session.streams.hinted(chat, head);
                    }
                    return self.fetch(turn);
                };
                let read_seq = waiting.access.read_seq.min(head);
                let entered = waiting.resumed.then_some(EnteredView::from(replay));
                let unread = read_seq.until(head);
                let mut state = ChatState {
                    id: chat,
                    last_seq: head,
                    read_seq,
                    unread,
                    online: online.map(Vec::from),
                    reads: waiting.roster.take().map(|roster| roster.reads),
                    replay: entered,
                };
                for (reader, seq) in reads {
                    state.raise(reader, seq, user_id);
                }
                waiting.state = Some(state);
                session.rooms.joined(chat, room);
                session.streams.enter(chat, head, &replay);
                self.flush_acks(chat, turn);
                self.joined(turn);
            }
        }
    }

    /// A room could not let the session in. A replaced room opens as soon as the database answers, and
    /// then says so.
    pub(super) fn not_attached(&mut self, chat: ChatId, purpose: &Purpose, turn: &mut Turn<'_, R>) {
        if let Purpose::Join(join) = purpose
            && self
                .live()
                .and_then(|session| session.unanswered(chat))
                .is_some_and(|waiting| waiting.number == *join)
        {
            self.not_joined(turn);
        }
    }

    /// Answers, once all rooms have let the session in and the replay that comes first is written.
    pub(super) fn joined(&mut self, turn: &mut Turn<'_, R>) {
        let Some(session) = self.live() else { return };
        let Some(joining) = &session.joining else { return };
        if joining.rooms.iter().any(|room| room.state.is_none()) {
            return;
        }
        if let JoinAnswer::Enter { .. } = joining.answer {
            let is_replayed = |room: &JoiningRoom| session.streams.is_replayed(room.access.chat_id);
            if !joining.rooms.iter().all(is_replayed) {
                return self.fetch(turn);
            }
        }
        let Some(joining) = session.joining.take() else { return };
        turn.act(Action::ClearDeadline);
        let Joining { answer, rooms, .. } = *joining;
        let mut states: Vec<ChatState> = rooms.into_iter().filter_map(|room| room.state).collect();
        let chats: Vec<ChatId> = states.iter().map(|state| state.id).collect();
        match answer {
            JoinAnswer::Welcome { request } => self.welcome(states, request, turn),
            JoinAnswer::Enter { request } => turn.ack(request, AckData::Entered(states)),
            JoinAnswer::Create { request, created: mut chat } => {
                let viewer = session.user.role();
                chat.online = states.pop().and_then(|state| state.online);
                turn.ack(request, AckData::Chat { chat, viewer });
            }
        }
        if let Some(session) = self.live() {
            for chat in chats {
                session.streams.release(chat);
            }
            session.send_deferred(turn);
        }
        self.fetch(turn);
    }

    fn welcome(
        &mut self,
        chats: Vec<ChatState>,
        request: Option<RequestId>,
        turn: &mut Turn<'_, R>,
    ) {
        let Phase::Joining(session) = self.phase.take() else {
            return;
        };
        let user = session.user.author();
        let (now, limits) = (turn.now(), self.config.welcome);
        let expires_at = session.user.expires_at();
        let welcome = Welcome { session: self.id, user, chats, now, expires_at, limits };
        turn.send(ServerEvent::Control(Control::Welcome(Box::new(welcome))));
        turn.ack(request, AckData::Expires(Expires { expires_at }));
        self.phase = Phase::Welcomed(session);
    }

    /// A room could not let the session in, or could not be asked.
    fn not_joined(&mut self, turn: &mut Turn<'_, R>) {
        let Some(session) = self.live() else { return };
        let Some(joining) = session.joining.take() else { return };
        turn.act(Action::ClearDeadline);
        let (request, event) = match joining.answer {
            // It would begin with less than its user has; it comes back when that is possible.
            JoinAnswer::Welcome { .. } => return self.end(Ending::NotReady, turn),
            JoinAnswer::Enter { request } => (request, enter_chat::NAME),
            JoinAnswer::Create { request, .. } => (request, create_chat::NAME),
        };
        turn.refuse(request, Some(event), ApiError::unavailable());
        let (stays, leaves): (Vec<JoiningRoom>, Vec<JoiningRoom>) =
            joining.rooms.into_iter().partition(|room| room.was_in);
        for room in &stays {
            session.streams.release(room.access.chat_id);
        }
        let chats: Vec<ChatId> = leaves.iter().map(|room| room.access.chat_id).collect();
        let has_stopped = stays.iter().any(JoiningRoom::has_stopped);
        for chat in &chats {
            self.forget(*chat, turn);
        }
        turn.act(Action::Leave(chats));
        if has_stopped {
            // The client is not told which of its chats go on; it comes back and resumes all.
            return self.end(Ending::NotReady, turn);
        }
        if let Some(session) = self.live() {
            session.send_deferred(turn);
        }
        self.fetch(turn);
    }

    /// A replay that comes before an answer cannot be read now. The session has joined, and what it
    /// missed follows when it can; the client may ask again.
    pub(super) fn replay_failed(&mut self, chat: ChatId, turn: &mut Turn<'_, R>) {
        let Some(session) = self.live() else { return };
        let Some(joining) = session.joining.take_if(|joining| joining.replays(chat)) else {
            return;
        };
        for room in &joining.rooms {
            session.streams.release(room.access.chat_id);
        }
        if let JoinAnswer::Enter { request } = joining.answer {
            turn.refuse(request, Some(enter_chat::NAME), ApiError::unavailable());
        }
        if joining.rooms.iter().any(JoiningRoom::has_stopped) {
            return self.end(Ending::NotReady, turn);
        }
        session.send_deferred(turn);
    }

    /// The session is in the chat's room no longer.
    pub(super) fn forget(&mut self, chat: ChatId, turn: &mut Turn<'_, R>) {
        self.flush_acks(chat, turn);
        if let Some(session) = self.live() {
            session.streams.leave(chat);
            session.rooms.forget(chat);
        }
    }
}

impl<R> Authenticated<R> {
    /// Sends what was held back for the answer to a join.
    fn send_deferred(&mut self, turn: &mut Turn<'_, R>) {
        for deferred in std::mem::take(&mut self.deferred) {
            match deferred {
                Deferred::Created(chat, event) => {
                    turn.send(ServerEvent::Control(Control::Shared(event)));
                    self.streams.release(chat);
                }
                Deferred::Event(event, permit) => {
                    turn.send(event);
                    turn.act(Action::Written(permit));
                }
            }
        }
    }

    /// The join of a chat's room that the room has not answered.
    fn unanswered(&mut self, chat: ChatId) -> Option<&mut JoiningRoom> {
        let rooms = &mut self.joining.as_mut()?.rooms;
        rooms.iter_mut().find(|room| room.access.chat_id == chat && room.state.is_none())
    }
}
