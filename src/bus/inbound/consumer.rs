//! Queue consumer: acknowledges messages of other services once they are done.
//!
//! Replies and dead letters are published on the other connection: the broker must be able to block
//! publishing without blocking acknowledgements.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Consumer};
use tokio::sync::{OnceCell, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::dead_letters::DeadLetters;
use super::dispatch::{Dispatch, Disposition, Inbound, Outcome};
use crate::amqp::BusError;
use crate::bus::context::BusContext;
use crate::bus::packet::{Packet, Unreadable};
use crate::cluster::Nodes;
use crate::metrics::Part;
use crate::retry::LogOnce;

/// Pause before a failed queue is read again.
const AGAIN: Duration = Duration::from_secs(1);
/// Prefix of the exclusive queue that serves as the lock of an ordered queue.
const LOCK: &str = "frontdesk.reads.";
/// The broker's deadline for closing a channel.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause before a message is requeued that could not become a dead letter.
const REQUEUE_PAUSE: Duration = Duration::from_secs(1);

/// Reads one queue. Every queue serves every pattern but user events, so one is enough for a
/// service.
pub struct QueueConsumer {
    context: BusContext,
    dispatch: Dispatch,
    queue: String,
    /// The lock of a queue that one node reads at a time, since its messages are done in order. The
    /// broker gives an exclusive queue to one connection alone; an exclusive consumer is not
    /// enough, since some kinds of queues ignore it.
    lock: Option<String>,
    dead_letters: DeadLetters,
}

impl QueueConsumer {
    /// One for each configured queue; one name may serve for several.
    #[must_use]
    pub fn all(context: &BusContext, nodes: &Nodes) -> Vec<Self> {
        let settings = &context.settings;
        let mut queues = BTreeMap::new();
        for (name, is_ordered) in [
            (&settings.rpc_queue, false),
            (&settings.users_queue, true),
            (&settings.gateway_queue, true),
        ] {
            *queues.entry(name).or_default() |= is_ordered;
        }
        let consumer = |(name, is_ordered): (&String, bool)| {
            let accepts_user_events = *name == settings.users_queue;
            Some(Self {
                context: context.clone(),
                dispatch: Dispatch::new(context.clone(), nodes.clone(), accepts_user_events),
                queue: settings.prefixed(name)?,
                lock: settings.prefixed(&format!("{LOCK}{name}")).filter(|_| is_ordered),
                dead_letters: DeadLetters::new(context.clone()),
            })
        };
        queues.into_iter().filter_map(consumer).collect()
    }

    /// Reads until the program ends, through failures of the broker and of the queue.
    pub async fn run(self) {
        tokio::select! {
            () = self.read_again_and_again() => {}
            // Messages in progress are abandoned, and delivered again elsewhere.
            () = self.context.consumer.closing() => {}
        }
    }

    async fn read_again_and_again(&self) {
        let mut log_once = LogOnce::default();
        loop {
            if let Err(error) = self.try_read(&mut log_once).await {
                self.log(&mut log_once, &error);
            }
            sleep(AGAIN).await;
        }
    }

    /// Logs the reason why the queue cannot be read.
    fn log(&self, log_once: &mut LogOnce, error: &BusError) {
        let why = error.to_string();
        if matches!(error, BusError::Away) || !log_once.is_new(&why, Instant::now()) {
            log::debug!("cannot read {}: {why}", self.queue);
            return;
        }
        let is_locked = error.refusal() == Some(AMQPSoftError::RESOURCELOCKED);
        // Another connection may own the queue exclusively.
        if is_locked && self.lock.as_ref().is_some_and(|lock| why.contains(lock)) {
            log::info!("{} is read by another node; this one waits", self.queue);
        } else {
            log::warn!("cannot read {}, and goes on trying: {why}", self.queue);
        }
    }

    /// Reads as long as the channel lasts. Messages without an acknowledgement are abandoned then,
    /// and delivered again: none is done twice, or out of order.
    async fn try_read(&self, log_once: &mut LogOnce) -> Result<(), BusError> {
        let channel = self.context.consumer.channel().await?;
        let end = self.read(&channel, log_once).await;
        // The channel's end frees the messages, and the lock.
        let _ = timeout(CLOSE_TIMEOUT, channel.close(200, "done".into())).await;
        end
    }

    async fn read(&self, channel: &Channel, log_once: &mut LogOnce) -> Result<(), BusError> {
        let mut lock = match &self.lock {
            Some(name) => Some(lock(channel, name).await?),
            None => None,
        };
        self.context.consumer.queue(&self.queue).await?;
        let prefetch = self.context.settings.prefetch;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        // Exclusive: no other consumer may take messages out of order.
        let exclusive = lock.is_some();
        let options = BasicConsumeOptions { exclusive, ..BasicConsumeOptions::default() };
        let mut messages = channel
            .basic_consume(self.queue.as_str().into(), "".into(), options, FieldTable::default())
            .await?;
        log::info!("reading {}", self.queue);
        log_once.is_over(Instant::now());
        let replies = OnceCell::new();
        // As long as the prefetch: the broker sends no more without an acknowledgement.
        let (in_order, mut line) = mpsc::channel::<Message>(prefetch.into());
        let one_by_one = async {
            while let Some(message) = line.recv().await {
                self.handle(&replies, &message).await?;
            }
            Ok(())
        };
        let mut one_by_one = pin!(one_by_one);
        let mut at_once = FuturesUnordered::new();
        loop {
            tokio::select! {
                message = messages.next() => {
                    let Some(delivery) = message.transpose()? else { return Ok(()) };
                    let read = self.dispatch.read(&delivery);
                    let is_ordered = matches!(&read, Ok((_, inbound)) if inbound.is_ordered());
                    let message = Message { delivery, read };
                    if is_ordered {
                        if let Err(full) = in_order.try_send(message) {
                            log::error!("{} exceeds the prefetch: {full}", self.queue);
                            return Ok(());
                        }
                    } else {
                        let replies = &replies;
                        at_once.push(async move { self.handle(replies, &message).await });
                    }
                }
                Some(done) = at_once.next() => done?,
                end = &mut one_by_one => return end,
                () = lost(&mut lock) => return Ok(()),
            }
        }
    }

    /// Handles a message, which is then acknowledged or moved, even after a panic.
    ///
    /// # Errors
    /// Neither: it is delivered again once the channel is closed.
    async fn handle(
        &self,
        replies: &OnceCell<Channel>,
        Message { delivery, read }: &Message,
    ) -> Result<(), BusError> {
        let Outcome { reply, disposition } = match read {
            Ok((packet, inbound)) => {
                let handling = self.dispatch.handle(packet, *inbound, delivery);
                AssertUnwindSafe(handling).catch_unwind().await.unwrap_or_else(|_| {
                    self.context.metrics.panicked(Part::Bus);
                    Outcome::failed()
                })
            }
            Err(unreadable) => Outcome::unreadable(unreadable),
        };
        if let Some(reply) = reply {
            self.reply(replies, delivery, &reply).await?;
        }
        match disposition {
            Disposition::Done => delivery.ack(BasicAckOptions::default()).await?,
            Disposition::Refused => {
                let refuse = BasicNackOptions { requeue: false, ..BasicNackOptions::default() };
                delivery.nack(refuse).await?
            }
            Disposition::Poison(reason) => {
                match self.dead_letters.dead_letter(delivery, &self.queue, &reason).await {
                    Ok(()) => delivery.ack(BasicAckOptions::default()).await?,
                    Err(error) => {
                        log::warn!(
                            "a message of {} cannot become a dead letter: {error:#}",
                            self.queue
                        );
                        sleep(REQUEUE_PAUSE).await;
                        let back =
                            BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                        delivery.nack(back).await?
                    }
                }
            }
        };
        Ok(())
    }

    /// Publishes the reply, and waits for the broker's confirmation. A request without `reply_to`
    /// gets none.
    async fn reply(
        &self,
        replies: &OnceCell<Channel>,
        delivery: &Delivery,
        body: &[u8],
    ) -> Result<(), BusError> {
        let Some(to) = delivery.properties.reply_to() else { return Ok(()) };
        let mut properties = BasicProperties::default().with_headers(FieldTable::default());
        if let Some(id) = delivery.properties.correlation_id() {
            properties = properties.with_correlation_id(id.clone());
        }
        let mut sending = pin!(async {
            let channel = replies.get_or_try_init(|| self.reply_channel()).await?;
            let options = BasicPublishOptions::default();
            let sent = channel.basic_publish("".into(), to.clone(), options, body, properties);
            // A full reply queue is its reader's problem.
            sent.await?.await?;
            Ok(())
        });
        loop {
            match timeout(self.context.settings.confirm_timeout(), &mut sending).await {
                Ok(sent) => return sent,
                // The broker has blocked the connection.
                Err(_) if self.context.broker.is_blocked() => {}
                Err(_) => return Err(BusError::Late),
            }
        }
    }

    async fn reply_channel(&self) -> Result<Channel, BusError> {
        let channel = loop {
            match self.context.broker.channel().await {
                // The broker reads nothing for now.
                Err(BusError::Late) if self.context.broker.is_blocked() => {}
                opened => break opened?,
            }
        };
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }
}

/// A message, parsed.
struct Message {
    delivery: Delivery,
    read: Result<(Packet, Inbound), Unreadable>,
}

/// Declares the lock: exclusive, and deleted with its consumer.
async fn lock(channel: &Channel, name: &str) -> Result<Consumer, BusError> {
    let only_mine =
        QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    channel.queue_declare(name.into(), only_mine, FieldTable::default()).await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    Ok(channel.basic_consume(name.into(), "".into(), options, FieldTable::default()).await?)
}

/// Waits until the lock has been deleted.
async fn lost(lock: &mut Option<Consumer>) {
    match lock {
        Some(lock) => while lock.next().await.is_some_and(|word| word.is_ok()) {},
        None => std::future::pending().await,
    }
}
