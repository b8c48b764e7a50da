//! Message relay: delivers the outbox to one sink.
//!
//! One node at a time delivers to a sink: the one that has its claim.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::partitions::{Partitions, pause};
use super::{Outcome, RelayExit, Report, Sink};
use crate::db::{Store, StoreError};
use crate::domain::{OrderingKey, Timestamp};

/// Pause between two tries to claim the sink.
const CLAIM_EVERY: Duration = Duration::from_secs(1);
/// Keys of one batch.
const MAX_KEYS: usize = 512;
/// Time between two acknowledgements in the database, each followed by the next read. A node that
/// dies leaves as much to be published twice.
const ROUND: Duration = Duration::from_millis(250);
/// Time without the database after which a relay gives up its claim.
const DATABASE_PATIENCE: Duration = Duration::from_secs(10);
/// Failed claims between two checks that the other node delivers.
const CHECK_EVERY: u32 = 30;
/// Seconds that events may wait while another node has the claim, before that is logged.
const STALLED_SECONDS: i64 = 60;

/// A relay's batch size and pauses.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Rows of one read, besides those that are blocked.
    pub batch: usize,
    /// Pause between two reads of an empty outbox.
    pub poll: Duration,
}

/// Delivers the outbox to one sink, on the node that has its claim.
pub struct Relay<S> {
    sink: S,
    store: Store,
    pace: Pace,
    partitions: Partitions,
    /// Rounds in a row without a published event.
    failures: u32,
    /// The logged reason for waiting events.
    reported: Option<String>,
    /// True if rows of removed sinks are deleted.
    is_tidy: bool,
}

/// The events of a round.
#[derive(Default)]
struct Progress {
    confirmed: usize,
    refused: usize,
}

impl<S: Sink> Relay<S> {
    #[must_use]
    pub fn new(sink: S, store: Store, pace: Pace) -> Self {
        Self {
            sink,
            store,
            pace,
            partitions: Partitions::default(),
            failures: 0,
            reported: None,
            is_tidy: false,
        }
    }

    /// Delivers whenever no other node does, until the program ends.
    pub async fn run(mut self) {
        let mut tries = 0_u32;
        loop {
            let Err(exit) = self.relay().await;
            if let Err(error) = self.delete_published().await {
                log::debug!("published events stay in the outbox: {error}");
            }
            let is_elsewhere = matches!(exit, RelayExit::Elsewhere);
            tries = if is_elsewhere { tries.wrapping_add(1) } else { 0 };
            match exit {
                RelayExit::Elsewhere => {
                    if tries.is_multiple_of(CHECK_EVERY) {
                        self.warn_if_stalled().await;
                    }
                    sleep(CLAIM_EVERY).await;
                }
                RelayExit::Lost(error) => {
                    log::debug!("cannot deliver events to {}: {error}", self.sink.name());
                    sleep(pause(1)).await;
                }
                RelayExit::DatabaseDown(why) => {
                    self.report(why);
                    while self.store.ping().await.is_err() {
                        sleep(CLAIM_EVERY).await;
                    }
                }
                RelayExit::Refused(why) => {
                    self.report(why);
                    self.wait_longer().await;
                }
            }
        }
    }

    /// Claims the sink, and delivers as long as the claim lasts.
    async fn relay(&mut self) -> Result<Infallible, RelayExit> {
        self.sink.claim().await?;
        log::debug!("this node delivers events to {}", self.sink.name());
        self.is_tidy = false;
        let mut last_read = Instant::now();
        loop {
            match self.read().await {
                Ok(()) => last_read = Instant::now(),
                Err(error) if last_read.elapsed() < DATABASE_PATIENCE => {
                    self.report(format!("the outbox cannot be read: {error}"));
                    self.wait_longer().await;
                    continue;
                }
                Err(error) => {
                    self.sink.release().await;
                    let why = format!("the outbox cannot be read: {error}");
                    return Err(RelayExit::DatabaseDown(why));
                }
            }
            let progress = self.round().await?;
            if progress.confirmed > 0 {
                self.failures = 0;
                if self.partitions.next_try().is_none() {
                    self.report_recovery();
                }
            } else if progress.refused > 0 {
                self.sink.repair().await;
                self.failures = self.failures.saturating_add(1);
                sleep(pause(1)).await;
                self.wait_for_events(pause(self.failures)).await;
            } else {
                self.wait_for_events(self.pace.poll).await;
            }
            self.sink.check()?;
        }
    }

    /// Deletes the published events, and reads the next ones.
    async fn read(&mut self) -> Result<(), StoreError> {
        if !self.is_tidy {
            self.store.forget_removed_sinks().await?;
            self.is_tidy = true;
        }
        self.delete_published().await?;
        let limit = i64::try_from(self.partitions.limit(self.pace.batch)).unwrap_or(i64::MAX);
        self.partitions.fill(self.store.outbox(self.sink.name(), limit).await?);
        Ok(())
    }

    /// Publishes the rows, batch after batch: one event of each key, and the next one once that is
    /// published.
    async fn round(&mut self) -> Result<Progress, RelayExit> {
        let end = Instant::now() + ROUND;
        let mut progress = Progress::default();
        while Instant::now() < end {
            let batch = self.partitions.ready(Instant::now(), MAX_KEYS);
            if batch.is_empty() {
                break;
            }
            let keys: Vec<OrderingKey> = batch.iter().map(|ready| ready.key).collect();
            let Report { outcomes, exit } = self.sink.publish(&batch).await;
            let (confirmed, cause) = self.apply_outcomes(&keys, outcomes);
            if let Some(exit) = exit {
                return Err(exit);
            }
            if let Some(cause) = cause {
                self.report(cause);
            }
            progress.confirmed += confirmed;
            progress.refused += keys.len() - confirmed;
            if confirmed == 0 {
                break;
            }
        }
        Ok(progress)
    }

    /// Applies the outcomes of a batch. Returns the number of published events, and the first
    /// error.
    fn apply_outcomes(
        &mut self,
        keys: &[OrderingKey],
        outcomes: Vec<Outcome>,
    ) -> (usize, Option<String>) {
        let (mut confirmed, mut cause, now) = (0, None, Instant::now());
        for (&key, outcome) in keys.iter().zip(outcomes) {
            match outcome {
                Outcome::Published => {
                    confirmed += 1;
                    self.partitions.confirmed(key);
                }
                Outcome::Refused { missing, rest, why } => {
                    self.partitions.refused(key, missing, now, rest);
                    cause = cause.or(Some(why));
                }
            }
        }
        (confirmed, cause)
    }

    /// Deletes the published events, which would be published again otherwise.
    async fn delete_published(&mut self) -> Result<(), StoreError> {
        self.store.published(self.sink.name(), self.partitions.published()).await?;
        self.partitions.forget_published();
        Ok(())
    }

    /// Waits for events of this node, for the poll, or for a blocked key's retry.
    async fn wait_for_events(&self, most: Duration) {
        let latest = Instant::now() + most;
        let until = self.partitions.next_try().map_or(latest, |next_try| next_try.min(latest));
        tokio::select! {
            () = self.store.outbox_written(self.sink.name()) => {}
            () = sleep(until.saturating_duration_since(Instant::now())) => {}
        }
    }

    async fn wait_longer(&mut self) {
        self.failures = self.failures.saturating_add(1);
        sleep(pause(self.failures)).await;
    }

    /// Warns if another node has had the claim for long while events wait.
    async fn warn_if_stalled(&mut self) {
        let due = self.store.outbox(self.sink.name(), 1).await.unwrap_or_default();
        let long_ago = Timestamp::now().seconds() - STALLED_SECONDS;
        if due.first().is_some_and(|entry| entry.at.seconds() < long_ago) {
            self.report(self.sink.stalled());
        }
    }

    /// Logs the reason for waiting events, once.
    fn report(&mut self, why: String) {
        if self.reported.as_ref() != Some(&why) {
            log::warn!("events for {} wait: {why}", self.sink.name());
            self.reported = Some(why);
        }
    }

    fn report_recovery(&mut self) {
        if self.reported.take().is_some() {
            log::info!("events for {} are delivered again", self.sink.name());
        }
    }
}
