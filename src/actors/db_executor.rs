//! Group-commit executor. One connection, one transaction at a time: the writes that came while the
//! last one ran, of all rooms together, go into the next.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use actix::prelude::*;

use super::batch_queue::BatchQueue;
use super::commit_feed::CommitFeed;
use crate::db::{Refusal, Store, StoreError, Write, WriteResult, Writer, Written};
use crate::domain::{ChatId, PostResult, Seq};
use crate::metrics::{Gauge, Metrics, Part};

/// The bound of one executor's queue, counted over all rooms: a mailbox could not, since it has a
/// free slot for each of its addresses.
#[derive(Debug)]
pub struct WritePermits {
    taken: AtomicUsize,
    most: usize,
    waiting: Gauge,
}

impl WritePermits {
    #[must_use]
    pub fn new(most: usize, waiting: Gauge) -> Self {
        Self { taken: AtomicUsize::new(0), most, waiting }
    }

    /// Takes a permit, to be given back by the executor; `false` when the queue is full.
    #[must_use]
    pub fn take(&self) -> bool {
        let full = self.taken.fetch_add(1, Ordering::Relaxed) >= self.most;
        if full {
            self.taken.fetch_sub(1, Ordering::Relaxed);
        } else {
            self.waiting.inc();
        }
        !full
    }

    fn release(&self, count: usize) {
        self.taken.fetch_sub(count, Ordering::Relaxed);
        self.waiting.dec_by(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// Writes that waited for an executor that died wait no more.
impl Drop for WritePermits {
    fn drop(&mut self) {
        let left = self.taken.load(Ordering::Relaxed);
        self.waiting.dec_by(i64::try_from(left).unwrap_or(i64::MAX));
    }
}

/// Address and permits of an executor.
#[derive(Clone)]
pub struct ExecutorLink {
    pub addr: Addr<DbExecutor>,
    pub permits: Arc<WritePermits>,
}

/// A room begins: `generation` is the source of its writes, and their results go to `room`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct OpenRoom {
    pub generation: u64,
    pub room: Recipient<Answers>,
}

/// A room ends, and takes no more results.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseRoom {
    pub generation: u64,
}

/// A room's write, answered once by [`Answers`]. It holds a permit if it changes something. Writes
/// that were submitted earlier are in the same transaction or an earlier one.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Submit(pub Write);

/// The most that goes into one transaction; the rest waits for the next.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    pub rows: usize,
    pub bytes: usize,
}

/// The results of writes of one transaction.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Answers(pub Vec<Written>);

/// An executor has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ExecutorDied {
    pub index: usize,
}

/// Chats whose logs are known to reach at least here.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Hints(pub Vec<(ChatId, Seq)>);

pub struct DbExecutor {
    index: usize,
    store: Store,
    /// Away while a transaction runs; none after a failure to connect.
    writer: Option<Writer>,
    queue: BatchQueue<Write>,
    /// By generation: a chat's room may have a successor while it is still owed results.
    rooms: HashMap<u64, Recipient<Answers>>,
    limits: BatchLimits,
    permits: Arc<WritePermits>,
    metrics: Arc<Metrics>,
    chat_server: Recipient<ExecutorDied>,
    commits: Arc<CommitFeed>,
}

impl DbExecutor {
    #[must_use]
    pub fn new(
        index: usize,
        store: Store,
        limits: BatchLimits,
        permits: Arc<WritePermits>,
        metrics: Arc<Metrics>,
        chat_server: Recipient<ExecutorDied>,
        commits: Arc<CommitFeed>,
    ) -> Self {
        let (queue, rooms) = (BatchQueue::default(), HashMap::new());
        Self {
            index,
            store,
            writer: None,
            queue,
            rooms,
            limits,
            permits,
            metrics,
            chat_server,
            commits,
        }
    }

    fn run(&mut self, ctx: &mut Context<Self>) {
        let BatchLimits { mut rows, mut bytes } = self.limits;
        let fits = |write: &Write| {
            let size = write.op.bytes();
            if rows == 0 || size > bytes {
                return false;
            }
            rows -= 1;
            bytes -= size;
            true
        };
        let Some(batch) = self.queue.begin(fits) else { return };
        let permits = batch.iter().filter(|write| write.op.changes().is_some()).count();
        let (writer, store) = (self.writer.take(), self.store.clone());
        let started = Instant::now();
        let transaction = async move {
            let mut writer = match writer {
                Some(writer) => Ok(writer),
                None => store.writer().await,
            };
            let written = match &mut writer {
                Ok(writer) => writer.write(batch).await,
                Err(_) => {
                    batch.into_iter().map(|write| write.refused(Refusal::Unavailable)).collect()
                }
            };
            (writer, written)
        };
        ctx.spawn(transaction.into_actor(self).map(move |(writer, written), this, ctx| {
            this.metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
            this.keep(writer);
            this.permits.release(permits);
            this.answer(written);
            this.queue.end();
            this.run(ctx);
        }));
    }

    fn keep(&mut self, writer: Result<Writer, StoreError>) {
        match writer {
            Ok(mut writer) => {
                let events = writer.take_events();
                self.metrics.batches_split.inc_by(events.splits);
                self.metrics.writes_failed.inc_by(events.failures);
                self.metrics.outcomes_unknown.inc_by(events.unknown_outcomes);
                self.metrics.database_reconnects.inc_by(events.reconnects);
                self.writer = Some(writer);
            }
            Err(error) => log::error!("executor {} has no connection: {error}", self.index),
        }
    }

    /// Hands on the new ends of logs, to those who watch.
    fn hint(&self, written: &[Written]) {
        if !self.commits.is_watched() {
            return;
        }
        let ends = written.iter().filter_map(|written| match &written.result {
            WriteResult::Post(draft, PostResult::New(receipt, _)) => {
                Some((draft.chat_id, receipt.seq))
            }
            _ => None,
        });
        let hints = Hints(ends.collect());
        if !hints.0.is_empty() {
            self.commits.committed(hints);
        }
    }

    /// Sends each room its results, in one message.
    fn answer(&self, written: Vec<Written>) {
        let is_new = |written: &&Written| {
            matches!(written.result, WriteResult::Post(_, PostResult::New(..)))
        };
        let stored = written.iter().filter(is_new).count();
        if stored > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a batch is far smaller than 2^52")]
            self.metrics.batch_messages.observe(stored as f64);
        }
        self.hint(&written);
        let mut by_room: HashMap<u64, Vec<Written>> = HashMap::new();
        for written in written {
            by_room.entry(written.id.source).or_default().push(written);
        }
        for (generation, written) in by_room {
            if let Some(room) = self.rooms.get(&generation) {
                // Bounded by what the room submitted.
                room.do_send(Answers(written));
            }
        }
    }
}

impl Actor for DbExecutor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Bounded by the permits; a full mailbox besides would be a second answer to one fullness.
        ctx.set_mailbox_capacity(0);
    }
}

impl Drop for DbExecutor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.metrics.panicked(Part::Executor);
            log::error!("executor {} died of a panic and is replaced", self.index);
            self.chat_server.do_send(ExecutorDied { index: self.index });
        }
    }
}

impl Handler<OpenRoom> for DbExecutor {
    type Result = ();

    fn handle(&mut self, OpenRoom { generation, room }: OpenRoom, _: &mut Self::Context) {
        self.rooms.insert(generation, room);
    }
}

impl Handler<Submit> for DbExecutor {
    type Result = ();

    fn handle(&mut self, Submit(write): Submit, ctx: &mut Self::Context) {
        self.queue.push(write);
        self.run(ctx);
    }
}

impl Handler<CloseRoom> for DbExecutor {
    type Result = ();

    fn handle(&mut self, CloseRoom { generation }: CloseRoom, _: &mut Self::Context) {
        self.rooms.remove(&generation);
    }
}

#[cfg(feature = "faults")]
impl Handler<super::Crash> for DbExecutor {
    type Result = ();

    fn handle(&mut self, _: super::Crash, _: &mut Self::Context) {
        super::crash();
    }
}
