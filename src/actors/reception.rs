//! Lets people in: finds or makes the users and the customers' own chats, for all that came while
//! the last ones were let in, so that a storm of connections is a few transactions.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::batch_queue::BatchQueue;
use super::caught::caught;
use crate::db::{Admission, Store, StoreError};
use crate::domain::Identity;
use crate::metrics::{Metrics, Part};

/// People let in together.
const TOGETHER: usize = 256;
/// People who wait; one more is `unavailable`.
const MOST_WAITING: usize = 16_384;

/// Asks for a user to be let in; answered over `reply`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Admit {
    pub identity: Identity,
    pub reply: oneshot::Sender<Result<Admission, StoreError>>,
}

pub struct Reception {
    store: Store,
    queue: BatchQueue<Admit>,
    metrics: Arc<Metrics>,
}

impl Reception {
    #[must_use]
    pub fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        Self { store, queue: BatchQueue::default(), metrics }
    }

    fn run(&mut self, ctx: &mut Context<Self>) {
        let mut places = TOGETHER;
        let Some(run) = self.queue.begin(|_| {
            places = places.saturating_sub(1);
            places > 0
        }) else {
            return;
        };
        let (identities, replies): (Vec<_>, Vec<_>) =
            run.into_iter().map(|Admit { identity, reply }| (identity, reply)).unzip();
        let store = self.store.clone();
        let work = async move { store.admit(identities).await };
        let work = caught(work, Part::Reception, Arc::clone(&self.metrics));
        ctx.spawn(work.into_actor(self).map(move |admitted, this, ctx| {
            match admitted {
                Ok(admissions) => {
                    for (reply, admission) in replies.into_iter().zip(admissions) {
                        // Who has gone meanwhile is not told.
                        drop(reply.send(Ok(admission)));
                    }
                }
                Err(error) => {
                    for reply in replies {
                        drop(reply.send(Err(error.clone())));
                    }
                }
            }
            this.queue.end();
            this.run(ctx);
        }));
    }
}

impl Actor for Reception {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MOST_WAITING);
    }
}

impl Handler<Admit> for Reception {
    type Result = ();

    fn handle(&mut self, admit: Admit, ctx: &mut Self::Context) {
        if self.queue.len() >= MOST_WAITING {
            let full = StoreError::Unavailable("too many wait to be let in".to_owned());
            drop(admit.reply.send(Err(full)));
            return;
        }
        self.queue.push(admit);
        self.run(ctx);
    }
}
