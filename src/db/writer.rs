//! Group commit: messages and read marks, many in one transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::plan::Committed;
use super::sinks::Outbox;
use super::write_op::{Refusal, Write, Written};
use super::{Store, StoreError, postgres, sqlite};

/// Time for which a failing batch is split before the rest is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Handled faults since the counts were last taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriterEvents {
    /// Batches that failed as a whole and were split in two.
    pub splits: u64,
    /// Writes that failed alone.
    pub failures: u64,
    /// Reconnects.
    pub reconnects: u64,
    /// Connections that were lost in COMMIT, with an unknown outcome.
    pub unknown_outcomes: u64,
}

/// One executor's connection. Runs one transaction at a time.
pub struct Writer {
    connection: Connection,
    outbox: Outbox,
    events: WriterEvents,
}

enum Connection {
    Postgres(Box<postgres::write::WriterConnection>),
    Sqlite(sqlite::File),
}

/// The outcome of one try to write a batch.
pub enum Attempt {
    Done(Committed),
    /// The database has rejected the batch, and written nothing of it: one of its items may be the
    /// cause. `may_pass`: the cause may pass, as a lock does.
    Refused {
        why: String,
        may_pass: bool,
    },
    /// The database is away, or too busy. Nothing of it counts as written.
    Unavailable(String),
}

impl Store {
    /// Opens a connection of its own for one executor. The schema must exist.
    pub async fn writer(&self) -> Result<Writer, StoreError> {
        let connection = match &self.backend {
            Backend::Postgres(pool) => {
                let (server, outbox_enabled) = (Arc::clone(&pool.server), self.outbox.is_on());
                let connection =
                    postgres::write::WriterConnection::open(server, outbox_enabled).await?;
                Connection::Postgres(Box::new(connection))
            }
            Backend::Sqlite(file) => Connection::Sqlite(file.clone()),
        };
        Ok(Writer { connection, outbox: self.outbox.clone(), events: WriterEvents::default() })
    }
}

impl Writer {
    /// Writes the batch in one transaction and returns a result for each write, in any order. Never
    /// fails as a whole: a rejected write is found by splitting, and is `Failed` alone.
    /// `Unavailable` ones may be sent again.
    pub async fn write(&mut self, mut batch: Vec<Write>) -> Vec<Written> {
        let start = Instant::now();
        batch.sort_by_key(|write| write.op.turn());
        let mut written = Vec::with_capacity(batch.len());
        let mut rest = vec![batch];
        let mut splits = 0;
        while let Some(batch) = rest.pop() {
            if start.elapsed() > PATIENCE {
                written.extend(refused(batch, Refusal::Unavailable));
                continue;
            }
            let (mut batch, attempt) = match &mut self.connection {
                Connection::Postgres(connection) => {
                    let attempt = connection.write(&batch, splits > 0, &mut self.events).await;
                    (batch, attempt)
                }
                Connection::Sqlite(file) => {
                    sqlite::write::write(file, batch, self.outbox.is_on()).await
                }
            };
            match attempt {
                Attempt::Done(committed) => {
                    if batch.iter().any(|write| write.op.changes().is_some()) {
                        self.outbox.wake();
                    }
                    written.extend(committed.results(batch));
                }
                Attempt::Refused { why, .. } if batch.len() > 1 => {
                    log::warn!("a batch of {} failed and is split: {why}", batch.len());
                    splits += 1;
                    let second = batch.split_off(batch.len() / 2);
                    rest.extend([second, batch]);
                }
                Attempt::Refused { why, may_pass: false } => {
                    log::error!("a write failed: {why}");
                    self.events.failures += 1;
                    written.extend(refused(batch, Refusal::Failed));
                }
                Attempt::Refused { why, .. } | Attempt::Unavailable(why) => {
                    log::warn!("a batch of {} was not written: {why}", batch.len());
                    written.extend(refused(batch, Refusal::Unavailable));
                }
            }
        }
        self.events.splits += splits;
        written
    }

    /// True if the connection worked at its last use. A write reconnects by itself.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        match &self.connection {
            Connection::Postgres(connection) => connection.is_connected(),
            Connection::Sqlite(_) => true,
        }
    }

    /// Takes the counts of faults.
    pub fn take_events(&mut self) -> WriterEvents {
        std::mem::take(&mut self.events)
    }
}

fn refused(batch: Vec<Write>, refusal: Refusal) -> impl Iterator<Item = Written> {
    batch.into_iter().map(move |write| write.refused(refusal))
}
