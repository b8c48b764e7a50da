//! Times at which users were last seen, written in batches beside the sessions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::catch_panic::catch_panic;
use crate::db::{Store, StoreError};
use crate::domain::{Timestamp, UserId};
use crate::metrics::{Metrics, Part};
use crate::retry::LogOnce;

/// Pause before a batch: who comes and goes in it costs one row.
const PACE: Duration = Duration::from_secs(1);
/// Users in one transaction.
const TOGETHER: usize = 1_024;
/// Users who wait for the database; the time of one more is lost.
const MOST_WAITING: usize = 100_000;

/// A user's last session has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Seen {
    pub user: UserId,
    pub at: Timestamp,
}

/// Asks to write what waits; answered when that is done, or has failed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FlushSeen;

/// Writes the times; nobody waits for it.
pub struct LastSeen {
    store: Store,
    metrics: Arc<Metrics>,
    waiting: HashMap<UserId, Timestamp>,
    /// A batch is to be written soon, or is being written.
    is_busy: bool,
    log_once: LogOnce,
}

impl LastSeen {
    #[must_use]
    pub fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        let (waiting, log_once) = (HashMap::new(), LogOnce::default());
        Self { store, metrics, waiting, is_busy: false, log_once }
    }

    fn write_later(&mut self, ctx: &mut Context<Self>) {
        if !self.waiting.is_empty() && !std::mem::replace(&mut self.is_busy, true) {
            ctx.run_later(PACE, |this, ctx| {
                let batch: Vec<(UserId, Timestamp)> =
                    this.waiting.iter().take(TOGETHER).map(|(user, at)| (*user, *at)).collect();
                let work = this.write(batch.clone());
                ctx.spawn(work.into_actor(this).map(move |written, this, ctx| {
                    this.written(&batch, written);
                    this.is_busy = false;
                    this.write_later(ctx);
                }));
            });
        }
    }

    fn write(
        &self,
        batch: Vec<(UserId, Timestamp)>,
    ) -> impl Future<Output = Result<(), StoreError>> + 'static {
        let store = self.store.clone();
        let work = async move { store.set_last_seen(batch).await };
        catch_panic(work, Part::LastSeen, Arc::clone(&self.metrics))
    }

    /// Forgets what is written. What is not is tried again.
    fn written(&mut self, batch: &[(UserId, Timestamp)], written: Result<(), StoreError>) {
        match written {
            Ok(()) => {
                self.log_once.recovered("writes again when users were last seen");
                for (user, at) in batch {
                    if self.waiting.get(user) == Some(at) {
                        self.waiting.remove(user);
                    }
                }
            }
            Err(error) => {
                self.log_once.warn(&format!("cannot write when users were last seen: {error}"));
            }
        }
    }
}

impl Actor for LastSeen {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Bounded by what it keeps.
        ctx.set_mailbox_capacity(0);
    }
}

impl Handler<Seen> for LastSeen {
    type Result = ();

    fn handle(&mut self, Seen { user, at }: Seen, ctx: &mut Self::Context) {
        if self.waiting.len() < MOST_WAITING || self.waiting.contains_key(&user) {
            self.waiting.insert(user, at);
        }
        self.write_later(ctx);
    }
}

impl Handler<FlushSeen> for LastSeen {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: FlushSeen, _: &mut Self::Context) -> Self::Result {
        let batch: Vec<(UserId, Timestamp)> =
            self.waiting.iter().map(|(user, at)| (*user, *at)).collect();
        let work = self.write(batch.clone());
        Box::pin(work.into_actor(self).map(move |written, this, _| this.written(&batch, written)))
    }
}
