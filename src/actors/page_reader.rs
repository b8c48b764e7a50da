//! Reads what sessions missed: many ranges over many chats in one query, gathered while the last
//! one ran, so that thousands who come back at once are a few queries.

use std::sync::Arc;

use actix::prelude::*;

use super::batch_queue::BatchQueue;
use super::catch_panic::catch_panic;
use crate::db::{Range, Store};
use crate::domain::{self, Seq};
use crate::metrics::{Metrics, Part};

/// Messages in one page.
const PAGE_MESSAGES: i64 = 100;
/// Bytes of text in one page; a single longer message is a page of its own.
const PAGE_BYTES: usize = 256 * 1024;
/// Ranges in one query.
const RANGES: usize = 64;

/// Asks for the first page of a range; answered by [`PageRead`].
#[derive(Message)]
#[rtype(result = "()")]
pub struct ReadPage {
    pub range: Range,
    pub room: Recipient<PageRead>,
}

/// A page that was read, or not.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PageRead {
    pub after: Seq,
    pub up_to: Seq,
    pub messages: Option<Vec<domain::Message>>,
}

pub struct PageReader {
    store: Store,
    queue: BatchQueue<ReadPage>,
    metrics: Arc<Metrics>,
}

impl PageReader {
    #[must_use]
    pub fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        Self { store, queue: BatchQueue::default(), metrics }
    }

    fn run(&mut self, ctx: &mut Context<Self>) {
        let mut places = RANGES;
        let Some(run) = self.queue.begin(|_| {
            places = places.saturating_sub(1);
            places > 0
        }) else {
            return;
        };
        let store = self.store.clone();
        let ranges: Vec<Range> = run.iter().map(|read| read.range).collect();
        let read = async move { store.ranges(ranges, PAGE_MESSAGES, PAGE_BYTES).await };
        let read = catch_panic(read, Part::Reader, Arc::clone(&self.metrics));
        ctx.spawn(read.into_actor(self).map(move |pages, this, ctx| {
            let mut pages = match pages {
                Ok(pages) => pages.into_iter(),
                Err(error) => {
                    log::warn!("cannot read what {} sessions or rooms miss: {error}", run.len());
                    Vec::new().into_iter()
                }
            };
            for ReadPage { range, room } in run {
                let messages = pages.next();
                this.metrics.replayed.inc_by(messages.as_ref().map_or(0, Vec::len) as u64);
                // Bounded: one answer for each question.
                room.do_send(PageRead { after: range.after, up_to: range.up_to, messages });
            }
            this.queue.end();
            this.run(ctx);
        }));
    }
}

impl Actor for PageReader {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Bounded by the sessions and rooms, each of which has one question under way.
        ctx.set_mailbox_capacity(0);
    }
}

impl Handler<ReadPage> for PageReader {
    type Result = ();

    fn handle(&mut self, read: ReadPage, ctx: &mut Self::Context) {
        self.queue.push(read);
        self.run(ctx);
    }
}
