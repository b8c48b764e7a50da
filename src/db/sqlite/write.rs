//! The write transaction on SQLite: the same steps as on PostgreSQL, under the one write lock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use diesel::sqlite::SqliteConnection;
use diesel::upsert::excluded;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl};

use super::File;
use crate::db::StoreError;
use crate::db::outbox::NewOutboxRow;
use crate::db::plan::{self, Committed, Found, Inserted, MaybeCommitted, Plan, Snapshot};
use crate::db::schema::{chats, messages, outbox, read_marks, users};
use crate::db::write_op::Write;
use crate::db::writer::Attempt;
use crate::domain::{ChatId, Draft, MessageId, MessageKind, Receipt, Seq, Timestamp, UserId};

/// Rows in one insert: SQLite takes 32,766 values at most, and a row has eight.
const ROWS: usize = 1_000;

/// Ids in one query.
const IDS: usize = 10_000;

/// Writes the batch in one transaction on a blocking thread; with `outbox_enabled`, events too.
/// Returns the batch.
pub async fn write(file: &File, batch: Vec<Write>, outbox_enabled: bool) -> (Vec<Write>, Attempt) {
    let batch = Arc::new(batch);
    let theirs = Arc::clone(&batch);
    let done = file.write(move |connection| transact(connection, &theirs, outbox_enabled)).await;
    let attempt = match done {
        Ok(committed) => Attempt::Done(committed),
        Err(StoreError::Unavailable(why)) => Attempt::Unavailable(why),
        Err(StoreError::Internal(why) | StoreError::Setup(why)) => {
            Attempt::Refused { why, may_pass: false }
        }
    };
    (Arc::unwrap_or_clone(batch), attempt)
}

fn transact(
    connection: &mut SqliteConnection,
    batch: &[Write],
    outbox_enabled: bool,
) -> QueryResult<Committed> {
    let heads = ends(connection, &plan::changed_chats(batch))?;
    let snapshot = Snapshot {
        heads: heads.iter().map(|(chat, seq, _)| (*chat, *seq)).collect(),
        times: heads.iter().map(|(chat, _, at)| (*chat, *at)).collect(),
        found: find(connection, batch)?,
        marks: find_marks(connection, batch)?,
        now: Timestamp::now(),
    };
    // A transaction here is done or not when its call returns: no outcome is unknown.
    let plan = plan::plan(batch, snapshot, &MaybeCommitted::new());
    let inserted = insert(connection, &plan)?;
    for (chat, seq) in plan.moved() {
        diesel::update(chats::table.find(chat))
            .set((
                chats::last_seq.eq(seq),
                chats::updated_at.eq(plan.at(chat)),
                chats::active_minute.eq(plan.at(chat).minutes()),
            ))
            .execute(connection)?;
    }
    if outbox_enabled {
        tell(connection, &plan)?;
    }
    let marks = raise(connection, &plan)?;
    let last_seqs = ends(connection, &plan::asked_chats(batch))?;
    let last_seqs = last_seqs.into_iter().map(|(chat, seq, _)| (chat, seq)).collect();
    Ok(plan.committed(inserted, marks, last_seqs))
}

/// The last `seq` and the last write of the chats that exist.
fn ends(
    connection: &mut SqliteConnection,
    ids: &[ChatId],
) -> QueryResult<Vec<(ChatId, Seq, Timestamp)>> {
    let mut ends = Vec::with_capacity(ids.len());
    for ids in ids.chunks(IDS) {
        let rows: Vec<(ChatId, Seq, Timestamp)> = chats::table
            .filter(chats::id.eq_any(ids))
            .select((chats::id, chats::last_seq, chats::updated_at))
            .load(connection)?;
        ends.extend(rows);
    }
    Ok(ends)
}

/// The stored messages with the drafts' keys.
fn find<'a>(
    connection: &mut SqliteConnection,
    batch: &'a [Write],
) -> QueryResult<HashMap<plan::Key<'a>, Found>> {
    let mut found = HashMap::new();
    for draft in plan::drafts(batch) {
        let row: Option<(MessageId, Seq, Timestamp, MessageKind, String)> = messages::table
            .filter(messages::chat_id.eq(draft.chat_id))
            .filter(messages::author_id.eq(draft.author))
            .filter(messages::client_id.eq(draft.client_id.as_str()))
            .select((
                messages::id,
                messages::seq,
                messages::created_at,
                messages::kind,
                messages::body,
            ))
            .first(connection)
            .optional()?;
        if let Some((id, seq, created_at, kind, content)) = row {
            let receipt = Receipt { id, seq, created_at };
            // Only a message that may be ours needs the nickname, and no outcome is unknown here.
            let nickname = None;
            found.insert(plan::key(draft), Found { receipt, kind, content, nickname });
        }
    }
    Ok(found)
}

/// The stored read marks that the batch's marks are about.
fn find_marks(
    connection: &mut SqliteConnection,
    batch: &[Write],
) -> QueryResult<HashMap<(ChatId, UserId), Seq>> {
    let mut found = HashMap::new();
    for key in plan::marks(batch) {
        let seq: Option<Seq> =
            read_marks::table.find(key).select(read_marks::seq).first(connection).optional()?;
        found.extend(seq.map(|seq| (key, seq)));
    }
    Ok(found)
}

fn insert(
    connection: &mut SqliteConnection,
    plan: &Plan<'_>,
) -> QueryResult<HashMap<(ChatId, Seq), Inserted>> {
    let nicknames = nicknames(connection, plan)?;
    let mut found = HashMap::with_capacity(plan.rows.len());
    for rows in plan.rows.chunks(ROWS) {
        let rows: Vec<_> = rows
            .iter()
            .map(|&(draft, seq)| {
                (
                    messages::chat_id.eq(draft.chat_id),
                    messages::seq.eq(seq),
                    messages::author_id.eq(draft.author),
                    messages::author_role.eq(draft.role),
                    messages::kind.eq(draft.kind.as_str()),
                    messages::body.eq(draft.content.as_str()),
                    messages::client_id.eq(draft.client_id.as_str()),
                    messages::created_at.eq(plan.at(draft.chat_id)),
                )
            })
            .collect();
        let inserted: Vec<(ChatId, Seq, MessageId, UserId)> = diesel::insert_into(messages::table)
            .values(rows)
            .returning((messages::chat_id, messages::seq, messages::id, messages::author_id))
            .get_results(connection)?;
        found.extend(inserted.into_iter().map(|(chat, seq, id, author)| {
            ((chat, seq), (id, nicknames.get(&author).cloned().flatten()))
        }));
    }
    Ok(found)
}

/// Nicknames of the new messages' authors, each looked up once.
fn nicknames(
    connection: &mut SqliteConnection,
    plan: &Plan<'_>,
) -> QueryResult<HashMap<UserId, Option<String>>> {
    let authors: BTreeSet<UserId> = plan.rows.iter().map(|(draft, _)| draft.author).collect();
    let mut nicknames = HashMap::with_capacity(authors.len());
    for author in authors {
        let nickname: Option<Option<String>> =
            users::table.find(author).select(users::nickname).first(connection).optional()?;
        nicknames.insert(author, nickname.flatten());
    }
    Ok(nicknames)
}

/// Writes the events.
fn tell(connection: &mut SqliteConnection, plan: &Plan<'_>) -> QueryResult<()> {
    let message = |&(draft, seq): &(&Draft, Seq)| {
        NewOutboxRow::message(draft.chat_id, seq, plan.at(draft.chat_id))
    };
    let mut news: Vec<NewOutboxRow> = plan.rows.iter().map(message).collect();
    let read = |(&(chat, user), &seq): (&(ChatId, UserId), &Seq)| {
        NewOutboxRow::read(chat, user, seq, plan.now)
    };
    news.extend(plan.reads.iter().map(read));
    for news in news.chunks(ROWS) {
        diesel::insert_into(outbox::table).values(news).execute(connection)?;
    }
    Ok(())
}

/// Raises read marks, and returns them.
fn raise(
    connection: &mut SqliteConnection,
    plan: &Plan<'_>,
) -> QueryResult<HashMap<(ChatId, UserId), Seq>> {
    // An upsert's `filter` is not a query's; importing both traits would make every call ambiguous.
    use diesel::query_dsl::methods::FilterDsl as _;

    let mut marks = HashMap::with_capacity(plan.marks.len());
    for (&(chat, user), &seq) in &plan.marks {
        diesel::insert_into(read_marks::table)
            .values((
                read_marks::chat_id.eq(chat),
                read_marks::user_id.eq(user),
                read_marks::seq.eq(seq),
            ))
            .on_conflict((read_marks::chat_id, read_marks::user_id))
            .do_update()
            .set(read_marks::seq.eq(excluded(read_marks::seq)))
            .filter(read_marks::seq.lt(excluded(read_marks::seq)))
            .execute(connection)?;
        let stands: Seq =
            read_marks::table.find((chat, user)).select(read_marks::seq).first(connection)?;
        marks.insert((chat, user), stands);
    }
    Ok(marks)
}
