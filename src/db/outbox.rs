//! News on their way to other services: written with what they tell of, gone once they were told.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::{Insertable, Queryable, Selectable};
use diesel::sql_types::BigInt;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl, SelectableHelper,
};
use tokio::sync::Notify;

use super::backend::{read, transact};
use super::rows::{Authors, MessageRow, UserRow};
use super::schema::{messages, outbox, users};
use super::{Store, StoreError};
use crate::domain::{Chat, ChatId, News, Seq, Timestamp, User, UserId};

/// The most news that one look brings.
const MOST: i64 = 10_000;

/// How many ids go into one query: SQLite takes 32,766 values at most.
const IDS: usize = 10_000;

const USER_CREATED: &str = "user.created";
const CHAT_CREATED: &str = "chat.created";
const MESSAGE_CREATED: &str = "message.created";
const MESSAGE_READ: &str = "message.read";

/// What this version can tell. Of another version's news it keeps its hands.
const KINDS: [&str; 4] = [USER_CREATED, CHAT_CREATED, MESSAGE_CREATED, MESSAGE_READ];

/// Something that is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The row, for [`Store::clear_outbox`].
    pub id: i64,
    /// By what a repeat is known, for ever.
    pub event_id: String,
    pub at: Timestamp,
    pub news: News,
}

/// How far behind other services are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxState {
    /// News that wait; 1,000,000 stands for that many or more.
    pub waiting: i64,
    /// When the longest waiting of them happened.
    pub oldest: Option<Timestamp>,
}

/// Whether news are written down, and whom to wake then. Shared by a store, its clones and writers.
#[derive(Clone)]
pub struct Outbox(Option<Arc<Notify>>);

impl Outbox {
    pub fn new(is_on: bool) -> Self {
        Self(is_on.then(Arc::default))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// To be called after a commit with news. Kept for who is looking just now and waits next.
    pub fn wake(&self) {
        if let Some(written) = &self.0 {
            written.notify_one();
        }
    }
}

/// News as they are written down: what, and where to find it.
#[derive(Debug, Insertable)]
#[diesel(table_name = outbox, treat_none_as_default_value = false)]
pub struct NewsRow {
    at: Timestamp,
    kind: &'static str,
    chat_id: Option<ChatId>,
    user_id: Option<UserId>,
    seq: Option<Seq>,
}

impl NewsRow {
    pub fn user(user: UserId, at: Timestamp) -> Self {
        Self { at, kind: USER_CREATED, chat_id: None, user_id: Some(user), seq: None }
    }

    pub fn chat(chat: ChatId, at: Timestamp) -> Self {
        Self { at, kind: CHAT_CREATED, chat_id: Some(chat), user_id: None, seq: None }
    }

    pub fn message(chat: ChatId, seq: Seq, at: Timestamp) -> Self {
        Self { at, kind: MESSAGE_CREATED, chat_id: Some(chat), user_id: None, seq: Some(seq) }
    }

    pub fn read(chat: ChatId, reader: UserId, seq: Seq, at: Timestamp) -> Self {
        Self { at, kind: MESSAGE_READ, chat_id: Some(chat), user_id: Some(reader), seq: Some(seq) }
    }
}

/// The same, as they wait.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = outbox)]
struct WaitingRow {
    id: i64,
    event_id: String,
    at: Timestamp,
    kind: String,
    chat_id: Option<ChatId>,
    user_id: Option<UserId>,
    seq: Option<Seq>,
}

/// What the news of one look are of, but for messages, which come with their rows.
struct Subjects {
    users: HashMap<UserId, User>,
    chats: HashMap<ChatId, Chat>,
    authors: Authors,
}

impl Subjects {
    /// The news, unless what they are of is not there.
    fn news(&mut self, row: &WaitingRow, message: Option<MessageRow>) -> Option<News> {
        Some(match row.kind.as_str() {
            USER_CREATED => News::UserCreated(self.users.get(&row.user_id?)?.clone()),
            CHAT_CREATED => News::ChatCreated(self.chats.get(&row.chat_id?)?.clone()),
            MESSAGE_CREATED => News::MessageCreated(self.authors.message(message?)),
            _ => News::MessageRead { chat_id: row.chat_id?, user_id: row.user_id?, seq: row.seq? },
        })
    }
}

impl Store {
    /// The news that wait longest, at most `limit` and 10,000; those of one lane in the order in
    /// which they happened. A user and a chat are told of as they are now.
    ///
    /// What was told must be cleared, and not passed over: news of a lower id may come later than
    /// those of a higher one, though never in the same lane. News of something that is not there,
    /// which cannot be, are logged and cleared, so that they hold up no others.
    pub async fn outbox(&self, limit: i64) -> Result<Vec<OutboxEntry>, StoreError> {
        let rows: Vec<(WaitingRow, Option<MessageRow>)> = read!(self, |connection| {
            let waiting = outbox::table
                .left_join(
                    messages::table.on(outbox::kind
                        .eq(MESSAGE_CREATED)
                        .and(messages::chat_id.nullable().eq(outbox::chat_id))
                        .and(messages::seq.nullable().eq(outbox::seq))),
                )
                .left_join(users::table.on(messages::author_id.nullable().eq(users::id.nullable())))
                .filter(outbox::kind.eq_any(KINDS))
                .order(outbox::id)
                .limit(limit.clamp(0, MOST))
                .select((WaitingRow::as_select(), Option::<MessageRow>::as_select()));
            run!(waiting.load(connection))
        })?;
        let of_kind = |kind| rows.iter().map(|(row, _)| row).filter(move |row| row.kind == kind);
        let users = of_kind(USER_CREATED).filter_map(|row| row.user_id).collect();
        let chats = of_kind(CHAT_CREATED).filter_map(|row| row.chat_id).collect();
        let mut subjects = Subjects {
            users: self.users_by_id(users).await?,
            chats: self.chats_by_id(chats).await?.into_iter().map(|chat| (chat.id, chat)).collect(),
            authors: Authors::default(),
        };
        let mut entries = Vec::with_capacity(rows.len());
        let mut lost = Vec::new();
        for (row, message) in rows {
            match subjects.news(&row, message) {
                Some(news) => {
                    let WaitingRow { id, event_id, at, .. } = row;
                    entries.push(OutboxEntry { id, event_id, at, news });
                }
                None => {
                    log::error!("news of something that is not there are given up: {row:?}");
                    lost.push(row.id);
                }
            }
        }
        if !lost.is_empty() {
            self.clear_outbox(lost).await?;
        }
        Ok(entries)
    }

    /// Forgets what was told.
    pub async fn clear_outbox(&self, ids: Vec<i64>) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        transact!(self, |connection| {
            for ids in ids.chunks(IDS) {
                let told = outbox::table.filter(outbox::id.eq_any(ids));
                run!(diesel::delete(told).execute(connection))?;
            }
            Ok(())
        })
    }

    /// How much waits.
    pub async fn outbox_state(&self) -> Result<OutboxState, StoreError> {
        let (waiting, oldest) = read!(self, |connection| {
            // A backlog must not make looking at it slow: it is counted as far as it matters.
            let counted = "(SELECT count(*) FROM (SELECT id FROM outbox LIMIT 1000000) AS waiting)";
            let counted = diesel::select(diesel::dsl::sql::<BigInt>(counted));
            let waiting: i64 = run!(counted.get_result(connection))?;
            let oldest = outbox::table.order(outbox::id).select(outbox::at);
            let oldest: Option<Timestamp> = run!(oldest.first(connection)).optional()?;
            Ok((waiting, oldest))
        })?;
        Ok(OutboxState { waiting, oldest })
    }

    /// Waits until this node has written news, or has since this was last waited for: so a look
    /// that finds nothing is followed by this, and misses nothing that is written in between. One
    /// waits at a time. It may end where nothing was written. What other nodes write, and a commit
    /// whose answer was lost, wakes nobody: look from time to time as well.
    pub async fn outbox_written(&self) {
        match &self.outbox.0 {
            Some(written) => written.notified().await,
            None => std::future::pending().await,
        }
    }

    async fn users_by_id(&self, ids: Vec<UserId>) -> Result<HashMap<UserId, User>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<UserRow> = read!(self, |connection| {
            let users = users::table.filter(users::id.eq_any(&ids)).select(UserRow::as_select());
            run!(users.load(connection))
        })?;
        Ok(rows.into_iter().map(|row| (row.id, User::from(row))).collect())
    }
}
