//! Statements over arrays: the text is fixed, so each is prepared once, whatever the batch's size.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};

use crate::db::types::UtcTimestamp;
use crate::domain::{ChatId, Role, Seq, Timestamp, UserId};

/// A statement: its values in the order of the `?` in its text, the columns of its rows, its text.
/// The text is split at `?`, so it cannot have an operator with one.
macro_rules! statement {
    (
        $(#[$doc:meta])*
        $name:ident { $($field:ident: $value:ty => $sql:ty),* $(,)? } -> ($($column:ty),*)
        $text:literal
    ) => {
        $(#[$doc])*
        #[derive(Default)]
        pub struct $name<'a> {
            $(pub $field: $value),*
        }

        impl QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl QueryFragment<Pg> for $name<'_> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                let mut text = $text.split('?');
                out.push_sql(text.next().unwrap_or_default());
                $(
                    out.push_bind_param::<$sql, _>(&self.$field)?;
                    out.push_sql(text.next().unwrap_or_default());
                )*
                Ok(())
            }
        }

        impl Query for $name<'_> {
            type SqlType = ($($column,)*);
        }
    };
}

statement! {
    /// Locks chats in the order of their ids, so that two batches cannot deadlock. The time is read
    /// after each row is locked: the latest of them is later than any earlier writer's.
    LockChats { ids: &'a [ChatId] => Array<BigInt> }
        -> (BigInt, BigInt, UtcTimestamp, UtcTimestamp)
    "WITH locked AS MATERIALIZED (
         SELECT id, last_seq, updated_at FROM chats WHERE id = ANY(?)
         ORDER BY id FOR NO KEY UPDATE
     )
     SELECT id, last_seq, updated_at, clock_timestamp() FROM locked"
}

statement! {
    /// The messages matching these keys, with the 1-based index of the key: a join, since three `=
    /// ANY` would match every combination.
    FindMessages {
        chats: &'a [ChatId] => Array<BigInt>,
        authors: &'a [UserId] => Array<BigInt>,
        client_ids: &'a [&'a str] => Array<Text>,
    } -> (BigInt, BigInt, BigInt, UtcTimestamp, Text, Text, Nullable<Text>)
    "SELECT known.n, m.id, m.seq, m.created_at, m.kind, m.body,
            (SELECT nickname FROM users WHERE id = m.author_id)
     FROM unnest(?, ?, ?) WITH ORDINALITY AS known (chat_id, author_id, client_id, n)
     JOIN messages m USING (chat_id, author_id, client_id)"
}

statement! {
    /// Inserts messages, and returns their authors' nicknames.
    InsertMessages {
        times: &'a [Timestamp] => Array<UtcTimestamp>,
        chats: &'a [ChatId] => Array<BigInt>,
        seqs: &'a [Seq] => Array<BigInt>,
        authors: &'a [UserId] => Array<BigInt>,
        roles: &'a [Role] => Array<Text>,
        kinds: &'a [&'a str] => Array<Text>,
        bodies: &'a [&'a str] => Array<Text>,
        client_ids: &'a [&'a str] => Array<Text>,
    } -> (BigInt, BigInt, BigInt, Nullable<Text>)
    "INSERT INTO messages (created_at, chat_id, seq, author_id, author_role, kind, body, client_id)
     SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?)
     RETURNING chat_id, seq, id, (SELECT nickname FROM users WHERE users.id = author_id)"
}

statement! {
    /// Sets the chats' last message.
    MoveChats {
        times: &'a [Timestamp] => Array<UtcTimestamp>,
        minutes: &'a [i64] => Array<BigInt>,
        ids: &'a [ChatId] => Array<BigInt>,
        seqs: &'a [Seq] => Array<BigInt>,
    } -> ()
    "UPDATE chats SET updated_at = moved.at, active_minute = moved.minute, last_seq = moved.seq
     FROM unnest(?, ?, ?, ?) AS moved (at, minute, id, seq)
     WHERE chats.id = moved.id"
}

statement! {
    /// The read marks with these keys.
    FindMarks {
        chats: &'a [ChatId] => Array<BigInt>,
        users: &'a [UserId] => Array<BigInt>,
    } -> (BigInt, BigInt, BigInt)
    "SELECT chat_id, user_id, seq FROM read_marks
     JOIN unnest(?, ?) AS known (chat_id, user_id) USING (chat_id, user_id)"
}

statement! {
    /// Raises read marks, and returns them.
    RaiseMarks {
        chats: &'a [ChatId] => Array<BigInt>,
        users: &'a [UserId] => Array<BigInt>,
        seqs: &'a [Seq] => Array<BigInt>,
    } -> (BigInt, BigInt, BigInt)
    "INSERT INTO read_marks (chat_id, user_id, seq) SELECT * FROM unnest(?, ?, ?)
     ON CONFLICT (chat_id, user_id) DO UPDATE SET seq = GREATEST(read_marks.seq, EXCLUDED.seq)
     RETURNING chat_id, user_id, seq"
}

statement! {
    /// Inserts the events of new messages.
    TellMessages {
        kind: &'a str => Text,
        times: &'a [Timestamp] => Array<UtcTimestamp>,
        chats: &'a [ChatId] => Array<BigInt>,
        seqs: &'a [Seq] => Array<BigInt>,
    } -> ()
    "INSERT INTO outbox (kind, at, chat_id, seq)
     SELECT ?, * FROM unnest(?, ?, ?)"
}

statement! {
    /// Inserts the events of raised read marks.
    TellReads {
        now: Timestamp => UtcTimestamp,
        kind: &'a str => Text,
        chats: &'a [ChatId] => Array<BigInt>,
        users: &'a [UserId] => Array<BigInt>,
        seqs: &'a [Seq] => Array<BigInt>,
    } -> ()
    "INSERT INTO outbox (at, kind, chat_id, user_id, seq)
     SELECT ?, ?, * FROM unnest(?, ?, ?)"
}

statement! {
    /// Moves on the times at which users were last seen; locked in the order of their ids.
    SetLastSeen {
        ids: &'a [UserId] => Array<BigInt>,
        times: &'a [Timestamp] => Array<UtcTimestamp>,
    } -> ()
    "WITH locked AS MATERIALIZED (
         SELECT users.id, seen.at FROM users JOIN unnest(?, ?) AS seen (id, at) USING (id)
         ORDER BY users.id FOR NO KEY UPDATE OF users
     )
     UPDATE users SET last_seen_at = GREATEST(users.last_seen_at, locked.at)
     FROM locked WHERE users.id = locked.id"
}

statement! {
    /// The last `seq` of chats, without a lock.
    FindHeads { ids: &'a [ChatId] => Array<BigInt> } -> (BigInt, BigInt)
    "SELECT id, last_seq FROM chats WHERE id = ANY(?)"
}

statement! {
    /// Ranges of many chats at once, each cut where its bodies exceed the bytes, but not before its
    /// first message.
    Ranges {
        chats: &'a [ChatId] => Array<BigInt>,
        afters: &'a [Seq] => Array<BigInt>,
        up_tos: &'a [Seq] => Array<BigInt>,
        limit: i64 => BigInt,
        bytes: i64 => BigInt,
    } -> (BigInt, (BigInt, BigInt, BigInt, Text, Text, Text, UtcTimestamp, Nullable<Text>, (BigInt, Nullable<Text>, Text)))
    "SELECT range.n, m.id, m.chat_id, m.seq, m.kind, m.body, m.client_id, m.created_at,
            m.author_role, u.id, u.nickname, u.role
     FROM unnest(?, ?, ?) WITH ORDINALITY AS range (chat_id, after, up_to, n)
     CROSS JOIN LATERAL (
         SELECT *, sum(octet_length(body)) OVER (ORDER BY seq) AS total
         FROM (
             SELECT * FROM messages
             WHERE chat_id = range.chat_id AND seq > range.after AND seq <= range.up_to
             ORDER BY seq
             LIMIT ?
         ) AS page
     ) AS m
     JOIN users u ON u.id = m.author_id
     WHERE m.total <= ? OR m.total = octet_length(m.body)
     ORDER BY range.n, m.seq"
}

statement! {
    /// The users with these keys.
    FindUsers { issuers: &'a [&'a str] => Array<Text>, subjects: &'a [&'a str] => Array<Text> }
        -> (BigInt, Text, Text, Text, Nullable<Text>, Nullable<Text>, Nullable<BigInt>, Bool, UtcTimestamp, Nullable<BigInt>, Nullable<Text>)
    "SELECT id, issuer, subject, role, nickname, email, claims_at, blocked, created_at,
            role_set_at, block_reason
     FROM unnest(?, ?) AS named (issuer, subject) JOIN users USING (issuer, subject)"
}

statement! {
    /// The same, locked in the order of their ids.
    LockUsers { issuers: &'a [&'a str] => Array<Text>, subjects: &'a [&'a str] => Array<Text> }
        -> (BigInt, Text, Text, Text, Nullable<Text>, Nullable<Text>, Nullable<BigInt>, Bool, UtcTimestamp, Nullable<BigInt>, Nullable<Text>)
    "SELECT id, issuer, subject, role, nickname, email, claims_at, blocked, created_at,
            role_set_at, block_reason
     FROM unnest(?, ?) AS named (issuer, subject) JOIN users USING (issuer, subject)
     ORDER BY id FOR NO KEY UPDATE OF users"
}

statement! {
    /// The chats of many users: the own support chat first, then the latest active.
    ChatAccessOf { users: &'a [UserId] => Array<BigInt>, limit: i64 => BigInt }
        -> (BigInt, BigInt, Text, BigInt, BigInt, UtcTimestamp)
    "SELECT asked.id, chat.id, chat.kind, chat.last_seq, COALESCE(mark.seq, 0), chat.updated_at
     FROM unnest(?) AS asked (id)
     CROSS JOIN LATERAL (
         SELECT chats.id, kind, last_seq, updated_at
         FROM chat_members JOIN chats ON chats.id = chat_members.chat_id
         WHERE chat_members.user_id = asked.id
         ORDER BY kind DESC, updated_at DESC, chats.id DESC
         LIMIT ?
     ) AS chat
     LEFT JOIN read_marks mark ON mark.chat_id = chat.id AND mark.user_id = asked.id"
}

statement! {
    /// The members of many chats, those with the lowest ids of each.
    MembersOf { chats: &'a [ChatId] => Array<BigInt>, limit: i64 => BigInt }
        -> (BigInt, BigInt, Nullable<Text>, Text, Nullable<Text>)
    "SELECT asked.id, u.id, u.nickname, u.role, u.email
     FROM unnest(?) AS asked (id)
     CROSS JOIN LATERAL (
         SELECT user_id FROM chat_members WHERE chat_id = asked.id ORDER BY user_id LIMIT ?
     ) AS member
     JOIN users u ON u.id = member.user_id
     ORDER BY asked.id, u.id"
}

statement! {
    /// Applies newer tokens to locked rows.
    ApplyClaims {
        ids: &'a [UserId] => Array<BigInt>,
        roles: &'a [Role] => Array<Text>,
        nicknames: &'a [Option<&'a str>] => Array<Nullable<Text>>,
        emails: &'a [Option<&'a str>] => Array<Nullable<Text>>,
        claims_at: &'a [Option<i64>] => Array<Nullable<BigInt>>,
        searched: &'a [&'a str] => Array<Text>,
    } -> ()
    "UPDATE users SET role = claim.role, nickname = claim.nickname, email = claim.email,
                      claims_at = claim.claims_at, search = claim.search
     FROM unnest(?, ?, ?, ?, ?, ?) AS claim (id, role, nickname, email, claims_at, search)
     WHERE users.id = claim.id"
}

statement! {
    /// Sets the search text of locked rows.
    SetSearch { ids: &'a [UserId] => Array<BigInt>, texts: &'a [String] => Array<Text> } -> ()
    "UPDATE users SET search = folded.text FROM unnest(?, ?) AS folded (id, text)
     WHERE users.id = folded.id"
}
