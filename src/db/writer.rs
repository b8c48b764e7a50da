//! Writing messages and read marks, many in one transaction.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::outbox::Outbox;
use super::{Store, StoreError, postgres, sqlite};
use crate::domain::{ChatId, Draft, Seq, Stored, UserId};

/// How long a batch that fails is split on, before what is left of it is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be written in one transaction, in this order.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub drafts: Vec<Draft>,
    /// Read marks, after the drafts: a mark beyond the end counts as the end.
    pub marks: Vec<Mark>,
    /// Chats whose last `seq` is asked for, after all that.
    pub heads: Vec<ChatId>,
}

/// How far a user has read a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub chat_id: ChatId,
    pub user_id: UserId,
    pub seq: Seq,
}

/// What became of a [`Batch`], each in the order asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    pub drafts: Vec<Stored>,
    pub marks: Vec<Result<Marked, Refusal>>,
    pub heads: Vec<Result<Seq, Refusal>>,
}

/// Where a read mark stands now, and its chat's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    pub read_seq: Seq,
    pub last_seq: Seq,
}

/// Why there is no answer about a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such chat.
    NoChat,
    /// Nobody can say yet: worth trying again.
    Unavailable,
    /// The database refuses it, and would again.
    Failed,
}

/// What went wrong and was dealt with, since it was last asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriterEvents {
    /// Batches that failed as a whole and were split in two.
    pub splits: u64,
    /// Items that failed alone.
    pub failures: u64,
    /// Connections that were opened after one was lost.
    pub reconnects: u64,
    /// Connections that broke in COMMIT, so that its outcome had to be found out.
    pub unknown_outcomes: u64,
}

/// One executor's connection. Runs one transaction at a time.
pub struct Writer {
    link: Link,
    outbox: Outbox,
    events: WriterEvents,
}

enum Link {
    Postgres(Box<postgres::write::Link>),
    Sqlite(sqlite::File),
}

/// What became of one try to write a batch.
pub enum Attempt {
    Done(Written),
    /// The database refused it and has written nothing of it: one of its items may be why. Whether
    /// that may pass, as another's lock does.
    Refused {
        why: String,
        may_pass: bool,
    },
    /// The database is not there, or too busy. Nothing of it counts as written.
    Unavailable(String),
}

impl Store {
    /// Opens a connection of its own for one executor. The schema must be there.
    pub async fn writer(&self) -> Result<Writer, StoreError> {
        let link = match &self.backend {
            Backend::Postgres(pool) => {
                let (server, tells) = (Arc::clone(&pool.server), self.outbox.is_on());
                let link = postgres::write::Link::open(server, tells).await?;
                Link::Postgres(Box::new(link))
            }
            Backend::Sqlite(file) => Link::Sqlite(file.clone()),
        };
        Ok(Writer { link, outbox: self.outbox.clone(), events: WriterEvents::default() })
    }
}

impl Writer {
    /// Writes the batch in one transaction and answers for each of its items. Never fails as a
    /// whole: an item that the database refuses is found by splitting, and is `Failed` alone. What is
    /// `Unavailable` may be sent again.
    pub async fn write(&mut self, batch: Batch) -> Written {
        let start = Instant::now();
        let mut written = Written::default();
        let mut rest = vec![Arc::new(batch)];
        let mut splits = 0;
        while let Some(batch) = rest.pop() {
            if start.elapsed() > PATIENCE {
                written.append(batch.unavailable());
                continue;
            }
            let attempt = match &mut self.link {
                Link::Postgres(link) => link.write(&batch, splits > 0, &mut self.events).await,
                Link::Sqlite(file) => {
                    let tells = self.outbox.is_on();
                    sqlite::write::write(file, Arc::clone(&batch), tells).await
                }
            };
            match attempt {
                Attempt::Done(done) => {
                    if batch.may_be_news() {
                        self.outbox.wake();
                    }
                    written.append(done);
                }
                Attempt::Refused { why, .. } if batch.len() > 1 => {
                    log::warn!("a batch of {} failed and is split: {why}", batch.len());
                    splits += 1;
                    let (first, second) = batch.halves();
                    rest.push(Arc::new(second));
                    rest.push(Arc::new(first));
                }
                Attempt::Refused { why, may_pass: false } => {
                    log::error!("a write failed: {why}");
                    self.events.failures += 1;
                    written.append(batch.answered(&Stored::Failed, Refusal::Failed));
                }
                Attempt::Refused { why, .. } | Attempt::Unavailable(why) => {
                    log::warn!("a batch of {} was not written: {why}", batch.len());
                    written.append(batch.unavailable());
                }
            }
        }
        self.events.splits += splits;
        written
    }

    /// Whether the connection was there when it was last used. A write reconnects by itself.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        match &self.link {
            Link::Postgres(link) => link.is_connected(),
            Link::Sqlite(_) => true,
        }
    }

    /// What went wrong since this was last asked.
    pub fn take_events(&mut self) -> WriterEvents {
        std::mem::take(&mut self.events)
    }
}

impl Batch {
    /// How many items it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.drafts.len() + self.marks.len() + self.heads.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The chats that are written to, in the order of their ids.
    pub(super) fn locked(&self) -> Vec<ChatId> {
        let drafts = self.drafts.iter().map(|draft| draft.chat_id);
        let chats: BTreeSet<_> = drafts.chain(self.marks.iter().map(|mark| mark.chat_id)).collect();
        chats.into_iter().collect()
    }

    fn may_be_news(&self) -> bool {
        !self.drafts.is_empty() || !self.marks.is_empty()
    }

    fn halves(&self) -> (Self, Self) {
        let middle = self.len() / 2;
        let drafts = middle.min(self.drafts.len());
        let marks = (middle - drafts).min(self.marks.len());
        let heads = middle - drafts - marks;
        let (first_drafts, second_drafts) = self.drafts.split_at(drafts);
        let (first_marks, second_marks) = self.marks.split_at(marks);
        let (first_heads, second_heads) = self.heads.split_at(heads);
        let batch = |drafts: &[Draft], marks: &[Mark], heads: &[ChatId]| Self {
            drafts: drafts.to_vec(),
            marks: marks.to_vec(),
            heads: heads.to_vec(),
        };
        (
            batch(first_drafts, first_marks, first_heads),
            batch(second_drafts, second_marks, second_heads),
        )
    }

    fn unavailable(&self) -> Written {
        self.answered(&Stored::Unavailable, Refusal::Unavailable)
    }

    /// The same answer for each of its items.
    fn answered(&self, stored: &Stored, refusal: Refusal) -> Written {
        Written {
            drafts: vec![stored.clone(); self.drafts.len()],
            marks: vec![Err(refusal); self.marks.len()],
            heads: vec![Err(refusal); self.heads.len()],
        }
    }
}

impl Written {
    fn append(&mut self, mut other: Self) {
        self.drafts.append(&mut other.drafts);
        self.marks.append(&mut other.marks);
        self.heads.append(&mut other.heads);
    }
}
