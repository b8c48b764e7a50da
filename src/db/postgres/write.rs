//! The write transaction on PostgreSQL, pipelined in three round trips.
//!
//! First BEGIN, the locks and the stored state; then the new rows; then COMMIT. The statements of a
//! round trip are sent together. The server still runs them in order, so each sees the effects of
//! those before, and the second one reads a snapshot taken under the locks. COMMIT waits for the
//! answers: it must not overtake a statement.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind as Kind, Error};
use diesel_async::pooled_connection::PoolableConnection as _;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::future::try_join5;
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};

use super::statements::{
    FindHeads, FindMarks, FindMessages, InsertMessages, LockChats, MoveChats, RaiseMarks,
    TellMessages, TellReads,
};
use super::{Server, bounded};
use crate::db::StoreError;
use crate::db::error::{is_passing, is_stale};
use crate::db::plan::{self, Committed, Found, Inserted, MaybeCommitted, Plan, Snapshot};
use crate::db::write_op::Write;
use crate::db::writer::{Attempt, WriterEvents};
use crate::domain::{
    ChatId, Draft, MessageId, MessageKind, OutboxEventKind, Receipt, Role, Seq, Timestamp, UserId,
};

/// Time that a write waits for a connection before it fails.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Time for which the outcome of a COMMIT is searched for.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two tries.
const OUTCOME_PAUSE: Duration = Duration::from_millis(50);

const BEGIN: &str = "BEGIN";
/// Lock timeout of a part of a failed batch: perhaps it failed for a lock, and its neighbours shall
/// not wait as long.
const BEGIN_IMPATIENT: &str = "BEGIN; SET LOCAL lock_timeout = '100ms'";

/// One executor's connection, open or lost.
pub struct WriterConnection {
    server: Arc<Server>,
    /// True if events are written to the outbox.
    outbox_enabled: bool,
    /// Taken out while a transaction runs: a cancelled one leaves no half-used connection.
    connection: Option<AsyncPgConnection>,
}

/// The failure of a transaction.
enum Failure<'a> {
    /// Rolled back, and the connection is good.
    Refused(Error),
    /// No connection, and COMMIT was not sent: nothing is stored.
    Lost(String),
    /// As `Lost`, since the connection had lost its statements: a new one has them.
    Stale(String),
    /// No connection any more, and COMMIT was sent.
    Unknown(Box<Plan<'a>>, String),
}

impl WriterConnection {
    /// Connects; with `outbox_enabled`, events are written to the outbox.
    pub async fn open(server: Arc<Server>, outbox_enabled: bool) -> Result<Self, StoreError> {
        let connection = connect(&server, outbox_enabled).await?;
        Ok(Self { server, outbox_enabled, connection: Some(connection) })
    }

    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Writes the batch; `again` for a part of a failed one.
    pub async fn write(
        &mut self,
        batch: &[Write],
        again: bool,
        events: &mut WriterEvents,
    ) -> Attempt {
        let begin = if again { BEGIN_IMPATIENT } else { BEGIN };
        let mut done = self.transact(batch, begin, &MaybeCommitted::new(), events).await;
        if let Err(Failure::Stale(why)) = &done {
            log::warn!("a writer's connection is replaced: {why}");
            done = self.transact(batch, begin, &MaybeCommitted::new(), events).await;
        }
        match done {
            Ok(committed) => Attempt::Done(committed),
            Err(Failure::Refused(error)) => {
                Attempt::Refused { why: error.to_string(), may_pass: is_passing(&error) }
            }
            Err(Failure::Lost(why) | Failure::Stale(why)) => Attempt::Unavailable(why),
            Err(Failure::Unknown(plan, why)) => {
                log::warn!("a commit has an unknown outcome, searching: {why}");
                events.unknown_outcomes += 1;
                self.resolve_unknown_commit(batch, plan, events).await
            }
        }
    }

    /// Runs the batch once more after an unknown commit. The chats' locks make sure that the lost
    /// transaction has ended by then.
    async fn resolve_unknown_commit(
        &mut self,
        batch: &[Write],
        plan: Box<Plan<'_>>,
        events: &mut WriterEvents,
    ) -> Attempt {
        let start = Instant::now();
        let mut ours: MaybeCommitted = plan.remember().collect();
        loop {
            let why = match self.transact(batch, BEGIN, &ours, events).await {
                Ok(committed) => return Attempt::Done(committed),
                Err(Failure::Refused(error)) => error.to_string(),
                Err(Failure::Lost(why) | Failure::Stale(why)) => why,
                Err(Failure::Unknown(plan, why)) => {
                    ours.extend(plan.remember());
                    why
                }
            };
            if start.elapsed() > OUTCOME_TIMEOUT {
                return Attempt::Unavailable(format!("the outcome stays unknown: {why}"));
            }
            sleep(OUTCOME_PAUSE).await;
        }
    }

    /// Runs the batch in one transaction.
    async fn transact<'a>(
        &mut self,
        batch: &'a [Write],
        begin: &str,
        ours: &MaybeCommitted,
        events: &mut WriterEvents,
    ) -> Result<Committed, Failure<'a>> {
        let mut connection =
            self.take(events).await.map_err(|error| Failure::Lost(error.to_string()))?;
        let work = async {
            if batch.iter().all(|write| write.op.changes().is_none()) {
                return Ok(Work::Read(Box::new(read_heads(&connection, batch).await?)));
            }
            let prepared = prepare(&connection, batch, begin, ours, self.outbox_enabled).await?;
            Ok(Work::Commit(Box::new(prepared)))
        };
        let error = match bounded(work).await {
            Ok(Ok(Work::Read(committed))) => {
                self.connection = Some(connection);
                return Ok(*committed);
            }
            Ok(Ok(Work::Commit(prepared))) => {
                return match transaction_result(bounded(connection.batch_execute("COMMIT")).await) {
                    Ok(()) => {
                        self.connection = Some(connection);
                        Ok(prepared.committed())
                    }
                    Err(why) => Err(Failure::Unknown(Box::new(prepared.plan), why)),
                };
            }
            Ok(Err(error)) => error,
            Err(late) => return Err(Failure::Lost(late.to_string())),
        };
        if is_stale(&error) {
            return Err(Failure::Stale(error.to_string()));
        }
        // A read-only server has become a standby: reconnecting finds the new primary.
        let reads_only = matches!(&error, Error::DatabaseError(Kind::ReadOnlyTransaction, _));
        match transaction_result(bounded(connection.batch_execute("ROLLBACK")).await) {
            Ok(()) if !reads_only => {
                self.connection = Some(connection);
                Err(Failure::Refused(error))
            }
            _ => Err(Failure::Lost(error.to_string())),
        }
    }

    /// The connection if it is alive, else a new one.
    async fn take(&mut self, events: &mut WriterEvents) -> Result<AsyncPgConnection, StoreError> {
        if let Some(mut connection) = self.connection.take()
            && !connection.is_broken()
        {
            return Ok(connection);
        }
        let connection = timeout(RECONNECT_TIMEOUT, connect(&self.server, self.outbox_enabled))
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("no connection in time".into())))?;
        events.reconnects += 1;
        Ok(connection)
    }
}

/// Connects and prepares each statement, so that no round trip is delayed by a preparation, or
/// reordered.
async fn connect(server: &Server, outbox_enabled: bool) -> Result<AsyncPgConnection, StoreError> {
    let connection =
        server.open().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let mut link = &connection;
    LockChats::default().execute(&mut link).await?;
    FindMessages::default().execute(&mut link).await?;
    FindHeads::default().execute(&mut link).await?;
    FindMarks::default().execute(&mut link).await?;
    InsertMessages::default().execute(&mut link).await?;
    MoveChats::default().execute(&mut link).await?;
    RaiseMarks::default().execute(&mut link).await?;
    if outbox_enabled {
        TellMessages::default().execute(&mut link).await?;
        TellReads::default().execute(&mut link).await?;
    }
    Ok(connection)
}

/// Result of a transaction before its COMMIT.
enum Work<'a> {
    /// Nothing is to be committed.
    Read(Box<Committed>),
    Commit(Box<Prepared<'a>>),
}

/// The failure of a COMMIT or ROLLBACK: an error or a timeout.
fn transaction_result(answer: Result<QueryResult<()>, Elapsed>) -> Result<(), String> {
    match answer {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(late) => Err(late.to_string()),
    }
}

/// The plan, and the results to return after COMMIT.
struct Prepared<'a> {
    plan: Plan<'a>,
    rows: HashMap<(ChatId, Seq), Inserted>,
    marks: HashMap<(ChatId, UserId), Seq>,
    last_seqs: HashMap<ChatId, Seq>,
}

impl Prepared<'_> {
    fn committed(self) -> Committed {
        self.plan.committed(self.rows, self.marks, self.last_seqs)
    }
}

async fn prepare<'a>(
    connection: &AsyncPgConnection,
    batch: &'a [Write],
    begin: &str,
    ours: &MaybeCommitted,
    outbox_enabled: bool,
) -> QueryResult<Prepared<'a>> {
    let (snapshot, last_seqs) = look(connection, batch, begin).await?;
    let plan = plan::plan(batch, snapshot, ours);
    let (rows, marks) = apply(connection, &plan, outbox_enabled).await?;
    Ok(Prepared { plan, rows, marks, last_seqs })
}

/// The first round trip: the state of the chats, under their locks.
async fn look<'a>(
    connection: &AsyncPgConnection,
    batch: &'a [Write],
    begin: &str,
) -> QueryResult<(Snapshot<'a>, HashMap<ChatId, Seq>)> {
    let locked = plan::changed_chats(batch);
    let asked = plan::asked_chats(batch);
    let drafts: Vec<&Draft> = plan::drafts(batch).collect();
    let chats: Vec<ChatId> = drafts.iter().map(|draft| draft.chat_id).collect();
    let authors: Vec<UserId> = drafts.iter().map(|draft| draft.author).collect();
    let client_ids: Vec<&str> = drafts.iter().map(|draft| draft.client_id.as_str()).collect();

    let (marked_chats, readers): (Vec<ChatId>, Vec<UserId>) =
        plan::marks(batch).into_iter().unzip();

    let [mut first, mut second, mut third, mut fourth, mut fifth] = [connection; 5];
    let begin = first.batch_execute(begin);
    let lock = LockChats { ids: &locked }.load::<(ChatId, Seq, Timestamp, Timestamp)>(&mut second);
    let find = FindMessages { chats: &chats, authors: &authors, client_ids: &client_ids };
    let find = unless(chats.is_empty(), find.load::<FoundRow>(&mut third));
    let heads = FindHeads { ids: &asked };
    let heads = unless(asked.is_empty(), heads.load::<(ChatId, Seq)>(&mut fourth));
    let marks = FindMarks { chats: &marked_chats, users: &readers };
    let marks = unless(readers.is_empty(), marks.load::<(ChatId, UserId, Seq)>(&mut fifth));
    let ((), locked, found, heads, marks) = try_join5(begin, lock, find, heads, marks).await?;

    // Without a chat nothing is written, and no time is needed.
    let now = locked.iter().map(|(.., at)| *at).max().unwrap_or(Timestamp(0));
    let found =
        found.into_iter().filter_map(|(n, id, seq, created_at, kind, content, nickname)| {
            // The database counts from 1.
            let draft = drafts.get(usize::try_from(n - 1).ok()?)?;
            let receipt = Receipt { id, seq, created_at };
            Some((plan::key(draft), Found { receipt, kind, content, nickname }))
        });
    let found = found.collect();
    let times = locked.iter().map(|(chat, _, at, _)| (*chat, *at)).collect();
    let ends = locked.into_iter().map(|(chat, seq, ..)| (chat, seq)).collect();
    let marks = marks.into_iter().map(|(chat, user, seq)| ((chat, user), seq)).collect();
    Ok((Snapshot { heads: ends, times, found, marks, now }, heads.into_iter().collect()))
}

type FoundRow = (i64, MessageId, Seq, Timestamp, MessageKind, String, Option<String>);

type InsertedRow = (ChatId, Seq, MessageId, Option<String>);

/// Ids of the new messages, and the read marks now.
type AppliedRows = (HashMap<(ChatId, Seq), Inserted>, HashMap<(ChatId, UserId), Seq>);

/// The second round trip: the new rows.
async fn apply(
    connection: &AsyncPgConnection,
    plan: &Plan<'_>,
    outbox_enabled: bool,
) -> QueryResult<AppliedRows> {
    let (drafts, seqs): (Vec<&Draft>, Vec<Seq>) = plan.rows.iter().copied().unzip();
    let chats: Vec<ChatId> = drafts.iter().map(|draft| draft.chat_id).collect();
    let authors: Vec<UserId> = drafts.iter().map(|draft| draft.author).collect();
    let roles: Vec<Role> = drafts.iter().map(|draft| draft.role).collect();
    let kinds: Vec<&str> = drafts.iter().map(|draft| draft.kind.as_str()).collect();
    let bodies: Vec<&str> = drafts.iter().map(|draft| draft.content.as_str()).collect();
    let client_ids: Vec<&str> = drafts.iter().map(|draft| draft.client_id.as_str()).collect();
    let (moved, moved_to): (Vec<ChatId>, Vec<Seq>) = plan.moved().into_iter().unzip();
    let (marked, marked_to): (Vec<_>, Vec<Seq>) = plan.marks.iter().map(|(k, v)| (*k, *v)).unzip();
    let (marked_chats, marked_users): (Vec<ChatId>, Vec<UserId>) = marked.into_iter().unzip();
    let (read, read_to): (Vec<_>, Vec<Seq>) = plan.reads.iter().map(|(k, v)| (*k, *v)).unzip();
    let (read_chats, readers): (Vec<ChatId>, Vec<UserId>) = read.into_iter().unzip();
    let now = plan.now;
    let times: Vec<Timestamp> = chats.iter().map(|chat| plan.at(*chat)).collect();
    let moved_at: Vec<Timestamp> = moved.iter().map(|chat| plan.at(*chat)).collect();
    let minutes: Vec<i64> = moved_at.iter().map(|at| at.minutes()).collect();

    let [mut first, mut second, mut third, mut fourth, mut fifth] = [connection; 5];
    let insert = InsertMessages {
        times: &times,
        chats: &chats,
        seqs: &seqs,
        authors: &authors,
        roles: &roles,
        kinds: &kinds,
        bodies: &bodies,
        client_ids: &client_ids,
    };
    let insert = unless(chats.is_empty(), insert.load::<InsertedRow>(&mut first));
    let advance = MoveChats { times: &moved_at, minutes: &minutes, ids: &moved, seqs: &moved_to };
    let advance = unless(moved.is_empty(), advance.execute(&mut second));
    let kind = OutboxEventKind::MessageCreated.as_str();
    let insert_message_events = TellMessages { kind, times: &times, chats: &chats, seqs: &seqs };
    let insert_message_events =
        unless(!outbox_enabled || chats.is_empty(), insert_message_events.execute(&mut third));
    let kind = OutboxEventKind::MessageRead.as_str();
    let insert_read_events =
        TellReads { now, kind, chats: &read_chats, users: &readers, seqs: &read_to };
    let insert_read_events =
        unless(!outbox_enabled || read_to.is_empty(), insert_read_events.execute(&mut fourth));
    let raise = RaiseMarks { chats: &marked_chats, users: &marked_users, seqs: &marked_to };
    let raise = unless(marked_to.is_empty(), raise.load::<(ChatId, UserId, Seq)>(&mut fifth));
    let (rows, _, _, _, marks) =
        try_join5(insert, advance, insert_message_events, insert_read_events, raise).await?;

    let rows = rows.into_iter().map(|(chat, seq, id, name)| ((chat, seq), (id, name))).collect();
    let marks = marks.into_iter().map(|(chat, user, seq)| ((chat, user), seq)).collect();
    Ok((rows, marks))
}

/// Skips a statement without work.
async fn unless<T: Default>(
    idle: bool,
    statement: impl Future<Output = QueryResult<T>>,
) -> QueryResult<T> {
    if idle { Ok(T::default()) } else { statement.await }
}

/// Reads the last `seq` of chats, without a transaction.
async fn read_heads(mut connection: &AsyncPgConnection, batch: &[Write]) -> QueryResult<Committed> {
    let asked = plan::asked_chats(batch);
    let heads = FindHeads { ids: &asked };
    let heads = heads.load::<(ChatId, Seq)>(&mut connection).await?;
    Ok(Committed::read(heads.into_iter().collect()))
}
