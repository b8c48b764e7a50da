//! Rows, and their conversion to the domain's types.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::{Queryable, Selectable};

use super::schema::{chats, messages, users};
use super::search;
use crate::domain::{
    Author, Chat, ChatAccess, ChatId, ChatKind, Member, Message, MessageId, MessageKind, Role,
    Roster, Seq, Timestamp, User, UserId,
};

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct UserRow {
    pub id: UserId,
    pub issuer: String,
    pub subject: String,
    pub role: Role,
    pub nickname: Option<String>,
    pub email: Option<String>,
    pub claims_at: Option<i64>,
    pub blocked: bool,
    pub created_at: Timestamp,
    pub role_set_at: Option<i64>,
    pub block_reason: Option<String>,
}

impl UserRow {
    /// Columns that users are searched by.
    pub fn searched(&self) -> String {
        search::searched(self.nickname.as_deref(), self.email.as_deref(), &self.subject)
    }
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        let UserRow { id, issuer, subject, role, nickname, email, blocked, created_at, .. } = row;
        let block_reason = row.block_reason;
        Self { id, issuer, subject, role, nickname, email, blocked, block_reason, created_at }
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct AuthorRow {
    pub id: UserId,
    pub nickname: Option<String>,
    pub role: Role,
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = messages)]
pub struct MessageRow {
    pub id: MessageId,
    pub chat_id: ChatId,
    pub seq: Seq,
    pub kind: MessageKind,
    pub body: String,
    pub client_id: String,
    pub created_at: Timestamp,
    /// Time of the writing; `None` if it was not kept.
    pub author_role: Option<Role>,
    #[diesel(embed)]
    pub author: AuthorRow,
}

/// The authors of a query's messages, one shared value for each role.
#[derive(Debug, Default)]
pub struct Authors(HashMap<(UserId, Role), Arc<Author>>);

impl Authors {
    pub fn message(&mut self, row: MessageRow) -> Message {
        let AuthorRow { id, nickname, role } = row.author;
        let role = row.author_role.unwrap_or(role);
        let author =
            self.0.entry((id, role)).or_insert_with(|| Arc::new(Author { id, nickname, role }));
        Message {
            id: row.id,
            chat_id: row.chat_id,
            seq: row.seq,
            kind: row.kind,
            author: Arc::clone(author),
            content: row.body,
            client_id: row.client_id,
            created_at: row.created_at,
        }
    }

    pub fn messages(rows: impl IntoIterator<Item = MessageRow>) -> Vec<Message> {
        let mut authors = Self::default();
        rows.into_iter().map(|row| authors.message(row)).collect()
    }
}

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = chats)]
pub struct ChatRow {
    pub id: ChatId,
    pub kind: ChatKind,
    pub title: Option<String>,
    pub last_seq: Seq,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ChatRow {
    /// The chat with one member more than it shows, if it has so many.
    pub fn chat(self, last_message: Option<Message>, mut members: Vec<Member>) -> Chat {
        let ChatRow { id, kind, title, last_seq, created_at, updated_at } = self;
        let is_large = members.len() > Roster::MOST;
        members.truncate(Roster::MOST);
        Chat { id, kind, title, last_seq, last_message, members, is_large, created_at, updated_at }
    }
}

/// A chat with one user's access: the user's mark, and the user's id if a member.
pub type ChatAccessRow = (ChatId, ChatKind, Seq, Option<Seq>, Option<UserId>);

pub fn standing((chat_id, kind, last_seq, read_seq, member): ChatAccessRow) -> ChatAccess {
    let read_seq = read_seq.unwrap_or(Seq::ZERO);
    ChatAccess { chat_id, kind, member: member.is_some(), last_seq, read_seq }
}

/// A user's chat, with its latest activity.
#[derive(Debug, Clone, Copy, Queryable)]
pub struct OwnChatRow {
    pub user_id: UserId,
    pub chat_id: ChatId,
    pub kind: ChatKind,
    pub last_seq: Seq,
    pub read_seq: Seq,
    pub updated_at: Timestamp,
}

impl OwnChatRow {
    pub fn standing(self) -> ChatAccess {
        let Self { chat_id, kind, last_seq, read_seq, .. } = self;
        ChatAccess { chat_id, kind, member: true, last_seq, read_seq }
    }
}

/// A member, with the chat.
pub type MemberRow = (ChatId, UserId, Option<String>, Role, Option<String>);

/// The members of each chat, in the order of the rows.
pub fn members(rows: Vec<MemberRow>) -> HashMap<ChatId, Vec<Member>> {
    let mut members: HashMap<ChatId, Vec<Member>> = HashMap::new();
    for (chat, id, nickname, role, email) in rows {
        members.entry(chat).or_default().push(Member { id, nickname, role, email });
    }
    members
}
