//! Writes. One connection, one transaction at a time: what gathered while the last one ran, from
//! all rooms together, goes into the next.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use actix::prelude::*;
use tokio::sync::mpsc;

use super::gather::Gather;
use super::room_actor::{Answers, RoomActor};
use super::{ChatServer, ExecutorDied, Hints};
use crate::db::{Batch, Mark, Marked, Refusal, Store, StoreError, Writer, Written};
use crate::domain::{ChatId, Draft, Seq, Stored};
use crate::metrics::{Metrics, Part};

/// How many posts wait for one executor, counted over all rooms: a mailbox could not, since it has
/// a free slot for each of its addresses.
#[derive(Debug)]
pub struct Backlog {
    waiting: AtomicUsize,
    most: usize,
}

impl Backlog {
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { waiting: AtomicUsize::new(0), most }
    }

    /// Takes a place in the queue; `false` when it is full.
    #[must_use]
    pub fn reserve(&self) -> bool {
        let full = self.waiting.fetch_add(1, Ordering::Relaxed) >= self.most;
        if full {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        !full
    }

    fn release(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }
}

/// How an executor is reached.
#[derive(Clone)]
pub struct ExecutorLink {
    pub addr: Addr<DbExecutor>,
    pub backlog: Arc<Backlog>,
}

/// A room's work for its executor. Answered once, in the order of one room's submissions, by
/// [`Answers`]. Posts and marks need a place in the [`Backlog`].
#[derive(Message)]
#[rtype(result = "()")]
pub enum Submit {
    /// A room begins: where its answers go, and the question where its chat's log ends. What an
    /// earlier room of the chat submitted is done before.
    Open {
        chat: ChatId,
        generation: u64,
        room: Addr<RoomActor>,
    },
    Post {
        draft: Draft,
        generation: u64,
    },
    Mark {
        mark: Mark,
        generation: u64,
    },
}

/// One answer of an executor.
pub enum Answer {
    Opened(Result<Seq, Refusal>),
    Posted(Stored),
    Marked(Result<Marked, Refusal>),
}

/// A room ends, and takes no more answers.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Close {
    pub chat: ChatId,
    pub generation: u64,
}

/// The most that goes into one transaction; the rest waits for the next.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    pub rows: usize,
    pub bytes: usize,
}

/// A room: its chat, and which of the chat's rooms.
type RoomKey = (ChatId, u64);

pub struct DbExecutor {
    index: usize,
    store: Store,
    /// Away while a transaction runs; none after a failure to connect.
    writer: Option<Writer>,
    queue: Gather<Submit>,
    /// Where answers go; a chat's room may have a successor while it is still owed some.
    rooms: HashMap<RoomKey, Addr<RoomActor>>,
    limits: BatchLimits,
    backlog: Arc<Backlog>,
    metrics: Arc<Metrics>,
    chat_server: Addr<ChatServer>,
    /// Takes the new ends of logs to other nodes.
    commits: Option<mpsc::Sender<Hints>>,
}

impl DbExecutor {
    #[must_use]
    pub fn new(
        index: usize,
        store: Store,
        limits: BatchLimits,
        backlog: Arc<Backlog>,
        metrics: Arc<Metrics>,
        chat_server: Addr<ChatServer>,
        commits: Option<mpsc::Sender<Hints>>,
    ) -> Self {
        let (queue, rooms) = (Gather::default(), HashMap::new());
        Self {
            index,
            store,
            writer: None,
            queue,
            rooms,
            limits,
            backlog,
            metrics,
            chat_server,
            commits,
        }
    }

    fn run(&mut self, ctx: &mut Context<Self>) {
        let BatchLimits { mut rows, mut bytes } = self.limits;
        let fits = |submit: &Submit| {
            let size = match submit {
                Submit::Post { draft, .. } => draft.body.as_str().len(),
                Submit::Open { .. } | Submit::Mark { .. } => 0,
            };
            if rows == 0 || size > bytes {
                return false;
            }
            rows -= 1;
            bytes -= size;
            true
        };
        let Some(run) = self.queue.begin(fits) else { return };
        let (order, batch) = assemble(run);
        let (writer, store) = (self.writer.take(), self.store.clone());
        let started = Instant::now();
        let transaction = async move {
            let mut writer = match writer {
                Some(writer) => Ok(writer),
                None => store.writer().await,
            };
            let written = match &mut writer {
                Ok(writer) => Ok(writer.write(batch).await),
                Err(_) => Err(batch),
            };
            (writer, written)
        };
        ctx.spawn(transaction.into_actor(self).map(move |(writer, written), this, ctx| {
            this.metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
            this.done(writer, &order, written.unwrap_or_else(|batch| unavailable(&batch)));
            this.queue.end();
            this.run(ctx);
        }));
    }

    fn done(&mut self, writer: Result<Writer, StoreError>, order: &[Place], written: Written) {
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
        let news = written.drafts.iter().filter(|stored| matches!(stored, Stored::New(..))).count();
        if news > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a batch is far smaller than 2^52")]
            self.metrics.batch_messages.observe(news as f64);
        }
        self.hint(order, &written.drafts);
        let mut drafts = written.drafts.into_iter();
        let mut marks = written.marks.into_iter();
        let mut heads = written.heads.into_iter();
        let mut answers: Vec<(RoomKey, Vec<Answer>)> = Vec::new();
        let mut places: HashMap<RoomKey, usize> = HashMap::new();
        let mut reserved = 0;
        for place in order {
            // A writer answers all that it was given; what it should leave out is unavailable.
            let answer = match place.kind {
                Kind::Open => Answer::Opened(heads.next().unwrap_or(Err(Refusal::Unavailable))),
                Kind::Post => Answer::Posted(drafts.next().unwrap_or(Stored::Unavailable)),
                Kind::Mark => Answer::Marked(marks.next().unwrap_or(Err(Refusal::Unavailable))),
            };
            reserved += usize::from(place.kind != Kind::Open);
            let at = *places.entry(place.room).or_insert_with(|| {
                answers.push((place.room, Vec::new()));
                answers.len() - 1
            });
            if let Some((_, answers)) = answers.get_mut(at) {
                answers.push(answer);
            }
        }
        self.backlog.release(reserved);
        for (room, answers) in answers {
            if let Some(room) = self.rooms.get(&room) {
                // Bounded by what the room submitted.
                room.do_send(Answers(answers));
            }
        }
    }
}

impl DbExecutor {
    /// Hands the new ends of logs on, in commit order.
    fn hint(&self, order: &[Place], drafts: &[Stored]) {
        let Some(commits) = &self.commits else { return };
        let posts = order.iter().filter(|place| place.kind == Kind::Post).zip(drafts);
        let ends = posts.filter_map(|(place, stored)| match stored {
            Stored::New(receipt, _) => Some((place.room.0, receipt.seq)),
            _ => None,
        });
        let hints = Hints(ends.collect());
        if !hints.0.is_empty() && commits.try_send(hints).is_err() {
            log::debug!("dropped hints: other nodes find these messages by polling");
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open,
    Post,
    Mark,
}

/// Where an answer belongs.
struct Place {
    room: RoomKey,
    kind: Kind,
}

fn assemble(run: Vec<Submit>) -> (Vec<Place>, Batch) {
    let mut batch = Batch::default();
    let order = run
        .into_iter()
        .map(|submit| match submit {
            Submit::Open { chat, generation, .. } => {
                batch.heads.push(chat);
                Place { room: (chat, generation), kind: Kind::Open }
            }
            Submit::Post { draft, generation } => {
                let room = (draft.chat_id, generation);
                batch.drafts.push(draft);
                Place { room, kind: Kind::Post }
            }
            Submit::Mark { mark, generation } => {
                let room = (mark.chat_id, generation);
                batch.marks.push(mark);
                Place { room, kind: Kind::Mark }
            }
        })
        .collect();
    (order, batch)
}

fn unavailable(batch: &Batch) -> Written {
    Written {
        drafts: vec![Stored::Unavailable; batch.drafts.len()],
        marks: batch.marks.iter().map(|_| Err(Refusal::Unavailable)).collect(),
        heads: batch.heads.iter().map(|_| Err(Refusal::Unavailable)).collect(),
    }
}

impl Actor for DbExecutor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Rooms have reserved their places, so the mailbox is bounded by the backlog; posts that
        // were refused by a full mailbox besides would have two answers for one fullness.
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

impl Handler<Submit> for DbExecutor {
    type Result = ();

    fn handle(&mut self, submit: Submit, ctx: &mut Self::Context) {
        if let Submit::Open { chat, generation, room } = &submit {
            self.rooms.insert((*chat, *generation), room.clone());
        }
        self.queue.push(submit);
        self.run(ctx);
    }
}

impl Handler<Close> for DbExecutor {
    type Result = ();

    fn handle(&mut self, close: Close, _: &mut Self::Context) {
        self.rooms.remove(&(close.chat, close.generation));
    }
}

#[cfg(feature = "faults")]
impl Handler<super::Crash> for DbExecutor {
    type Result = ();

    fn handle(&mut self, _: super::Crash, _: &mut Self::Context) {
        super::crash();
    }
}
