//! Straight into SQLite, and out of it.

use anyhow::{Context, Result};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::upsert::excluded;

use super::{Chat, next_rows};
use crate::database::BODY;

diesel::table! {
    chats (id) {
        id -> BigInt, kind -> Text, customer_id -> Nullable<BigInt>, last_seq -> BigInt,
        updated_at -> BigInt,
    }
}
diesel::table! {
    messages (id) {
        id -> BigInt, chat_id -> BigInt, seq -> BigInt, author_id -> BigInt, kind -> Text,
        body -> Text, client_id -> Text, created_at -> BigInt,
    }
}
diesel::table! {
    read_marks (chat_id, user_id) { chat_id -> BigInt, user_id -> BigInt, seq -> BigInt }
}
diesel::table! {
    users (id) { id -> BigInt, nickname -> Nullable<Text>, role -> Text }
}
diesel::allow_tables_to_appear_in_same_query!(messages, users);

/// Any moment: what it is costs nothing.
const NOW: i64 = 1_767_225_600_000_000;

fn open(url: &str) -> Result<SqliteConnection> {
    let mut connection = SqliteConnection::establish(url.trim_start_matches("sqlite://"))?;
    connection.batch_execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
    Ok(connection)
}

/// Writes so many rows, in transactions of `batch`.
pub fn insert(url: &str, rows: usize, batch: usize) -> Result<()> {
    let connection = &mut open(url)?;
    let mut chats: Vec<Chat> = chats::table
        .filter(chats::kind.eq("support"))
        .order(chats::id)
        .select((chats::id, chats::customer_id.assume_not_null(), chats::last_seq))
        .load::<(i64, i64, i64)>(connection)?
        .into_iter()
        .map(|(id, customer, last_seq)| Chat { id, customer, last_seq })
        .collect();
    let (mut written, mut turn) = (0, 0);
    while written < rows {
        let rows = next_rows(&mut chats, &mut turn, batch.min(rows - written));
        written += rows.len();
        let messages: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    messages::chat_id.eq(row.chat),
                    messages::seq.eq(row.seq),
                    messages::author_id.eq(row.author),
                    messages::body.eq(BODY),
                    messages::client_id.eq(&row.client_id),
                    messages::created_at.eq(NOW),
                )
            })
            .collect();
        let marks: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    read_marks::chat_id.eq(row.chat),
                    read_marks::user_id.eq(row.author),
                    read_marks::seq.eq(row.seq),
                )
            })
            .collect();
        connection.immediate_transaction(|connection| {
            diesel::insert_into(messages::table).values(&messages).execute(connection)?;
            for row in &rows {
                diesel::update(chats::table.find(row.chat))
                    .set((chats::last_seq.eq(row.seq), chats::updated_at.eq(NOW)))
                    .execute(connection)?;
            }
            diesel::insert_into(read_marks::table)
                .values(&marks)
                .on_conflict((read_marks::chat_id, read_marks::user_id))
                .do_update()
                .set(read_marks::seq.eq(excluded(read_marks::seq)))
                .execute(connection)
        })?;
    }
    Ok(())
}

/// Reads so many pages of the longest chat, from its end, and from there again.
pub fn pages(url: &str, count: usize, size: usize) -> Result<()> {
    type Page = Vec<(i64, i64, String, String, String, i64, i64, Option<String>, String)>;
    let connection = &mut open(url)?;
    let (chat, last_seq): (i64, i64) = chats::table
        .order(chats::last_seq.desc())
        .select((chats::id, chats::last_seq))
        .first(connection)?;
    let mut before = last_seq + 1;
    for _ in 0..count {
        let page: Page = messages::table
            .inner_join(users::table.on(users::id.eq(messages::author_id)))
            .filter(messages::chat_id.eq(chat).and(messages::seq.lt(before)))
            .order(messages::seq.desc())
            .limit(size as i64)
            .select((
                messages::id,
                messages::seq,
                messages::kind,
                messages::body,
                messages::client_id,
                messages::created_at,
                users::id,
                users::nickname,
                users::role,
            ))
            .load(connection)?;
        before = page.last().context("an empty page")?.1;
        if before == 1 {
            before = last_seq + 1;
        }
    }
    Ok(())
}
