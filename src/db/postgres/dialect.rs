//! Queries that differ between the databases; `sqlite::dialect` has the same ones.

use std::collections::BTreeSet;

use diesel::dsl::sql;
use diesel::{ExpressionMethods, QueryResult};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::statements::{
    ApplyClaims, ChatAccessOf, FindUsers, LockUsers, MembersOf, Ranges, SetLastSeen, SetSearch,
};
use crate::db::Range;
use crate::db::admission::{Name, StoredClaims};
use crate::db::journal::NewJournalEntry;
use crate::db::rows::{Authors, MemberRow, MessageRow, OwnChatRow, UserRow};
use crate::db::schema::journal;
use crate::db::types::UtcTimestamp;
use crate::domain::{ChatId, Message, Timestamp, UserId};

/// The database's clock: one for all nodes.
pub async fn now(connection: &mut AsyncPgConnection) -> QueryResult<Timestamp> {
    diesel::select(sql::<UtcTimestamp>("clock_timestamp()")).get_result(connection).await
}

/// See `Store::settled`. Transactions of another role are shown to some roles alone.
pub async fn settled(connection: &mut AsyncPgConnection) -> QueryResult<Timestamp> {
    // The statement's time, not the clock's: it is before the look at the transactions. A transaction
    // has its id before it takes the time of a message, since it locks the chat first.
    let settled = sql::<UtcTimestamp>(
        "least(statement_timestamp(), (SELECT min(xact_start) FROM pg_stat_activity \
         WHERE datname = current_database() AND backend_xid IS NOT NULL))",
    );
    diesel::select(settled).get_result(connection).await
}

/// Appends to the journal, at the database's time.
pub async fn append_journal(
    connection: &mut AsyncPgConnection,
    notes: &[NewJournalEntry],
) -> QueryResult<()> {
    let rows: Vec<_> = notes
        .iter()
        .map(|note| (journal::kind.eq(note.kind), journal::subject_id.eq(note.subject)))
        .collect();
    diesel::insert_into(journal::table).values(rows).execute(connection).await?;
    Ok(())
}

/// The users with these keys, none of them twice.
pub async fn find_users(
    connection: &mut AsyncPgConnection,
    names: &BTreeSet<Name>,
) -> QueryResult<Vec<UserRow>> {
    let (issuers, subjects) = columns(names);
    FindUsers { issuers: &issuers, subjects: &subjects }.load(connection).await
}

/// The same, locked in key order.
pub async fn lock_users(
    connection: &mut AsyncPgConnection,
    names: &BTreeSet<Name>,
) -> QueryResult<Vec<UserRow>> {
    let (issuers, subjects) = columns(names);
    LockUsers { issuers: &issuers, subjects: &subjects }.load(connection).await
}

fn columns(names: &BTreeSet<Name>) -> (Vec<&str>, Vec<&str>) {
    names.iter().map(|name| (name.0.as_str(), name.1.as_str())).unzip()
}

/// Each user's chats, at most `limit`.
pub async fn standings_of(
    connection: &mut AsyncPgConnection,
    users: &[UserId],
    limit: i64,
) -> QueryResult<Vec<OwnChatRow>> {
    ChatAccessOf { users, limit }.load(connection).await
}

/// The members of each chat by id, at most `limit` of each.
pub async fn members_of(
    connection: &mut AsyncPgConnection,
    chats: &[ChatId],
    limit: i64,
) -> QueryResult<Vec<MemberRow>> {
    MembersOf { chats, limit }.load(connection).await
}

/// Messages of each range, at most `limit` and `bytes` of bodies of each.
pub async fn ranges(
    connection: &mut AsyncPgConnection,
    ranges: &[Range],
    limit: i64,
    bytes: usize,
) -> QueryResult<Vec<Vec<Message>>> {
    let chats: Vec<_> = ranges.iter().map(|range| range.chat_id).collect();
    let afters: Vec<_> = ranges.iter().map(|range| range.after).collect();
    let up_tos: Vec<_> = ranges.iter().map(|range| range.up_to).collect();
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let query = Ranges { chats: &chats, afters: &afters, up_tos: &up_tos, limit, bytes };
    let rows: Vec<(i64, MessageRow)> = query.load(connection).await?;
    let mut authors = Authors::default();
    let mut found = vec![Vec::new(); ranges.len()];
    for (n, row) in rows {
        // The database counts from 1.
        if let Some(messages) = usize::try_from(n - 1).ok().and_then(|n| found.get_mut(n)) {
            messages.push(authors.message(row));
        }
    }
    Ok(found)
}

/// Applies newer tokens to locked users.
pub async fn apply_claims(
    connection: &mut AsyncPgConnection,
    claims: &[(UserId, StoredClaims, String)],
) -> QueryResult<()> {
    let ids: Vec<_> = claims.iter().map(|(id, ..)| *id).collect();
    let roles: Vec<_> = claims.iter().map(|(_, claims, _)| claims.role).collect();
    let nicknames: Vec<_> =
        claims.iter().map(|(_, claims, _)| claims.nickname.as_deref()).collect();
    let emails: Vec<_> = claims.iter().map(|(_, claims, _)| claims.email.as_deref()).collect();
    let claims_at: Vec<_> = claims.iter().map(|(_, claims, _)| claims.at).collect();
    let searched: Vec<_> = claims.iter().map(|(.., searched)| searched.as_str()).collect();
    ApplyClaims {
        ids: &ids,
        roles: &roles,
        nicknames: &nicknames,
        emails: &emails,
        claims_at: &claims_at,
        searched: &searched,
    }
    .execute(connection)
    .await?;
    Ok(())
}

/// Sets the search text of locked users.
pub async fn set_search(
    connection: &mut AsyncPgConnection,
    ids: &[UserId],
    texts: &[String],
) -> QueryResult<()> {
    SetSearch { ids, texts }.execute(connection).await?;
    Ok(())
}

/// Moves on the times at which users were last seen.
pub async fn set_last_seen(
    connection: &mut AsyncPgConnection,
    seen: &[(UserId, Timestamp)],
) -> QueryResult<()> {
    let (ids, times): (Vec<_>, Vec<_>) = seen.iter().copied().unzip();
    SetLastSeen { ids: &ids, times: &times }.execute(connection).await?;
    Ok(())
}
