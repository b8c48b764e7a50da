//! Host in memory: sessions, rooms and ChatServer as queues that a test empties step by step.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::auth::AuthenticatedUser;
use crate::domain::{
    Author, Chat, ChatAccess, ChatEntry, ChatId, ChatKind, Draft, Fetch, Message, MessageId,
    MessageKind, Origin, PostResult, Replay, Role, Roster, Seq, Sequenced, SessionId, ShownChat,
    Timestamp, User, UserId,
};
use crate::protocol::{
    ApiError, Codec, Ending, Entry, Limits, MarkView, Posted, Shared, SharedEvent, WelcomeLimits,
};
use crate::session::{
    Action, Admitted, Answered, Ask, Attached, Budget, Input, JoinChat, MarkOutcome, NewPost,
    Outcome, PostOutcome, Purpose, RoomCall, Session, SessionConfig, Timer, ToSession,
};

/// A chat's room, and which of the chat's rooms it is.
pub type Room = (ChatId, u32);

/// Messages of a page.
const PAGE: usize = 3;
/// Messages that a join replays at most.
const REPLAY: i64 = 20;

/// Work that waits for a room.
enum Work {
    Attach(usize, Option<Seq>, Purpose),
    Call(usize, RoomCall),
    Fetch(usize, Fetch),
}

/// A chat, and its room.
#[derive(Default)]
struct ChatState {
    log: Vec<Posted>,
    generation: u32,
    attached: Vec<usize>,
    work: VecDeque<Work>,
}

/// A session with all that waits for it.
pub struct Hosted {
    session: Session<Room>,
    budget: Arc<Budget>,
    user: UserId,
    frames: VecDeque<String>,
    inbox: VecDeque<ToSession<Room>>,
    asked: VecDeque<Answered>,
    timers: VecDeque<Timer>,
    deadline: Option<Timer>,
    /// Chats that ChatServer has the session in.
    joined: Vec<ChatId>,
    /// All that was written, in order.
    pub sent: Vec<Value>,
    pub ended: Option<Ending>,
}

pub struct World {
    config: Arc<SessionConfig>,
    chats: BTreeMap<ChatId, ChatState>,
    members: HashMap<UserId, Vec<ChatId>>,
    pub sessions: Vec<Hosted>,
    next_id: i64,
    pub now: Timestamp,
    /// Pages cannot be read now.
    pub database_is_away: bool,
}

impl World {
    pub fn new() -> Self {
        let config = SessionConfig {
            requests: Limits { message_chars: 1_000, title_chars: 100, group_members: 10 },
            welcome: WelcomeLimits {
                heartbeat_ms: 20_000,
                frame_bytes: 1_000,
                message_chars: 1_000,
                messages_per_second: 1_000,
                burst: 1_000,
            },
            chats_entered: 10,
            commands_in_flight: 8,
            auth_timeout: Duration::from_secs(5),
            room_timeout: Duration::from_secs(30),
            retry: Duration::from_millis(500),
            drain_window: Duration::from_secs(2),
            routes: None,
        };
        Self {
            config: Arc::new(config),
            chats: BTreeMap::new(),
            members: HashMap::new(),
            sessions: Vec::new(),
            next_id: 0,
            now: Timestamp(1_000_000),
            database_is_away: false,
        }
    }

    /// Makes a chat with these members.
    pub fn chat(&mut self, id: i64, members: &[i64]) -> ChatId {
        let chat = ChatId(id);
        self.chats.insert(chat, ChatState::default());
        for user in members {
            self.members.entry(UserId(*user)).or_default().push(chat);
        }
        chat
    }

    /// Opens a connection without a token; its user follows from the token.
    pub fn connect(&mut self, user: i64) -> usize {
        let id = SessionId::random();
        let session = Session::unauthenticated(id, Arc::clone(&self.config), Vec::new());
        self.sessions.push(Hosted {
            session,
            budget: Budget::new(10_000, 10_000_000),
            user: UserId(user),
            frames: VecDeque::new(),
            inbox: VecDeque::new(),
            asked: VecDeque::new(),
            timers: VecDeque::new(),
            deadline: None,
            joined: Vec::new(),
            sent: Vec::new(),
            ended: None,
        });
        let at = self.sessions.len() - 1;
        let actions = self.sessions[at].session.start();
        self.perform(at, actions);
        at
    }

    /// Queues a frame from the client.
    pub fn say(&mut self, at: usize, frame: &Value) {
        self.sessions[at].frames.push_back(frame.to_string());
    }

    /// A session that has been welcomed, in all chats of its user; `resume` as `authenticate` has it.
    pub fn welcomed(&mut self, user: i64, resume: Value) -> usize {
        let at = self.connect(user);
        let data = json!({ "token": "t", "resume": resume });
        self.say(at, &json!({ "event": "authenticate", "data": data }));
        self.settle();
        at
    }

    /// Takes a step for a session: its next frame, its next message, or its next answer.
    pub fn frame(&mut self, at: usize) -> bool {
        let hosted = &mut self.sessions[at];
        if !hosted.session.accepts_frames() {
            return false;
        }
        let Some(frame) = hosted.frames.pop_front() else { return false };
        self.input(at, Input::Text(&frame));
        true
    }

    pub fn message(&mut self, at: usize) -> bool {
        let Some(message) = self.sessions[at].inbox.pop_front() else { return false };
        self.input(at, Input::FromServer(message));
        true
    }

    pub fn answer(&mut self, at: usize) -> bool {
        let Some(answer) = self.sessions[at].asked.pop_front() else { return false };
        self.input(at, Input::Answered(answer));
        true
    }

    /// Fires the session's oldest timer.
    pub fn timer(&mut self, at: usize) -> bool {
        let hosted = &mut self.sessions[at];
        let Some(timer) = hosted.timers.pop_front().or_else(|| hosted.deadline.take()) else {
            return false;
        };
        self.input(at, Input::Timer(timer));
        true
    }

    /// A room does its next piece of work.
    pub fn work(&mut self, chat: ChatId) -> bool {
        let Some(work) = self.state(chat).work.pop_front() else { return false };
        match work {
            Work::Attach(at, after, purpose) => self.attach(chat, at, after, purpose),
            Work::Call(at, RoomCall::Post(post)) => self.post(chat, at, post),
            Work::Call(at, RoomCall::Mark { nonce, seq, .. }) => {
                let view = MarkView { read_seq: seq, unread: 0 };
                let outcome = Outcome::Mark(MarkOutcome::Done(Ok(view)));
                self.tell(at, ToSession::Outcome { nonce, outcome });
            }
            Work::Call(_, RoomCall::Typing(_)) => {}
            Work::Fetch(at, fetch) => self.page(chat, at, fetch),
        }
        true
    }

    /// The chat's room dies: its calls are answered `unavailable`, and the next room has its sessions.
    pub fn kill(&mut self, chat: ChatId) {
        let work = std::mem::take(&mut self.state(chat).work);
        let state = self.state(chat);
        state.generation += 1;
        state.attached.clear();
        for work in work {
            match work {
                Work::Call(at, RoomCall::Post(NewPost { nonce, .. })) => {
                    let outcome = Outcome::Post(PostOutcome::Stored(PostResult::Unavailable));
                    self.tell(at, ToSession::Outcome { nonce, outcome });
                }
                Work::Call(at, RoomCall::Mark { nonce, .. }) => {
                    let outcome = Outcome::Mark(MarkOutcome::Done(Err(ApiError::unavailable())));
                    self.tell(at, ToSession::Outcome { nonce, outcome });
                }
                Work::Call(_, RoomCall::Typing(_)) | Work::Attach(..) | Work::Fetch(..) => {}
            }
        }
        for at in 0..self.sessions.len() {
            if self.sessions[at].joined.contains(&chat) {
                let attach = Work::Attach(at, None, Purpose::Replaced);
                self.state(chat).work.push_back(attach);
            }
        }
    }

    /// An empty room retires: a call on its way to it comes back.
    pub fn retire(&mut self, chat: ChatId) -> bool {
        let state = self.state(chat);
        if !state.attached.is_empty() || !state.work.is_empty() {
            return false;
        }
        state.generation += 1;
        true
    }

    /// Somebody else's message is stored, and the room tells the first `told` of its sessions.
    pub fn other_posts(&mut self, chat: ChatId, told: usize) {
        let author = Arc::new(Author { id: UserId(0), nickname: None, role: Role::Admin });
        self.next_id += 1;
        let name = format!("other-{}", self.next_id);
        let posted = self.store(chat, author, "hello", &name, None);
        self.deliver(chat, posted, told);
    }

    /// Does all that is to be done, until nothing waits.
    pub fn settle(&mut self) {
        loop {
            let chats: Vec<ChatId> = self.chats.keys().copied().collect();
            let mut moved = false;
            for at in 0..self.sessions.len() {
                moved |= self.message(at) || self.answer(at) || self.frame(at);
            }
            for chat in chats {
                moved |= self.work(chat);
            }
            if !moved {
                return;
            }
        }
    }

    /// As [`World::settle`], with the timers that are left.
    pub fn settle_with_timers(&mut self) {
        self.settle();
        while (0..self.sessions.len()).fold(false, |fired, at| fired | self.timer(at)) {
            self.settle();
        }
    }

    /// A time that the session asked for has come, or another one.
    pub fn tick(&mut self, at: usize) {
        self.input(at, Input::Tick);
    }

    /// The client closes.
    pub fn close(&mut self, at: usize) {
        self.input(at, Input::End(Ending::Closed));
    }

    pub fn tell(&mut self, at: usize, message: ToSession<Room>) {
        self.sessions[at].inbox.push_back(message);
    }

    /// Sends an event of another service, as ChatServer does.
    pub fn event(&mut self, at: usize, event: crate::protocol::ServerEvent) {
        let permit = self.sessions[at].budget.take(1, 1).expect("room");
        self.tell(at, ToSession::Event(event, permit));
    }

    /// Announces a chat that was made, to a session.
    pub fn announce(&mut self, at: usize, chat: ChatId) {
        let of = |viewer| Shared::new(SharedEvent::ChatCreated(Arc::new(made(chat)), viewer));
        let (to_admins, to_others) = (of(Role::Admin), of(Role::Customer));
        self.sessions[at].joined.push(chat);
        let purpose = Purpose::Created { to_admins, to_others };
        self.state(chat).work.push_back(Work::Attach(at, Some(Seq::ZERO), purpose));
    }

    pub fn head(&self, chat: ChatId) -> Seq {
        Seq(self.chats[&chat].log.len() as i64)
    }

    /// Nothing is held for a session any more.
    pub fn holds_nothing(&self, at: usize) -> bool {
        let hosted = &self.sessions[at];
        let is_idle = match &hosted.session.phase {
            crate::session::state::Phase::Welcomed(session) => {
                session.requests.len() == 0
                    && session.requests.bytes() == 0
                    && session.waiting.is_none()
                    && session.joining.is_none()
                    && session.deferred.is_empty()
            }
            _ => hosted.session.is_ended(),
        };
        is_idle && hosted.budget.is_unused()
    }

    fn state(&mut self, chat: ChatId) -> &mut ChatState {
        self.chats.get_mut(&chat).expect("a chat")
    }

    fn input(&mut self, at: usize, input: Input<'_, Room>) {
        let now = self.now;
        let actions = self.sessions[at].session.handle(input, &|| now);
        self.perform(at, actions);
    }

    fn perform(&mut self, at: usize, actions: Vec<Action<Room>>) {
        for action in actions {
            match action {
                // Nobody changes users here.
                Action::Recheck(_) => {}
                Action::Send(event) => {
                    let frame = event.frame(Codec::V1);
                    let frame = serde_json::from_str(&frame).expect("JSON");
                    self.sessions[at].sent.push(frame);
                }
                Action::Written(permit) => drop(permit),
                Action::Call { chat, room, call } => self.call(at, chat, room, call),
                Action::Fetch { room, fetch } => {
                    if room.1 == self.state(room.0).generation {
                        self.state(room.0).work.push_back(Work::Fetch(at, fetch));
                    } else {
                        let (chat, after) = (fetch.chat_id, fetch.after);
                        self.input(
                            at,
                            Input::FromServer(ToSession::Page { chat, after, messages: None }),
                        );
                    }
                }
                Action::Connect { join, chats, .. } | Action::Join { join, chats } => {
                    for JoinChat { chat, after, .. } in chats {
                        if !self.sessions[at].joined.contains(&chat) {
                            self.sessions[at].joined.push(chat);
                        }
                        let attach = Work::Attach(at, after, Purpose::Join(join));
                        self.state(chat).work.push_back(attach);
                    }
                    self.input(at, Input::Answered(Answered::JoinSent(true)));
                }
                Action::Leave(chats) => {
                    for chat in chats {
                        self.detach(at, chat);
                    }
                }
                Action::Ask(ask) => self.ask(at, ask),
                Action::After(timer, _) => self.sessions[at].timers.push_back(timer),
                Action::SetDeadline(timer, _) => self.sessions[at].deadline = Some(timer),
                Action::ClearDeadline => self.sessions[at].deadline = None,
                Action::Close(ending) => {
                    self.sessions[at].ended = Some(ending);
                    for chat in self.sessions[at].joined.clone() {
                        self.detach(at, chat);
                    }
                }
                Action::Watch(_)
                | Action::View { .. }
                | Action::TickAt(_)
                | Action::Count(_)
                | Action::Forward(_) => {}
            }
        }
    }

    fn detach(&mut self, at: usize, chat: ChatId) {
        self.sessions[at].joined.retain(|other| *other != chat);
        let state = self.state(chat);
        state.attached.retain(|other| *other != at);
        state.work.retain(|work| !matches!(work, Work::Attach(other, ..) if *other == at));
    }

    fn call(&mut self, at: usize, chat: ChatId, room: Option<Room>, call: RoomCall) {
        let current = (chat, self.state(chat).generation);
        match room {
            Some(room) if room != current => {
                let (nonce, outcome) = match call {
                    RoomCall::Typing(_) => return,
                    RoomCall::Post(NewPost { nonce, draft, .. }) => {
                        (nonce, Outcome::Post(PostOutcome::Moved(Box::new(draft))))
                    }
                    RoomCall::Mark { nonce, .. } => (nonce, Outcome::Mark(MarkOutcome::Moved)),
                };
                self.tell(at, ToSession::Outcome { nonce, outcome });
            }
            Some(_) => self.state(chat).work.push_back(Work::Call(at, call)),
            None => {
                self.state(chat).work.push_back(Work::Call(at, call));
                self.tell(at, ToSession::RoomIs { chat, room: current });
            }
        }
    }

    fn ask(&mut self, at: usize, ask: Ask) {
        let user = self.sessions[at].user;
        let answer = match ask {
            Ask::Authenticate { token, .. } if token != "t" => {
                let exception =
                    ApiError::new(crate::protocol::Code::Unauthenticated, "the token is bad");
                Answered::Authenticated(Err(exception))
            }
            Ask::Authenticate { resume, .. } => {
                let chats = self.members.get(&user).cloned().unwrap_or_default();
                let chats = chats.into_iter().map(|chat| self.entry(user, chat)).collect();
                let user = AuthenticatedUser::from_user(&person(user));
                Answered::Authenticated(Ok(Box::new(Admitted { user, chats, resume })))
            }
            Ask::Renew { .. } => Answered::Renewed(Ok(AuthenticatedUser::from_user(&person(user)))),
            Ask::Access(chat, _) => Answered::Access(match self.chats.contains_key(&chat) {
                true => Ok(self.access(user, chat)),
                false => Err(ApiError::chat_not_found(chat)),
            }),
            Ask::Entries(chats) => {
                let missing = chats.iter().find(|chat| !self.chats.contains_key(chat));
                Answered::Entries(match missing {
                    Some(chat) => Err(ApiError::chat_not_found(*chat)),
                    None => Ok(chats.into_iter().map(|chat| self.entry(user, chat)).collect()),
                })
            }
            Ask::ForwardAccess(_) => Answered::ForwardAccess(Ok(())),
            Ask::CreateChat(_) => {
                let chat = self.chat(1_000 + self.next_id, &[user.0]);
                let access = self.access(user, chat);
                let created = ShownChat { chat: made(chat), access, online: None };
                Answered::ChatCreated(Ok(Box::new(created)))
            }
        };
        self.sessions[at].asked.push_back(answer);
    }

    fn access(&self, user: UserId, chat: ChatId) -> ChatAccess {
        let member = self.members.get(&user).is_some_and(|chats| chats.contains(&chat));
        let last_seq = self.head(chat);
        ChatAccess { chat_id: chat, kind: ChatKind::Group, member, last_seq, read_seq: Seq::ZERO }
    }

    fn entry(&self, user: UserId, chat: ChatId) -> ChatEntry {
        ChatEntry { access: self.access(user, chat), roster: Some(Roster::default()) }
    }

    fn attach(&mut self, chat: ChatId, at: usize, after: Option<Seq>, purpose: Purpose) {
        let (head, room) = (self.head(chat), (chat, self.state(chat).generation));
        let replay = Replay::plan(head, after, REPLAY);
        let state = self.state(chat);
        state.attached.retain(|other| *other != at);
        if !replay.truncated {
            state.attached.push(at);
        }
        let (online, reads) = (Some(Box::default()), Vec::new());
        let attached = Attached { chat, room, head, replay, online, reads, purpose };
        self.tell(at, ToSession::Attached(Box::new(attached)));
    }

    fn post(&mut self, chat: ChatId, at: usize, NewPost { nonce, draft, author }: NewPost) {
        let Draft { content, client_id, .. } = draft;
        let stored = self.chats[&chat].log.iter().find(|posted| {
            let message = posted.message();
            message.author.id == author.id && message.client_id == client_id.as_str()
        });
        if let Some(stored) = stored {
            let outcome = PostOutcome::Stored(PostResult::Duplicate(stored.receipt()));
            let outcome = Outcome::Post(outcome);
            return self.tell(at, ToSession::Outcome { nonce, outcome });
        }
        let origin = Origin { session: self.sessions[at].session.id(), nonce };
        let posted = self.store(chat, author, content.as_str(), client_id.as_str(), Some(origin));
        let receipt = posted.receipt();
        if !self.state(chat).attached.contains(&at) {
            let outcome = Outcome::Post(PostOutcome::Stored(PostResult::New(receipt, None)));
            self.tell(at, ToSession::Outcome { nonce, outcome });
        }
        self.deliver(chat, posted, usize::MAX);
    }

    fn store(
        &mut self,
        chat: ChatId,
        author: Arc<Author>,
        body: &str,
        client_id: &str,
        origin: Option<Origin>,
    ) -> Posted {
        self.next_id += 1;
        let (id, seq) = (MessageId(self.next_id), self.head(chat).next());
        let message = Message {
            id,
            chat_id: chat,
            seq,
            author,
            kind: MessageKind::Text,
            content: body.into(),
            client_id: client_id.into(),
            created_at: Timestamp(0),
        };
        let posted = Posted::new(message, origin);
        self.state(chat).log.push(posted.clone());
        posted
    }

    fn deliver(&mut self, chat: ChatId, posted: Posted, told: usize) {
        let messages: Arc<[Posted]> = vec![posted].into();
        let attached = self.state(chat).attached.clone();
        for at in attached.into_iter().take(told) {
            let permit = self.sessions[at].budget.take(1, 100).expect("room");
            let messages = Arc::clone(&messages);
            self.tell(at, ToSession::Deliver { chat, messages, permit });
        }
    }

    fn page(&mut self, chat: ChatId, at: usize, Fetch { after, up_to, .. }: Fetch) {
        let page = self.chats[&chat]
            .log
            .iter()
            .filter(|posted| posted.seq() > after && posted.seq() <= up_to)
            .take(PAGE)
            .map(|posted| Posted::new(posted.message().clone(), None));
        let messages = (!self.database_is_away).then(|| page.collect());
        self.tell(at, ToSession::Page { chat, after, messages });
    }
}

impl Hosted {
    /// Frames of this event, in order.
    pub fn heard(&self, event: &str) -> Vec<&Value> {
        self.sent
            .iter()
            .filter(|frame| frame["event"] == event)
            .map(|frame| &frame["data"])
            .collect()
    }

    /// The answers to a request.
    pub fn answers(&self, id: &str) -> Vec<&Value> {
        self.sent.iter().filter(|frame| frame["id"] == id).collect()
    }

    /// The positions in a chat that were written, own acks of stored messages counted.
    pub fn positions(&self, chat: ChatId) -> Vec<i64> {
        self.sent
            .iter()
            .filter(|frame| frame["data"]["chatId"] == chat.0)
            .filter(|frame| {
                frame["event"] == "receive_message"
                    || (frame["event"] == "ack" && frame["data"]["duplicate"] == false)
            })
            .filter_map(|frame| frame["data"]["seq"].as_i64())
            .collect()
    }
}

fn person(id: UserId) -> User {
    User {
        id,
        issuer: "test".into(),
        subject: id.to_string(),
        role: Role::Admin,
        nickname: None,
        email: None,
        blocked: false,
        block_reason: None,
        created_at: Timestamp(0),
    }
}

fn made(id: ChatId) -> Chat {
    Chat {
        id,
        kind: ChatKind::Group,
        title: None,
        last_seq: Seq::ZERO,
        last_message: None,
        members: Vec::new(),
        is_large: false,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

/// A position to go on from, as `resume` and `enter_chat` have it.
pub fn entry(chat: ChatId, after: i64) -> Value {
    let Entry { chat_id, after_seq } = Entry { chat_id: chat, after_seq: Some(Seq(after)) };
    json!({ "chatId": chat_id.0, "afterSeq": after_seq.map(|seq| seq.0) })
}
