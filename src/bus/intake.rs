//! What other services say: taken from the queues, done, and acknowledged only then.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::dead_letters::DeadLetters;
use super::dispatch::{self, Dispatch, Outcome, Verdict};
use super::{BusError, Nodes, Parts};
use crate::metrics::Part;

/// The pause before a queue that could not be read is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// In the broker's words: somebody reads a queue that only one may read.
const TAKEN: &str = "in exclusive use";
/// The pause before a message that could not be put aside goes back.
const UNBURIED: Duration = Duration::from_secs(1);

/// Reads one queue. Every queue serves every pattern, so that a service may do with one.
pub struct Intake {
    parts: Parts,
    dispatch: Dispatch,
    queue: String,
    /// Read by one node at a time: what stands in it is done in its order.
    is_ordered: bool,
    dead_letters: DeadLetters,
}

impl Intake {
    /// One for each of the queues that are set; one name may serve for several.
    #[must_use]
    pub fn all(parts: &Parts, nodes: &Nodes) -> Vec<Self> {
        let settings = &parts.settings;
        let mut queues = BTreeMap::new();
        for (name, is_ordered) in [
            (&settings.rpc_queue, false),
            (&settings.users_queue, true),
            (&settings.gateway_queue, true),
        ] {
            if let Some(name) = settings.named(name) {
                *queues.entry(name).or_default() |= is_ordered;
            }
        }
        let intake = |(queue, is_ordered)| Self {
            parts: parts.clone(),
            dispatch: Dispatch::new(parts.clone(), nodes.clone()),
            queue,
            is_ordered,
            dead_letters: DeadLetters::new(parts.clone()),
        };
        queues.into_iter().map(intake).collect()
    }

    /// Reads until the program ends, whatever becomes of the broker and of the queue.
    pub async fn run(self) {
        tokio::select! {
            () = self.read_again_and_again() => {}
            // What is in work is given up, and delivered again elsewhere.
            () = self.parts.broker.closing() => {}
        }
    }

    async fn read_again_and_again(&self) {
        let mut said = None;
        loop {
            if let Err(error) = self.read(&mut said).await {
                self.say(&mut said, &error);
            }
            sleep(AGAIN).await;
        }
    }

    /// Says why the queue cannot be read: once, and not at every try until it is over.
    fn say(&self, said: &mut Option<String>, error: &BusError) {
        let why = error.to_string();
        if matches!(error, BusError::Away) || said.as_ref() == Some(&why) {
            log::debug!("cannot read {}: {why}", self.queue);
            return;
        }
        if self.is_ordered && why.contains(TAKEN) {
            log::info!("{} is read by another; this node waits for its turn", self.queue);
        } else {
            log::warn!("cannot read {}, and goes on trying: {why}", self.queue);
        }
        *said = Some(why);
    }

    /// Reads as long as the channel lasts. What was not acknowledged by then is given up here, and
    /// delivered again: nothing is left to be done twice, or out of order.
    async fn read(&self, said: &mut Option<String>) -> Result<(), BusError> {
        let channel = self.parts.broker.channel().await?;
        self.parts.broker.queue(&self.queue).await?;
        let prefetch = self.parts.settings.prefetch;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let options =
            BasicConsumeOptions { exclusive: self.is_ordered, ..BasicConsumeOptions::default() };
        let mut messages = channel
            .basic_consume(self.queue.as_str().into(), "".into(), options, FieldTable::default())
            .await?;
        log::info!("reads {}", self.queue);
        *said = None;
        // As long as the prefetch: the broker sends no more before one of them is acknowledged.
        let (in_order, mut line) = mpsc::channel::<Delivery>(prefetch.into());
        let one_by_one = async {
            while let Some(delivery) = line.recv().await {
                self.handle(&channel, &delivery).await;
            }
        };
        let mut one_by_one = std::pin::pin!(one_by_one);
        let mut at_once = FuturesUnordered::new();
        loop {
            tokio::select! {
                message = messages.next() => {
                    let Some(delivery) = message.transpose()? else { return Ok(()) };
                    if dispatch::is_ordered(&delivery) {
                        if let Err(full) = in_order.try_send(delivery) {
                            log::error!("{} sends more than was asked for: {full}", self.queue);
                            return Ok(());
                        }
                    } else {
                        let channel = &channel;
                        at_once.push(async move { self.handle(channel, &delivery).await });
                    }
                }
                Some(()) = at_once.next() => {}
                () = &mut one_by_one => return Ok(()),
            }
        }
    }

    /// Does what a message asks for. It is acknowledged, or goes somewhere, whatever happens; but
    /// where the channel is lost, which gives it back to the broker.
    async fn handle(&self, channel: &Channel, delivery: &Delivery) {
        let outcome = AssertUnwindSafe(self.dispatch.outcome(delivery)).catch_unwind().await;
        let Outcome { reply, verdict } = outcome.unwrap_or_else(|_| {
            self.parts.metrics.panicked(Part::Bus);
            Outcome::failed()
        });
        if let Some(reply) = reply {
            self.reply(channel, delivery, &reply).await;
        }
        let settled = match verdict {
            Verdict::Done => delivery.ack(BasicAckOptions::default()).await,
            Verdict::Refused => {
                let refuse = BasicNackOptions { requeue: false, ..BasicNackOptions::default() };
                delivery.nack(refuse).await
            }
            Verdict::Poison(reason) => {
                match self.dead_letters.bury(delivery, &self.queue, &reason).await {
                    Ok(()) => delivery.ack(BasicAckOptions::default()).await,
                    Err(error) => {
                        log::warn!("a message of {} cannot be put aside: {error:#}", self.queue);
                        sleep(UNBURIED).await;
                        let back =
                            BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                        delivery.nack(back).await
                    }
                }
            }
        };
        if let Err(error) = settled {
            log::debug!("a message of {} will be delivered again: {error}", self.queue);
        }
    }

    /// Answers whoever asked. Who does not say where an answer goes wants none.
    async fn reply(&self, channel: &Channel, delivery: &Delivery, body: &[u8]) {
        let Some(to) = delivery.properties.reply_to() else { return };
        let mut properties = BasicProperties::default().with_headers(FieldTable::default());
        if let Some(id) = delivery.properties.correlation_id() {
            properties = properties.with_correlation_id(id.clone());
        }
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), to.clone(), options, body, properties).await;
        if let Err(error) = sent {
            log::debug!("a request from {} will be delivered again: {error}", self.queue);
        }
    }
}
