//! Straight into PostgreSQL, and out of it.

use anyhow::{Context, Result};
use futures_util::future::{try_join_all, try_join5};

use super::{Chat, next_rows};
use crate::database::{BODY, connect};

/// Connections that write, as many as a server has by default; each has its own half of the chats.
const WRITERS: usize = 2;

const INSERT: &str = "
    INSERT INTO messages (chat_id, seq, author_id, body, client_id, created_at)
    SELECT chat_id, seq, author_id, $5, client_id, now()
    FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[])
        AS rows(chat_id, seq, author_id, client_id)";

const NUMBER: &str = "
    UPDATE chats SET last_seq = rows.seq, updated_at = now()
    FROM unnest($1::BIGINT[], $2::BIGINT[]) AS rows(chat_id, seq) WHERE chats.id = rows.chat_id";

const READ: &str = "
    INSERT INTO read_marks (chat_id, user_id, seq)
    SELECT chat_id, user_id, seq
    FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS rows(chat_id, user_id, seq)
    ON CONFLICT (chat_id, user_id) DO UPDATE SET seq = excluded.seq";

const PAGE: &str = "
    SELECT m.id, m.seq, m.kind, m.body, m.client_id, m.created_at, u.id, u.nickname, u.role
    FROM messages m JOIN users u ON u.id = m.author_id
    WHERE m.chat_id = $1 AND m.seq < $2 ORDER BY m.seq DESC LIMIT $3";

/// Writes so many rows, in transactions of `batch`, each in one round trip.
pub async fn insert(url: &str, rows: usize, batch: usize) -> Result<()> {
    let query = "SELECT id, customer_id, last_seq FROM chats WHERE kind = 'support' ORDER BY id";
    let chats = connect(url).await?.query(query, &[]).await?;
    let mut shares: Vec<Vec<Chat>> = (0..WRITERS).map(|_| Vec::new()).collect();
    for (index, row) in chats.iter().enumerate() {
        shares[index % WRITERS].push(Chat {
            id: row.get(0),
            customer: row.get(1),
            last_seq: row.get(2),
        });
    }
    try_join_all(shares.into_iter().map(|chats| write(url, chats, rows / WRITERS, batch))).await?;
    Ok(())
}

async fn write(url: &str, mut chats: Vec<Chat>, rows: usize, batch: usize) -> Result<()> {
    let client = connect(url).await?;
    client.batch_execute("SET enable_seqscan = off").await?;
    let (insert, number, read) =
        (client.prepare(INSERT).await?, client.prepare(NUMBER).await?, client.prepare(READ).await?);
    let (mut written, mut turn) = (0, 0);
    while written < rows {
        let rows = next_rows(&mut chats, &mut turn, batch.min(rows - written));
        written += rows.len();
        let ids: Vec<i64> = rows.iter().map(|row| row.chat).collect();
        let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
        let authors: Vec<i64> = rows.iter().map(|row| row.author).collect();
        let client_ids: Vec<&str> = rows.iter().map(|row| row.client_id.as_str()).collect();
        // Polled together, they are sent together, in this order.
        try_join5(
            client.batch_execute("BEGIN"),
            client.execute(&insert, &[&ids, &seqs, &authors, &client_ids, &BODY]),
            client.execute(&number, &[&ids, &seqs]),
            client.execute(&read, &[&ids, &authors, &seqs]),
            client.batch_execute("COMMIT"),
        )
        .await?;
    }
    Ok(())
}

/// Reads so many pages of the longest chat, from its end, and from there again.
pub async fn pages(url: &str, count: usize, size: usize) -> Result<()> {
    let client = connect(url).await?;
    let longest = client
        .query_one("SELECT id, last_seq FROM chats ORDER BY last_seq DESC LIMIT 1", &[])
        .await?;
    let (chat, last_seq): (i64, i64) = (longest.get(0), longest.get(1));
    let (page, limit) = (client.prepare(PAGE).await?, size as i64);
    let mut before = last_seq + 1;
    for _ in 0..count {
        let rows = client.query(&page, &[&chat, &before, &limit]).await?;
        before = rows.last().context("an empty page")?.get("seq");
        if before == 1 {
            before = last_seq + 1;
        }
    }
    Ok(())
}
