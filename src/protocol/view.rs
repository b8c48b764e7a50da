//! Views: JSON of the domain's values, the same in frames and over HTTP.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::domain::{
    Author, Chat, ChatId, LiveEvent, LiveState, Member, Message, Receipt, Replay, Role, Seq,
    SessionId, ShownChat, Timestamp, User, UserId,
};

/// Version of the wire protocol, which `welcome` names.
pub const VERSION: u32 = 1;

/// A message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView<'a> {
    id: i64,
    chat_id: ChatId,
    seq: Seq,
    kind: &'a str,
    author: AuthorView<'a>,
    message: &'a str,
    client_id: &'a str,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
}

impl<'a> From<&'a Message> for MessageView<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            id: message.id.0,
            chat_id: message.chat_id,
            seq: message.seq,
            kind: message.kind.as_str(),
            author: AuthorView::from(&*message.author),
            message: &message.content,
            client_id: &message.client_id,
            created_at: message.created_at,
        }
    }
}

#[derive(Debug, Serialize)]
struct AuthorView<'a> {
    id: UserId,
    nickname: Option<&'a str>,
    role: &'static str,
}

impl<'a> From<&'a Author> for AuthorView<'a> {
    fn from(author: &'a Author) -> Self {
        Self { id: author.id, nickname: author.nickname.as_deref(), role: author.role.as_str() }
    }
}

/// A chat, optionally with one reader's mark.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatView<'a> {
    id: ChatId,
    kind: &'static str,
    title: Option<&'a str>,
    last_seq: Seq,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_seq: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<&'a [UserId]>,
    last_message: Option<MessageView<'a>>,
    members: Vec<MemberView<'a>>,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    updated_at: Timestamp,
}

impl<'a> ChatView<'a> {
    /// A chat for `viewer`; addresses are for admins alone.
    #[must_use]
    pub fn new(chat: &'a Chat, viewer: Role) -> Self {
        Self {
            id: chat.id,
            kind: chat.kind.as_str(),
            title: chat.title.as_deref(),
            last_seq: chat.last_seq,
            read_seq: None,
            unread: None,
            online: None,
            last_message: chat.last_message.as_ref().map(MessageView::from),
            members: chat.members.iter().map(|member| MemberView::new(member, viewer)).collect(),
            created_at: chat.created_at,
            updated_at: chat.updated_at,
        }
    }

    /// A chat as its reader sees it, with the reader's mark and the members who are online.
    #[must_use]
    pub fn shown(ShownChat { chat, access, online }: &'a ShownChat, viewer: Role) -> Self {
        Self {
            read_seq: Some(access.read_seq),
            unread: Some(access.read_seq.until(chat.last_seq)),
            online: online.as_deref(),
            ..Self::new(chat, viewer)
        }
    }
}

#[derive(Debug, Serialize)]
struct MemberView<'a> {
    id: UserId,
    nickname: Option<&'a str>,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Option<&'a str>>,
}

impl<'a> MemberView<'a> {
    fn new(member: &'a Member, viewer: Role) -> Self {
        Self {
            id: member.id,
            nickname: member.nickname.as_deref(),
            role: member.role.as_str(),
            email: (viewer == Role::Admin).then_some(member.email.as_deref()),
        }
    }
}

/// A user, for themselves and for admins.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserView<'a> {
    id: UserId,
    issuer: &'a str,
    subject: &'a str,
    role: &'static str,
    nickname: Option<&'a str>,
    email: Option<&'a str>,
    blocked: bool,
    /// An admin's words on the block.
    #[serde(skip_serializing_if = "Option::is_none")]
    block_reason: Option<&'a str>,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
}

impl<'a> UserView<'a> {
    /// The user without nickname, e-mail and the reason of a block.
    #[must_use]
    pub fn without_person(user: &'a User) -> Self {
        Self { nickname: None, email: None, block_reason: None, ..Self::from(user) }
    }
}

impl<'a> From<&'a User> for UserView<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id,
            issuer: &user.issuer,
            subject: &user.subject,
            role: user.role.as_str(),
            nickname: user.nickname.as_deref(),
            email: user.email.as_deref(),
            blocked: user.blocked,
            block_reason: user.block_reason.as_deref(),
            created_at: user.created_at,
        }
    }
}

/// A user with presence, for admins.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenUserView<'a> {
    #[serde(flatten)]
    user: UserView<'a>,
    online: bool,
    #[serde(serialize_with = "optional_time")]
    last_seen_at: Option<Timestamp>,
}

impl<'a> SeenUserView<'a> {
    #[must_use]
    pub fn new(user: &'a User, online: bool, last_seen_at: Option<Timestamp>) -> Self {
        Self { user: UserView::from(user), online, last_seen_at }
    }
}

/// A stored message's place: the answer to `send_message`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptView<'a> {
    id: i64,
    chat_id: ChatId,
    seq: Seq,
    client_id: &'a str,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    duplicate: bool,
}

impl<'a> ReceiptView<'a> {
    #[must_use]
    pub fn new(chat_id: ChatId, client_id: &'a str, receipt: Receipt, duplicate: bool) -> Self {
        Self {
            id: receipt.id.0,
            chat_id,
            seq: receipt.seq,
            client_id,
            created_at: receipt.created_at,
            duplicate,
        }
    }
}

/// A read mark: the answer to `read_message`.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkView {
    pub read_seq: Seq,
    pub unread: i64,
}

/// A chat in `welcome`, and in the answer to `enter_chat`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatState {
    /// The chat; each event has its own name for the field.
    #[serde(skip)]
    pub id: ChatId,
    pub last_seq: Seq,
    pub read_seq: Seq,
    pub unread: i64,
    /// The members who are online, by id; `None` for a large chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<Vec<UserId>>,
    /// All readers' marks, by user; `None` for a large chat.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "reads")]
    pub reads: Option<Vec<(UserId, Seq)>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub replay: Option<EnteredView>,
}

impl ChatState {
    /// Raises a reader's mark; that of `own` is the reader's own.
    pub fn raise(&mut self, user: UserId, seq: Seq, own: UserId) {
        if user == own {
            self.read_seq = seq.min(self.last_seq).max(self.read_seq);
            self.unread = self.read_seq.until(self.last_seq);
        }
        let Some(reads) = &mut self.reads else { return };
        match reads.binary_search_by_key(&user, |(reader, _)| *reader) {
            Ok(at) => {
                if let Some((_, read)) = reads.get_mut(at) {
                    *read = seq.max(*read);
                }
            }
            Err(at) => reads.insert(at, (user, seq)),
        }
    }

    /// Adds or removes one who is online.
    pub fn set_online(&mut self, user: UserId, is_online: bool) {
        let Some(online) = &mut self.online else { return };
        match (online.binary_search(&user), is_online) {
            (Ok(at), false) => drop(online.remove(at)),
            (Err(at), true) => online.insert(at, user),
            _ => {}
        }
    }
}

fn reads<S: Serializer>(
    reads: &Option<Vec<(UserId, Seq)>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Read {
        user_id: UserId,
        seq: Seq,
    }
    let reads = reads.iter().flatten();
    serializer.collect_seq(reads.map(|&(user_id, seq)| Read { user_id, seq }))
}

/// Plan of a chat's replay, computed beforehand since `seq` has no gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnteredView {
    pub replayed: i64,
    pub replayed_to: Seq,
    pub truncated: bool,
    pub reset: bool,
}

impl From<Replay> for EnteredView {
    fn from(replay: Replay) -> Self {
        let Replay { replayed, replayed_to, truncated, reset } = replay;
        Self { replayed, replayed_to, truncated, reset }
    }
}

/// The first frame of a session.
#[derive(Debug, Clone)]
pub struct Welcome {
    pub session: SessionId,
    pub user: Arc<Author>,
    pub chats: Vec<ChatState>,
    pub now: Timestamp,
    /// The token's end.
    pub expires_at: Timestamp,
    pub limits: WelcomeLimits,
}

/// The limits of a session.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WelcomeLimits {
    #[serde(skip)]
    pub heartbeat_ms: u64,
    pub frame_bytes: usize,
    pub message_chars: usize,
    pub messages_per_second: u32,
    pub burst: u32,
}

/// A chat's state in `welcome`, where the chat is `id`.
#[derive(Serialize)]
struct WelcomeChat<'a> {
    id: ChatId,
    #[serde(flatten)]
    state: &'a ChatState,
}

/// A chat's state in an `ack`, where the chat is `chatId`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AckChat<'a> {
    chat_id: ChatId,
    #[serde(flatten)]
    state: &'a ChatState,
}

impl Serialize for Welcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            session_id: String,
            protocol: u32,
            user: AuthorView<'a>,
            chats: Vec<WelcomeChat<'a>>,
            #[serde(serialize_with = "time")]
            server_time: Timestamp,
            heartbeat_ms: u64,
            #[serde(serialize_with = "time")]
            token_expires_at: Timestamp,
            limits: WelcomeLimits,
        }
        let user = AuthorView::from(&*self.user);
        let chats = self.chats.iter().map(|state| WelcomeChat { id: state.id, state }).collect();
        Wire {
            session_id: self.session.to_string(),
            protocol: VERSION,
            user,
            chats,
            server_time: self.now,
            heartbeat_ms: self.limits.heartbeat_ms,
            token_expires_at: self.expires_at,
            limits: self.limits,
        }
        .serialize(serializer)
    }
}

/// The chats of the answer to `enter_chat`.
pub(super) fn entered(states: &[ChatState]) -> impl Serialize + '_ {
    #[derive(Serialize)]
    struct Wire<'a> {
        chats: Vec<AckChat<'a>>,
    }
    Wire { chats: states.iter().map(|state| AckChat { chat_id: state.id, state }).collect() }
}

/// A user's state in a chat.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LiveView {
    chat_id: ChatId,
    user_id: UserId,
    #[serde(flatten)]
    state: LiveStateView,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum LiveStateView {
    Typing(bool),
    Seq(Seq),
    Online(bool),
}

impl From<&LiveEvent> for LiveView {
    fn from(event: &LiveEvent) -> Self {
        let state = match event.state {
            LiveState::Typing(typing) => LiveStateView::Typing(typing),
            LiveState::Read(seq) => LiveStateView::Seq(seq),
            LiveState::Online(online) => LiveStateView::Online(online),
        };
        Self { chat_id: event.chat, user_id: event.user, state }
    }
}

/// The admins who view a chat.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ViewersView<'a> {
    chat_id: ChatId,
    users: Vec<ViewerView<'a>>,
}

#[derive(Debug, Serialize)]
struct ViewerView<'a> {
    id: UserId,
    nickname: Option<&'a str>,
}

impl<'a> ViewersView<'a> {
    pub fn new(chat_id: ChatId, users: &'a [Arc<Author>]) -> Self {
        let viewer =
            |user: &'a Arc<Author>| ViewerView { id: user.id, nickname: user.nickname.as_deref() };
        Self { chat_id, users: users.iter().map(viewer).collect() }
    }
}

/// The answer to `ping`.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerTime {
    #[serde(serialize_with = "time")]
    pub server_time: Timestamp,
}

/// The answer to `authenticate`.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expires {
    #[serde(serialize_with = "time")]
    pub expires_at: Timestamp,
}

pub(super) fn optional_time<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

pub(super) fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}
