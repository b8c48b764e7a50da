//! Queries that differ between the databases; `postgres::dialect` has the same ones. A statement
//! costs some microseconds here and no round trip, so they are run in loops.

use std::collections::BTreeSet;

use diesel::sqlite::SqliteConnection;
use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl, QueryResult, RunQueryDsl, SelectableHelper,
};

use crate::db::Range;
use crate::db::admission::{Name, StoredClaims};
use crate::db::journal::NewJournalEntry;
use crate::db::rows::{Authors, MemberRow, MessageRow, OwnChatRow, UserRow};
use crate::db::schema::{chat_members, chats, journal, messages, read_marks, users};
use crate::domain::{ChatId, ChatKind, Message, Seq, Timestamp, UserId};

/// The clock of the one machine.
#[expect(clippy::unnecessary_wraps, reason = "the signature is the other dialect's")]
pub fn now(_: &mut SqliteConnection) -> QueryResult<Timestamp> {
    Ok(Timestamp::now())
}

/// See `Store::settled`. Its one node tells of its own changes when they are committed.
pub fn settled(connection: &mut SqliteConnection) -> QueryResult<Timestamp> {
    now(connection)
}

/// Appends to the journal.
pub fn append_journal(
    connection: &mut SqliteConnection,
    notes: &[NewJournalEntry],
) -> QueryResult<()> {
    let now = Timestamp::now();
    let row = |note: &NewJournalEntry| {
        (journal::at.eq(now), journal::kind.eq(note.kind), journal::subject_id.eq(note.subject))
    };
    let rows: Vec<_> = notes.iter().map(row).collect();
    diesel::insert_into(journal::table).values(rows).execute(connection)?;
    Ok(())
}

/// The users with these keys.
pub fn find_users(
    connection: &mut SqliteConnection,
    names: &BTreeSet<Name>,
) -> QueryResult<Vec<UserRow>> {
    let mut found = Vec::with_capacity(names.len());
    for (issuer, subject) in names {
        let user = users::table
            .filter(users::issuer.eq(issuer))
            .filter(users::subject.eq(subject))
            .select(UserRow::as_select());
        found.extend(user.first(connection).optional()?);
    }
    Ok(found)
}

/// The same: a writer has the whole file locked.
pub fn lock_users(
    connection: &mut SqliteConnection,
    names: &BTreeSet<Name>,
) -> QueryResult<Vec<UserRow>> {
    find_users(connection, names)
}

/// Each user's chats, at most `limit`.
pub fn standings_of(
    connection: &mut SqliteConnection,
    users: &[UserId],
    limit: i64,
) -> QueryResult<Vec<OwnChatRow>> {
    let mut found = Vec::new();
    for user in users {
        let rows: Vec<(UserId, ChatId, ChatKind, Seq, Option<Seq>, Timestamp)> =
            chat_members::table
                .inner_join(chats::table.on(chats::id.eq(chat_members::chat_id)))
                .left_join(
                    read_marks::table.on(read_marks::chat_id
                        .eq(chat_members::chat_id)
                        .and(read_marks::user_id.eq(chat_members::user_id))),
                )
                .filter(chat_members::user_id.eq(user))
                .order((chats::kind.desc(), chats::updated_at.desc(), chats::id.desc()))
                .limit(limit)
                .select((
                    chat_members::user_id,
                    chats::id,
                    chats::kind,
                    chats::last_seq,
                    read_marks::seq.nullable(),
                    chats::updated_at,
                ))
                .load(connection)?;
        found.extend(rows.into_iter().map(
            |(user_id, chat_id, kind, last_seq, read_seq, updated_at)| {
                let read_seq = read_seq.unwrap_or(Seq::ZERO);
                OwnChatRow { user_id, chat_id, kind, last_seq, read_seq, updated_at }
            },
        ));
    }
    Ok(found)
}

/// The members of each chat by id, at most `limit` of each.
pub fn members_of(
    connection: &mut SqliteConnection,
    chats: &[ChatId],
    limit: i64,
) -> QueryResult<Vec<MemberRow>> {
    let mut found = Vec::new();
    for chat in chats {
        let rows: Vec<MemberRow> = chat_members::table
            .inner_join(users::table.on(users::id.eq(chat_members::user_id)))
            .filter(chat_members::chat_id.eq(chat))
            .order(chat_members::user_id)
            .limit(limit)
            .select((chat_members::chat_id, users::id, users::nickname, users::role, users::email))
            .load(connection)?;
        found.extend(rows);
    }
    Ok(found)
}

/// Messages of each range, at most `limit` and `bytes` of bodies of each.
pub fn ranges(
    connection: &mut SqliteConnection,
    ranges: &[Range],
    limit: i64,
    bytes: usize,
) -> QueryResult<Vec<Vec<Message>>> {
    let mut authors = Authors::default();
    let mut found = Vec::with_capacity(ranges.len());
    for range in ranges {
        let rows = messages::table
            .inner_join(users::table.on(users::id.eq(messages::author_id)))
            .filter(messages::chat_id.eq(range.chat_id))
            .filter(messages::seq.gt(range.after))
            .filter(messages::seq.le(range.up_to))
            .order(messages::seq)
            .limit(limit)
            .select(MessageRow::as_select())
            .load_iter::<MessageRow, diesel::connection::DefaultLoadingMode>(connection)?;
        let mut messages = Vec::new();
        let mut total = 0;
        for row in rows {
            let row = row?;
            total += row.body.len();
            if total > bytes && !messages.is_empty() {
                break;
            }
            messages.push(authors.message(row));
        }
        found.push(messages);
    }
    Ok(found)
}

/// Applies newer tokens.
pub fn apply_claims(
    connection: &mut SqliteConnection,
    claims: &[(UserId, StoredClaims, String)],
) -> QueryResult<()> {
    for (id, claims, searched) in claims {
        diesel::update(users::table.find(id))
            .set((
                users::role.eq(claims.role),
                users::nickname.eq(&claims.nickname),
                users::email.eq(&claims.email),
                users::claims_at.eq(claims.at),
                users::search.eq(searched),
            ))
            .execute(connection)?;
    }
    Ok(())
}

/// Sets the search text.
pub fn set_search(
    connection: &mut SqliteConnection,
    ids: &[UserId],
    texts: &[String],
) -> QueryResult<()> {
    for (id, text) in ids.iter().zip(texts) {
        diesel::update(users::table.find(id)).set(users::search.eq(text)).execute(connection)?;
    }
    Ok(())
}

/// Moves on the times at which users were last seen.
pub fn set_last_seen(
    connection: &mut SqliteConnection,
    seen: &[(UserId, Timestamp)],
) -> QueryResult<()> {
    for (user, at) in seen {
        let is_later = users::last_seen_at.is_null().or(users::last_seen_at.lt(at));
        diesel::update(users::table.find(user).filter(is_later))
            .set(users::last_seen_at.eq(at))
            .execute(connection)?;
    }
    Ok(())
}
