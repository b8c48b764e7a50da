//! News on the wire between nodes. Short names and tuples: every node reads every message.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::{
    Author, Change, ChatId, LiveEvent, LiveState, Message, MessageId, MessageKind, Role, Seq,
    SessionId, SharePart, Timestamp, Update, UserId,
};

/// News that were gathered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct WireNews<'a> {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub posts: Vec<WirePost<'a>>,
    /// Logs that have grown, without the messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grown: Vec<(ChatId, Seq)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live: Vec<WireLive>,
    /// New chats, and users who have changed: the database has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chats: Vec<ChatId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<WireUpdate<'a>>,
}

impl WireNews<'_> {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { posts, grown, live, chats, users, shares } = self;
        let is_dull = live.is_empty() && chats.is_empty() && users.is_empty() && shares.is_empty();
        posts.is_empty() && grown.is_empty() && is_dull
    }
}

/// A [`Message`]: chat, `seq`, id, time, kind, author, `clientId`, text.
#[derive(Debug, Serialize, Deserialize)]
pub struct WirePost<'a>(
    ChatId,
    Seq,
    MessageId,
    i64,
    Cow<'a, str>,
    WireAuthor<'a>,
    Cow<'a, str>,
    Cow<'a, str>,
);

/// An [`Author`]: id, nickname, role.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireAuthor<'a>(UserId, Option<Cow<'a, str>>, Cow<'a, str>);

/// A [`LiveEvent`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireLive {
    Typing(ChatId, UserId, bool),
    Read(ChatId, UserId, Seq),
}

/// An [`Update`]: the version, and the changes that lead to it.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireUpdate<'a>(u64, Vec<WireChange<'a>>);

/// A [`SharePart`]: the version, the place among the parts, their number, and the changes.
#[derive(Debug, Serialize, Deserialize)]
pub struct WirePart<'a>(u64, u32, u32, Vec<WireChange<'a>>);

/// A [`Change`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireChange<'a> {
    Online(UserId, Cow<'a, [ChatId]>),
    Offline(UserId),
    Views(String, Option<(ChatId, WireAuthor<'a>)>),
}

impl<'a> From<&'a Message> for WirePost<'a> {
    fn from(message: &'a Message) -> Self {
        Self(
            message.chat_id,
            message.seq,
            message.id,
            message.created_at.0,
            message.kind.as_str().into(),
            WireAuthor::from(&*message.author),
            message.client_id.as_str().into(),
            message.content.as_str().into(),
        )
    }
}

impl WirePost<'_> {
    /// `None` if the author has a role of another version.
    #[must_use]
    pub fn message(self) -> Option<Message> {
        let Self(chat_id, seq, id, created_at, kind, author, client_id, content) = self;
        Some(Message {
            id,
            chat_id,
            seq,
            kind: MessageKind::from(kind.into_owned()),
            author: Arc::new(author.author()?),
            content: content.into_owned(),
            client_id: client_id.into_owned(),
            created_at: Timestamp(created_at),
        })
    }

    /// The chat, and the end of its log.
    #[must_use]
    pub fn end(&self) -> (ChatId, Seq) {
        (self.0, self.1)
    }
}

impl<'a> From<&'a Author> for WireAuthor<'a> {
    fn from(author: &'a Author) -> Self {
        let nickname = author.nickname.as_deref().map(Cow::from);
        Self(author.id, nickname, author.role.as_str().into())
    }
}

impl WireAuthor<'_> {
    fn author(self) -> Option<Author> {
        let Self(id, nickname, role) = self;
        let role = Role::parse_any(&role)?;
        Some(Author { id, nickname: nickname.map(Cow::into_owned), role })
    }
}

impl WireLive {
    /// `None` for presence, which nodes tell by their shares.
    #[must_use]
    pub fn new(event: LiveEvent) -> Option<Self> {
        let LiveEvent { chat, user, state } = event;
        match state {
            LiveState::Typing(typing) => Some(Self::Typing(chat, user, typing)),
            LiveState::Read(seq) => Some(Self::Read(chat, user, seq)),
            LiveState::Online(_) => None,
        }
    }

    #[must_use]
    pub fn event(self) -> LiveEvent {
        match self {
            Self::Typing(chat, user, typing) => {
                LiveEvent { chat, user, state: LiveState::Typing(typing) }
            }
            Self::Read(chat, user, seq) => LiveEvent { chat, user, state: LiveState::Read(seq) },
        }
    }
}

impl<'a> From<&'a Update> for WireUpdate<'a> {
    fn from(Update { version, changes }: &'a Update) -> Self {
        Self(*version, changes.iter().map(WireChange::from).collect())
    }
}

impl WireUpdate<'_> {
    #[must_use]
    pub fn update(self) -> Update {
        let Self(version, changes) = self;
        Update { version, changes: changes.into_iter().filter_map(WireChange::change).collect() }
    }
}

impl<'a> From<&'a SharePart> for WirePart<'a> {
    fn from(SharePart { version, part, parts, changes }: &'a SharePart) -> Self {
        Self(*version, *part, *parts, changes.iter().map(WireChange::from).collect())
    }
}

impl WirePart<'_> {
    #[must_use]
    pub fn part(self) -> SharePart {
        let Self(version, part, parts, changes) = self;
        let changes = changes.into_iter().filter_map(WireChange::change).collect();
        SharePart { version, part, parts, changes }
    }
}

impl<'a> From<&'a Change> for WireChange<'a> {
    fn from(change: &'a Change) -> Self {
        match change {
            Change::Online(user, chats) => Self::Online(*user, chats.into()),
            Change::Offline(user) => Self::Offline(*user),
            Change::Views(session, view) => {
                let view = view.as_ref().map(|(chat, user)| (*chat, WireAuthor::from(&**user)));
                Self::Views(session.to_string(), view)
            }
        }
    }
}

impl WireChange<'_> {
    fn change(self) -> Option<Change> {
        Some(match self {
            Self::Online(user, chats) => Change::Online(user, chats.into_owned()),
            Self::Offline(user) => Change::Offline(user),
            Self::Views(session, view) => {
                let view = match view {
                    Some((chat, user)) => Some((chat, Arc::new(user.author()?))),
                    None => None,
                };
                Change::Views(SessionId::parse(&session)?, view)
            }
        })
    }
}
