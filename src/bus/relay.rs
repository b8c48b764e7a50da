//! The relay: tells other services what stands in the outbox, in order, until each has taken it.
//!
//! One node at a time does it. What makes it the one is a queue that only its connection can have:
//! the broker takes it away together with the connection, so that one who has lost it cannot publish
//! any more, however late it finds out.

mod ground;
mod lanes;

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Confirmation};
use prometheus_client::metrics::counter::Counter;
use tokio::time::{sleep, timeout};

use self::ground::answer;
use self::lanes::{Lanes, Turn, pause};
use super::destination::{Destination, destinations};
use super::event::Event;
use super::{Broker, BusError, Parts};
use crate::db::{Store, StoreError};
use crate::domain::Lane;
use crate::metrics::Metrics;
use crate::settings::RabbitMq;

/// The time between two tries to become the relay.
const LOCK_EVERY: Duration = Duration::from_secs(1);
/// Lanes whose news are on their way at once.
const MOST_LANES: usize = 512;
/// How long is published before what was told is deleted, and the outbox read again. A node that dies
/// leaves as much to be told twice.
const ROUND: Duration = Duration::from_millis(250);
/// How long the relay may be without the database before another node has its turn.
const BLIND: Duration = Duration::from_secs(10);
/// Tries to become the relay between two looks at whether it does its work.
const SUSPICION: u32 = 30;
/// Whether the broker gives back what has no queue.
const MANDATORY: bool = true;

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
type Answers = Vec<(usize, Result<Confirmation, Missed>)>;

/// Why nothing was said of it.
#[derive(Debug)]
enum Missed {
    /// It may be taken yet, and is published again all the same.
    Late,
    Broken(lapin::Error),
}

/// Why this node is not the relay, or not any more.
enum End {
    /// Another node is.
    Elsewhere,
    /// Its connection is gone, which is in the log already.
    Lost(BusError),
    /// The database cannot be read or written from here: another node may do better.
    Blind(String),
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
            store: parts.app.store().clone(),
            metrics: Arc::clone(&parts.metrics),
            destinations: destinations(&parts.settings),
            lanes: Lanes::default(),
            failures: 0,
            said: None,
        }
    }

    /// Relays whenever no other node does, for ever.
    pub async fn run(mut self) {
        let mut tries = 0_u32;
        loop {
            let Err(end) = self.relay().await;
            if let Err(error) = self.delete_told().await {
                log::debug!("what was told stays in the outbox for now: {error}");
            }
            tries = if matches!(end, End::Elsewhere) { tries.wrapping_add(1) } else { 0 };
            match end {
                End::Elsewhere => {
                    if tries.is_multiple_of(SUSPICION) {
                        self.suspect().await;
                    }
                    sleep(LOCK_EVERY).await;
                }
                End::Lost(error) => {
                    log::debug!("no more events for now: {error}");
                    sleep(pause(1)).await;
                }
                End::Blind(why) => {
                    self.say(why);
                    while self.store.ping().await.is_err() {
                        sleep(LOCK_EVERY).await;
                    }
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
        let mut sees = Instant::now();
        loop {
            match self.look().await {
                Ok(()) => sees = Instant::now(),
                Err(error) if sees.elapsed() < BLIND => {
                    self.say(format!("the outbox cannot be read: {error}"));
                    self.wait_longer().await;
                    continue;
                }
                Err(error) => {
                    self.unlock(&channel).await;
                    return Err(End::Blind(format!("the outbox cannot be read: {error}")));
                }
            }
            let progress = self.round(&channel).await?;
            if progress.confirmed > 0 {
                self.failures = 0;
                if self.lanes.next_try().is_none() {
                    self.all_is_well();
                }
            } else if progress.refused > 0 {
                self.declare_queues().await;
                self.failures = self.failures.saturating_add(1);
                sleep(pause(1)).await;
                self.wait_for_news(pause(self.failures)).await;
            } else {
                self.wait_for_news(self.settings.outbox_poll()).await;
            }
            if !channel.status().connected() {
                return Err(End::Lost(BusError::Away));
            }
        }
    }

    /// Deletes what was told, and reads what is next.
    async fn look(&mut self) -> Result<(), StoreError> {
        self.delete_told().await?;
        self.lanes.fill(self.store.outbox(self.read_limit()).await?);
        Ok(())
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
        let posts: Vec<_> = wave.iter().map(|posting| self.post(channel, posting)).collect();
        let answers = stream::iter(posts).buffered(MOST_LANES).collect::<Vec<_>>().await;
        let broken = answers.iter().flatten().find_map(|(_, answer)| match answer {
            Err(Missed::Broken(error)) => Some(error.clone()),
            Ok(_) | Err(Missed::Late) => None,
        });
        let returned: HashSet<_> = answers.iter().flatten().filter_map(returned).collect();
        let (mut confirmed, mut cause, now) = (0, None, Instant::now());
        let mut any_is_late = false;
        for (posting, answers) in wave.iter().zip(&answers) {
            let mut missing = Vec::new();
            let mut is_late = false;
            for (to, answer) in answers {
                let Some(destination) = self.destinations.get(*to) else { continue };
                let has_returned = destination.queue().is_some_and(|queue| {
                    // Where the channel broke, what came back may not have been handed on.
                    broken.is_some() || returned.contains(&(&*posting.event.id, queue))
                });
                is_late |= matches!(answer, Err(Missed::Late));
                if has_returned || !answer.as_ref().is_ok_and(Confirmation::is_ack) {
                    missing.push(*to);
                    cause = cause.or_else(|| Some(destination.why_not(has_returned)));
                }
            }
            if missing.is_empty() {
                confirmed += 1;
                self.lanes.confirmed(posting.lane);
            } else {
                // A wave that it is in lasts as long as it is waited for: the others have most of
                // the time.
                let rest =
                    if is_late { self.settings.confirm_timeout() * 4 } else { Duration::ZERO };
                self.lanes.refused(posting.lane, missing, now, rest);
            }
            any_is_late |= is_late;
        }
        count(&self.metrics.events_confirmed, confirmed);
        count(&self.metrics.events_retried, size - confirmed);
        if let Some(error) = broken {
            return Err(BusError::from(error).into());
        }
        if any_is_late && confirmed == 0 {
            self.broker.give_up();
            return Err(End::Refused("the broker confirms nothing".to_owned()));
        }
        if let Some(cause) = cause {
            self.say(cause);
        }
        Ok(confirmed)
    }

    /// Publishes to each who lacks it, and only then waits for what the broker says of each.
    async fn post(&self, channel: &Channel, posting: &Posting) -> Answers {
        let mut confirms = Vec::with_capacity(posting.missing.len());
        for &to in &posting.missing {
            if let Some(destination) = self.destinations.get(to) {
                let published = destination.publish(channel, &posting.event, MANDATORY);
                confirms.push((to, self.in_time(published).await));
            }
        }
        let mut answers = Vec::with_capacity(confirms.len());
        for (to, confirm) in confirms {
            let answer = match confirm {
                Ok(confirm) => self.in_time(confirm).await,
                Err(missed) => Err(missed),
            };
            answers.push((to, answer));
        }
        answers
    }

    /// What the broker says, unless it takes too long. One that said that it takes nothing is waited
    /// for: another connection would fare no better.
    async fn in_time<T>(
        &self,
        saying: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, Missed> {
        let mut saying = pin!(saying);
        loop {
            match timeout(self.settings.confirm_timeout(), &mut saying).await {
                Ok(said) => return said.map_err(Missed::Broken),
                Err(_) if self.broker.is_blocked() => {}
                Err(_) => return Err(Missed::Late),
            }
        }
    }

    /// Deletes what was told: read again, it would be told again.
    async fn delete_told(&mut self) -> Result<(), StoreError> {
        self.store.clear_outbox(self.lanes.told()).await?;
        self.lanes.forget_told();
        Ok(())
    }

    fn read_limit(&self) -> i64 {
        i64::try_from(self.lanes.limit(self.settings.outbox_batch)).unwrap_or(i64::MAX)
    }

    /// Until this node writes news, another may have, or a lane has waited long enough.
    async fn wait_for_news(&self, most: Duration) {
        let latest = Instant::now() + most;
        let until = self.lanes.next_try().map_or(latest, |next_try| next_try.min(latest));
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
fn returned((_, answer): &(usize, Result<Confirmation, Missed>)) -> Option<(&str, &str)> {
    let Ok(Confirmation::Ack(message) | Confirmation::Nack(message)) = answer else {
        return None;
    };
    let message = message.as_ref()?;
    let id = message.properties.message_id().as_ref()?;
    Some((id.as_str(), message.routing_key.as_str()))
}

fn count(counter: &Counter, more: usize) {
    counter.inc_by(u64::try_from(more).unwrap_or(u64::MAX));
}
