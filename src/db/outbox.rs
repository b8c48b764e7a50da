//! Transactional outbox: events are written in the transaction of their cause, and each sink reads
//! and deletes its own.
//!
//! An event starts as one row of `outbox`, due to every sink. The first sink that has published it
//! deletes that row, and leaves a row in `outbox_deliveries` for each other sink: a sink that is
//! away keeps its own rows, and the others skip them. With one sink there is only `outbox`.
//!
//! No sink reads by "ids after the last one": ids are not in the order of commits, and a row that is
//! committed late would be skipped. A row is due until it is deleted.

use std::collections::HashMap;

use diesel::prelude::{Insertable, Queryable};
use diesel::sql_types::{BigInt, Text};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl, SelectableHelper,
};

use super::backend::{read, transact};
use super::rows::{Authors, MessageRow, UserRow};
use super::schema::{messages, outbox, outbox_deliveries, users};
use super::{Store, StoreError};
use crate::domain::{
    Chat, ChatId, OutboxEvent, OutboxEventKind as Kind, Seq, Timestamp, User, UserId,
};

/// Events of one read.
const MAX_EVENTS: i64 = 10_000;

/// Ids of one query: SQLite takes 32,766 values at most.
const IDS: usize = 10_000;

/// An event that is due to a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The row, for [`Store::published`].
    pub id: i64,
    /// The id by which receivers recognise a repeat.
    pub event_id: String,
    pub at: Timestamp,
    pub event: OutboxEvent,
}

/// The backlog of the sinks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxState {
    /// Rows that are due; counted up to 1,000,000 for each sink and for all of them.
    pub waiting: i64,
    /// Time of the oldest of them.
    pub oldest: Option<Timestamp>,
}

/// A row to be inserted: the event's kind, and its subject.
#[derive(Debug, Insertable)]
#[diesel(table_name = outbox, treat_none_as_default_value = false)]
pub struct NewOutboxRow {
    at: Timestamp,
    kind: &'static str,
    chat_id: Option<ChatId>,
    user_id: Option<UserId>,
    seq: Option<Seq>,
}

impl NewOutboxRow {
    pub fn user(user: UserId, at: Timestamp) -> Self {
        Self::new(Kind::UserCreated, at, None, Some(user), None)
    }

    pub fn chat(chat: ChatId, at: Timestamp) -> Self {
        Self::new(Kind::ChatCreated, at, Some(chat), None, None)
    }

    pub fn message(chat: ChatId, seq: Seq, at: Timestamp) -> Self {
        Self::new(Kind::MessageCreated, at, Some(chat), None, Some(seq))
    }

    pub fn read(chat: ChatId, reader: UserId, seq: Seq, at: Timestamp) -> Self {
        Self::new(Kind::MessageRead, at, Some(chat), Some(reader), Some(seq))
    }

    fn new(
        kind: Kind,
        at: Timestamp,
        chat_id: Option<ChatId>,
        user_id: Option<UserId>,
        seq: Option<Seq>,
    ) -> Self {
        Self { at, kind: kind.as_str(), chat_id, user_id, seq }
    }
}

/// A row that is due.
#[derive(Debug, Queryable)]
struct DueRow {
    id: i64,
    event_id: String,
    at: Timestamp,
    kind: String,
    chat_id: Option<ChatId>,
    user_id: Option<UserId>,
    seq: Option<Seq>,
}

/// The due rows of a table, with their messages, if any. Rows of kinds that this version does not
/// know are left alone.
macro_rules! due {
    ($table:ident, $limit:expr) => {
        $table::table
            .left_join(
                messages::table.on($table::kind
                    .eq(Kind::MessageCreated.as_str())
                    .and(messages::chat_id.nullable().eq($table::chat_id))
                    .and(messages::seq.nullable().eq($table::seq))),
            )
            .left_join(users::table.on(messages::author_id.nullable().eq(users::id.nullable())))
            .filter($table::kind.eq_any(Kind::ALL.iter().map(|kind| kind.as_str())))
            .order($table::id)
            .limit($limit)
            .select((
                (
                    $table::id,
                    $table::event_id,
                    $table::at,
                    $table::kind,
                    $table::chat_id,
                    $table::user_id,
                    $table::seq,
                ),
                Option::<MessageRow>::as_select(),
            ))
    };
}

/// The subjects of the events of one read, except messages, which come with their rows.
struct Subjects {
    users: HashMap<UserId, User>,
    chats: HashMap<ChatId, Chat>,
    authors: Authors,
}

impl Subjects {
    /// The event, unless its subject is missing.
    fn event(&mut self, row: &DueRow, message: Option<MessageRow>) -> Option<OutboxEvent> {
        Some(match Kind::parse(&row.kind)? {
            Kind::UserCreated => OutboxEvent::UserCreated(self.users.get(&row.user_id?)?.clone()),
            Kind::ChatCreated => OutboxEvent::ChatCreated(self.chats.get(&row.chat_id?)?.clone()),
            Kind::MessageCreated => OutboxEvent::MessageCreated(self.authors.message(message?)),
            Kind::MessageRead => OutboxEvent::MessageRead {
                chat_id: row.chat_id?,
                user_id: row.user_id?,
                seq: row.seq?,
            },
        })
    }
}

impl Store {
    /// The oldest events that are due to a sink, at most `limit` and 10,000; those of one key in
    /// the order in which they happened. Users and chats are described by their present state.
    ///
    /// Delete published events with [`Store::published`], by id: a lower id may be committed later
    /// than a higher one, though never of the same key. An event whose subject is missing, which
    /// cannot happen, is logged and deleted, so that it blocks no others.
    pub async fn outbox(&self, sink: &str, limit: i64) -> Result<Vec<OutboxEntry>, StoreError> {
        let limit = limit.clamp(0, MAX_EVENTS);
        let name = sink.to_owned();
        let mut rows: Vec<(DueRow, Option<MessageRow>)> = read!(self, |connection| {
            // In this order: another sink may move rows meanwhile, which are then found twice, and
            // never missed.
            let to_all = due!(outbox, limit);
            let mut rows: Vec<(DueRow, Option<MessageRow>)> = run!(to_all.load(connection))?;
            // The range excludes nothing. It makes PostgreSQL walk the index in order, even with a
            // plan that was made for an empty table, instead of sorting a whole backlog.
            let to_this = due!(outbox_deliveries, limit)
                .filter(outbox_deliveries::sink.eq(&name))
                .filter(outbox_deliveries::id.gt(i64::MIN));
            let late: Vec<(DueRow, Option<MessageRow>)> = run!(to_this.load(connection))?;
            rows.extend(late);
            Ok(rows)
        })?;
        rows.sort_by_key(|(row, _)| row.id);
        rows.dedup_by_key(|(row, _)| row.id);
        rows.truncate(usize::try_from(limit).unwrap_or_default());
        let of_kind = |kind: Kind| {
            rows.iter().map(|(row, _)| row).filter(move |row| row.kind == kind.as_str())
        };
        let users = of_kind(Kind::UserCreated).filter_map(|row| row.user_id).collect();
        let chats = of_kind(Kind::ChatCreated).filter_map(|row| row.chat_id).collect();
        let mut subjects = Subjects {
            users: self.users_by_id(users).await?,
            chats: self.chats_by_id(chats).await?.into_iter().map(|chat| (chat.id, chat)).collect(),
            authors: Authors::default(),
        };
        let mut entries = Vec::with_capacity(rows.len());
        let mut orphans = Vec::new();
        for (row, message) in rows {
            match subjects.event(&row, message) {
                Some(event) => {
                    let DueRow { id, event_id, at, .. } = row;
                    entries.push(OutboxEntry { id, event_id, at, event });
                }
                None => {
                    log::error!("an event whose subject is missing is deleted: {row:?}");
                    orphans.push(row.id);
                }
            }
        }
        self.published(sink, orphans).await?;
        Ok(entries)
    }

    /// Deletes what a sink has published; rows of other sinks stay.
    pub async fn published(&self, sink: &str, mut ids: Vec<i64>) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        ids.sort_unstable();
        let mut others = self.outbox.sinks();
        others.retain(|other| other != sink);
        let sink = sink.to_owned();
        transact!(self, |connection| {
            for ids in ids.chunks(IDS) {
                if !others.is_empty() {
                    // Locked, so that of two sinks one moves a row, and the other finds it moved.
                    let moved = outbox::table
                        .filter(outbox::id.eq_any(ids))
                        .order(outbox::id)
                        .select(outbox::id);
                    let moved: Vec<i64> = run!(locked!(moved).load(connection))?;
                    for other in &others {
                        let rows = outbox::table.filter(outbox::id.eq_any(&moved)).select((
                            other.as_str().into_sql::<Text>(),
                            outbox::id,
                            outbox::event_id,
                            outbox::at,
                            outbox::kind,
                            outbox::chat_id,
                            outbox::user_id,
                            outbox::seq,
                        ));
                        let insert = diesel::insert_into(outbox_deliveries::table)
                            .values(rows)
                            .into_columns((
                                outbox_deliveries::sink,
                                outbox_deliveries::id,
                                outbox_deliveries::event_id,
                                outbox_deliveries::at,
                                outbox_deliveries::kind,
                                outbox_deliveries::chat_id,
                                outbox_deliveries::user_id,
                                outbox_deliveries::seq,
                            ));
                        run!(insert.execute(connection))?;
                    }
                }
                let to_all = outbox::table.filter(outbox::id.eq_any(ids));
                run!(diesel::delete(to_all).execute(connection))?;
                let to_this = outbox_deliveries::table
                    .filter(outbox_deliveries::sink.eq(&sink))
                    .filter(outbox_deliveries::id.eq_any(ids))
                    // As in `outbox`: so that no plan reads the whole backlog.
                    .filter(outbox_deliveries::id.ge(ids.first().copied().unwrap_or_default()))
                    .filter(outbox_deliveries::id.le(ids.last().copied().unwrap_or_default()));
                run!(diesel::delete(to_this).execute(connection))?;
            }
            Ok(())
        })
    }

    /// Deletes the rows of sinks that are no longer configured.
    pub async fn forget_removed_sinks(&self) -> Result<(), StoreError> {
        let sinks = self.outbox.sinks();
        transact!(self, |connection| {
            let removed = outbox_deliveries::table.filter(outbox_deliveries::sink.ne_all(&sinks));
            run!(diesel::delete(removed).execute(connection))?;
            Ok(())
        })
    }

    /// Number of due events, over all sinks and for each.
    pub async fn outbox_state(&self) -> Result<OutboxState, StoreError> {
        let sinks = self.outbox.sinks();
        let (waiting, oldest) = read!(self, |connection| {
            // Counting a large backlog would be slow: the count has a limit.
            let counted = "(SELECT count(*) FROM (SELECT id FROM outbox LIMIT 1000000) AS due)";
            let counted = diesel::select(diesel::dsl::sql::<BigInt>(counted));
            let mut waiting: i64 = run!(counted.get_result(connection))?;
            let first = outbox::table.order(outbox::id).select(outbox::at);
            let mut oldest: Option<Timestamp> = run!(first.first(connection)).optional()?;
            for sink in &sinks {
                let counted = diesel::dsl::sql::<BigInt>(
                    "(SELECT count(*) FROM (SELECT id FROM outbox_deliveries WHERE sink = ",
                );
                let counted = counted.bind::<Text, _>(sink).sql(" LIMIT 1000000) AS due)");
                let late: i64 = run!(diesel::select(counted).get_result(connection))?;
                let first = outbox_deliveries::table
                    .filter(outbox_deliveries::sink.eq(sink))
                    .order(outbox_deliveries::id)
                    .select(outbox_deliveries::at);
                let first: Option<Timestamp> = run!(first.first(connection)).optional()?;
                waiting += late;
                oldest = [oldest, first].into_iter().flatten().min();
            }
            Ok((waiting, oldest))
        })?;
        Ok(OutboxState { waiting, oldest })
    }

    /// Waits until this node has written events since this sink last waited: read, and then wait,
    /// and nothing is missed. It may return without new events. Events of other nodes, and of a
    /// commit whose answer was lost, wake nobody: poll as well.
    pub async fn outbox_written(&self, sink: &str) {
        match self.outbox.0.iter().find(|(name, _)| name == sink) {
            Some((_, written)) => written.notified().await,
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
