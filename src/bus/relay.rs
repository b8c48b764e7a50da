//! The relay: tells other services what stands in the outbox, in order, until each has taken it.
//!
//! One node at a time does it. What makes it the one is a queue that only its connection can have:
//! the broker takes it away together with the connection, so that one who has lost it cannot publish
//! any more, however late it finds out.

mod lanes;

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation, ExchangeKind};
use prometheus_client::metrics::counter::Counter;
use tokio::time::{sleep, timeout};

use self::lanes::{Lanes, Turn, pause};
use super::destination::{Destination, destinations};
use super::event::Event;
use super::{Broker, BusError, Parts};
use crate::db::Store;
use crate::domain::Lane;
use crate::metrics::Metrics;
use crate::settings::RabbitMq;

/// The queue that only the relay has.
const LOCK: &str = "frontdesk.relay";
/// The time between two tries to become the relay.
const LOCK_EVERY: Duration = Duration::from_secs(1);
/// Lanes whose news are on their way at once.
const MOST_LANES: usize = 512;
/// How long is published before what was told is deleted, and the outbox read again. A node that dies
/// leaves as much to be told twice.
const ROUND: Duration = Duration::from_millis(250);
/// How long the broker may take to answer a declaration.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Publishes the outbox, on whichever node holds the lock.
pub struct Relay {
    settings: Arc<RabbitMq>,
    broker: Broker,
    store: Store,
    metrics: Arc<Metrics>,
    destinations: Vec<Destination>,
    lanes: Lanes,
    /// Times in a row that nothing went.
    failures: u32,
    /// Why events wait, as the log has it.
    said: Option<String>,
}

/// What is on its way.
struct Posting {
    lane: Lane,
    event: Event,
    missing: Vec<usize>,
}

/// What the broker said of a posting, of each who lacked it.
type Answers = Vec<(usize, lapin::Result<Confirmation>)>;

/// Why this node is not the relay, or not any more.
enum End {
    /// Another node is.
    Elsewhere,
    /// Its connection is gone, which is in the log already.
    Lost(BusError),
    /// For a reason that somebody can do something about.
    Refused(String),
}

impl From<BusError> for End {
    fn from(error: BusError) -> Self {
        match error.refusal() {
            Some(_) => Self::Refused(error.to_string()),
            None => Self::Lost(error),
        }
    }
}

/// What came of a round.
#[derive(Default)]
struct Progress {
    confirmed: usize,
    refused: usize,
}

impl Relay {
    #[must_use]
    pub fn new(parts: &Parts) -> Self {
        Self {
            settings: Arc::clone(&parts.settings),
            broker: parts.broker.clone(),
            store: parts.desk.store().clone(),
            metrics: Arc::clone(&parts.metrics),
            destinations: destinations(&parts.settings),
            lanes: Lanes::default(),
            failures: 0,
            said: None,
        }
    }

    /// Relays whenever no other node does, for ever.
    pub async fn run(mut self) {
        loop {
            let Err(end) = self.relay().await;
            self.delete_told().await;
            match end {
                End::Elsewhere => sleep(LOCK_EVERY).await,
                End::Lost(error) => {
                    log::debug!("no more events for now: {error}");
                    sleep(pause(1)).await;
                }
                End::Refused(why) => {
                    self.say(why);
                    self.wait_longer().await;
                }
            }
        }
    }

    /// Becomes the relay, and is it as long as its channel lasts.
    async fn relay(&mut self) -> Result<Infallible, End> {
        let channel = self.broker.channel().await?;
        self.lock(&channel).await?;
        self.declare_exchange(&channel).await?;
        self.declare_queues().await;
        answer(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        log::debug!("this node tells other services what happens");
        loop {
            self.delete_told().await;
            match self.store.outbox(self.read_limit()).await {
                Ok(entries) => self.lanes.fill(entries),
                Err(error) => {
                    self.say(format!("the outbox cannot be read: {error}"));
                    self.wait_longer().await;
                    continue;
                }
            }
            let progress = self.round(&channel).await?;
            if progress.confirmed > 0 {
                self.failures = 0;
                if self.lanes.next_try().is_none() {
                    self.all_is_well();
                }
            } else if progress.refused > 0 {
                // It is not one lane's trouble: what comes in meanwhile would fare no better.
                self.wait_longer().await;
                self.declare_queues().await;
            } else {
                self.wait_for_news().await;
            }
            if !channel.status().connected() {
                return Err(End::Lost(BusError::Away));
            }
        }
    }

    /// Declared again by who has it, it is there.
    async fn lock(&self, channel: &Channel) -> Result<(), End> {
        let Some(name) = self.settings.named(LOCK) else { return Ok(()) };
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let declaring = channel.queue_declare(name.as_str().into(), options, FieldTable::default());
        let Err(error) = answer(declaring).await else { return Ok(()) };
        Err(match error.refusal() {
            Some(AMQPSoftError::RESOURCELOCKED) => End::Elsewhere,
            Some(_) => End::Refused(format!("the queue {name} is not to be had: {error}")),
            None => End::Lost(error),
        })
    }

    async fn declare_exchange(&self, channel: &Channel) -> Result<(), End> {
        let Some(name) = self.settings.named(&self.settings.exchange) else { return Ok(()) };
        let passive = !self.settings.declare;
        let options = ExchangeDeclareOptions { passive, durable: true, ..Default::default() };
        let (kind, none) = (ExchangeKind::Topic, FieldTable::default());
        let declaring = channel.exchange_declare(name.as_str().into(), kind, options, none);
        let Err(error) = answer(declaring).await else { return Ok(()) };
        Err(match error.refusal() {
            Some(AMQPSoftError::PRECONDITIONFAILED) => End::Refused(format!(
                "there is another exchange {name} already, which is no durable topic exchange: \
                 delete it, give rabbitmq.exchange another name, or use it as it is with \
                 rabbitmq.declare = false ({error})"
            )),
            Some(AMQPSoftError::NOTFOUND) => End::Refused(format!(
                "there is no exchange {name}, and rabbitmq.declare is off: make it, or turn that on"
            )),
            Some(_) => End::Refused(format!("the exchange {name} is not to be had: {error}")),
            None => End::Lost(error),
        })
    }

    /// Makes the queues that get every event, where they are missing and may be made. One that is not
    /// there all the same is told of when its first event comes back.
    async fn declare_queues(&self) {
        for queue in self.destinations.iter().filter_map(Destination::queue) {
            if let Err(error) = self.broker.queue(queue).await {
                log::debug!("the queue {queue} is not made: {error}");
            }
        }
    }

    /// Publishes what was read, wave after wave: of each lane one, and the next once it was taken.
    async fn round(&mut self, channel: &Channel) -> Result<Progress, End> {
        let ends = Instant::now() + ROUND;
        let mut progress = Progress::default();
        while Instant::now() < ends {
            let wave = self.postings();
            if wave.is_empty() {
                break;
            }
            let (size, confirmed) = (wave.len(), self.publish(channel, wave).await?);
            progress.confirmed += confirmed;
            progress.refused += size - confirmed;
            if confirmed == 0 {
                break;
            }
        }
        Ok(progress)
    }

    /// The events that have their turn.
    fn postings(&self) -> Vec<Posting> {
        let everyone: Vec<usize> = (0..self.destinations.len()).collect();
        let turns = self.lanes.wave(Instant::now(), MOST_LANES);
        let posting = |turn: Turn<'_>| Posting {
            lane: turn.lane,
            event: Event::of(turn.entry, &self.settings.source),
            missing: turn.missing.unwrap_or(&everyone).to_vec(),
        };
        turns.into_iter().map(posting).collect()
    }

    /// Publishes, and waits until the broker has said what became of it. How many were taken by
    /// everyone.
    async fn publish(&mut self, channel: &Channel, wave: Vec<Posting>) -> Result<usize, End> {
        let size = wave.len();
        count(&self.metrics.events_published, size);
        let Some(answers) = self.answers(channel, &wave).await else {
            count(&self.metrics.events_retried, size);
            self.broker.give_up();
            return Err(End::Refused("the broker confirms nothing".to_owned()));
        };
        let broken =
            answers.iter().flatten().find_map(|(_, answer)| answer.as_ref().err().cloned());
        let returned: HashSet<_> = answers.iter().flatten().filter_map(returned).collect();
        let (mut confirmed, mut cause, now) = (0, None, Instant::now());
        for (posting, answers) in wave.iter().zip(&answers) {
            let mut missing = Vec::new();
            for (to, answer) in answers {
                let Some(destination) = self.destinations.get(*to) else { continue };
                let has_returned = destination.queue().is_some_and(|queue| {
                    // Where the channel broke, what came back may not have been handed on.
                    broken.is_some() || returned.contains(&(&*posting.event.id, queue))
                });
                if has_returned || !answer.as_ref().is_ok_and(Confirmation::is_ack) {
                    missing.push(*to);
                    cause = cause.or_else(|| Some(destination.why_not(has_returned)));
                }
            }
            if missing.is_empty() {
                confirmed += 1;
                self.lanes.confirmed(posting.lane);
            } else {
                self.lanes.refused(posting.lane, missing, now);
            }
        }
        count(&self.metrics.events_confirmed, confirmed);
        count(&self.metrics.events_retried, size - confirmed);
        if let Some(error) = broken {
            return Err(BusError::from(error).into());
        }
        if let Some(cause) = cause {
            self.say(cause);
        }
        Ok(confirmed)
    }

    /// What the broker says of each; nothing where it says nothing for too long.
    async fn answers(&self, channel: &Channel, wave: &[Posting]) -> Option<Vec<Answers>> {
        let posts: Vec<_> = wave.iter().map(|posting| self.post(channel, posting)).collect();
        let mut answers = pin!(stream::iter(posts).buffered(MOST_LANES).collect::<Vec<_>>());
        loop {
            match timeout(self.settings.confirm_timeout(), &mut answers).await {
                Ok(answers) => return Some(answers),
                // It is there, and said that it takes nothing: another connection would fare no
                // better.
                Err(_) if self.broker.is_blocked() => {}
                Err(_) => return None,
            }
        }
    }

    /// Publishes to each who lacks it, and only then waits for what the broker says of each.
    async fn post(&self, channel: &Channel, posting: &Posting) -> Answers {
        let mut confirms = Vec::with_capacity(posting.missing.len());
        for &to in &posting.missing {
            if let Some(destination) = self.destinations.get(to) {
                confirms.push((to, destination.publish(channel, &posting.event).await));
            }
        }
        let mut answers = Vec::with_capacity(confirms.len());
        for (to, confirm) in confirms {
            let answer = match confirm {
                Ok(confirm) => confirm.await,
                Err(error) => Err(error),
            };
            answers.push((to, answer));
        }
        answers
    }

    /// Deletes what was told, however long that takes: read again, it would be told again.
    async fn delete_told(&mut self) {
        let told = self.lanes.told();
        if told.is_empty() {
            return;
        }
        while let Err(error) = self.store.clear_outbox(told.clone()).await {
            self.say(format!("the outbox cannot be cleared: {error}"));
            self.wait_longer().await;
        }
        self.lanes.forget_told();
    }

    fn read_limit(&self) -> i64 {
        i64::try_from(self.lanes.limit(self.settings.outbox_batch)).unwrap_or(i64::MAX)
    }

    /// Until this node writes news, another may have, or a lane has waited long enough.
    async fn wait_for_news(&self) {
        let poll = Instant::now() + self.settings.outbox_poll();
        let until = self.lanes.next_try().map_or(poll, |next_try| next_try.min(poll));
        tokio::select! {
            () = self.store.outbox_written() => {}
            () = sleep(until.saturating_duration_since(Instant::now())) => {}
        }
    }

    async fn wait_longer(&mut self) {
        self.failures = self.failures.saturating_add(1);
        sleep(pause(self.failures)).await;
    }

    /// Says why events wait: once, and not at every try until it is over.
    fn say(&mut self, why: String) {
        if self.said.as_ref() != Some(&why) {
            log::warn!("events for other services wait: {why}");
            self.said = Some(why);
        }
    }

    fn all_is_well(&mut self) {
        if self.said.take().is_some() {
            log::info!("events for other services go out again");
        }
    }
}

/// A message that came back since its queue is not there, by its event and the queue. The client
/// library hands it on with whichever confirm comes next, so that all of a wave have to be in before
/// anything is known of one.
fn returned((_, answer): &(usize, lapin::Result<Confirmation>)) -> Option<(&str, &str)> {
    let Ok(Confirmation::Ack(message) | Confirmation::Nack(message)) = answer else {
        return None;
    };
    let message = message.as_ref()?;
    let id = message.properties.message_id().as_ref()?;
    Some((id.as_str(), message.routing_key.as_str()))
}

/// The broker's answer to a declaration.
async fn answer<T>(declaring: impl Future<Output = lapin::Result<T>>) -> Result<T, BusError> {
    Ok(timeout(ANSWER_TIMEOUT, declaring).await.map_err(|_| BusError::Late)??)
}

fn count(counter: &Counter, more: usize) {
    counter.inc_by(u64::try_from(more).unwrap_or(u64::MAX));
}
