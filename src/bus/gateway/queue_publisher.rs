//! Queue publisher: forwards events to one queue of another service, on a channel of its own, so that
//! a failure of one queue leaves the others alone.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Consumer};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::{QueuedForward, Slot, body};
use crate::actors::{Forward, ForwardResponder, ForwardResult};
use crate::amqp::PERSISTENT;
use crate::amqp::{Broker, BusError};
use crate::bus::confirm_batch::{ConfirmBatch, PublishOutcome};
use crate::bus::context::at;
use crate::bus::packet::Reply;
use crate::metrics::{AnswerOutcome, ForwardOutcome, Metrics};
use crate::protocol::{ApiError, Code};
use crate::retry::LogOnce;
use crate::settings::{RabbitMq, RouteKind};

/// RabbitMQ's pseudo-queue for replies: they arrive on the channel that asked.
const REPLY_TO: &str = "amq.rabbitmq.reply-to";
/// Bytes of a service's answer; a larger one is `too_large`.
const MOST_ANSWER: usize = 1 << 20;
/// Characters of a service's refusal that are shown to a client.
const MOST_MESSAGE: usize = 500;
/// Events that are published before their confirmations are awaited.
const MOST_TOGETHER: usize = 256;
/// Time for which a request keeps its slot after its session has ended.
const LOOK: Duration = Duration::from_secs(1);

/// Publishes events to one queue, in order.
pub(super) struct QueuePublisher {
    queue: String,
    settings: Arc<RabbitMq>,
    broker: Broker,
    metrics: Arc<Metrics>,
    log_once: LogOnce,
}

/// An open channel, and its events in flight.
struct Open {
    /// Dropped, it is closed.
    channel: Channel,
    replies: Consumer,
    /// Events behind the batch; all have the same deadline, so the first ends first.
    unsent: VecDeque<QueuedForward>,
    batch: ConfirmBatch,
    /// Deadline of the batch's confirmations.
    wave_ends: Instant,
    /// Published forwards, by id.
    waiting: HashMap<String, Waiting>,
    /// In order, as above.
    deadlines: VecDeque<(Instant, String)>,
}

/// An event without a confirmation, or without the service's answer.
struct Waiting {
    responder: ForwardResponder,
    kind: RouteKind,
    /// The last value of an unfinished answer.
    value: Option<Box<RawValue>>,
    _slot: Slot,
}

impl QueuePublisher {
    pub fn new(
        queue: String,
        settings: Arc<RabbitMq>,
        broker: Broker,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { queue, settings, broker, metrics, log_once: LogOnce::default() }
    }

    /// Publishes until the last sender is dropped.
    pub async fn run(mut self, mut events: mpsc::Receiver<QueuedForward>) {
        while let Some(first) = events.recv().await {
            let opened = timeout_at(first.deadline, self.open()).await;
            match opened.unwrap_or(Err(BusError::Late)) {
                Ok(open) => self.serve(open, first, &mut events).await,
                Err(error) => {
                    self.log_once.warn(&format!("cannot reach queue {}: {error}", self.queue));
                    self.fail(first.forward.responder, ForwardOutcome::Unavailable);
                }
            }
        }
    }

    async fn open(&self) -> Result<Open, BusError> {
        let channel = self.broker.try_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let without_acks = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let arguments = FieldTable::default();
        let replies =
            channel.basic_consume(REPLY_TO.into(), "".into(), without_acks, arguments).await?;
        Ok(Open {
            channel,
            replies,
            unsent: VecDeque::new(),
            batch: ConfirmBatch::default(),
            wave_ends: Instant::now(),
            waiting: HashMap::new(),
            deadlines: VecDeque::new(),
        })
    }

    /// Publishes, and handles confirmations and answers, until the channel breaks or the last
    /// sender is dropped. Events that are still waiting then are `unavailable`.
    async fn serve(
        &mut self,
        mut open: Open,
        first: QueuedForward,
        events: &mut mpsc::Receiver<QueuedForward>,
    ) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        open.unsent.push_back(first);
        let broken = loop {
            if open.batch.is_over()
                && let Err(error) = self.publish(&mut open).await
            {
                break Some(error);
            }
            let deadline = open.first_deadline();
            let is_sending = !open.batch.is_over();
            tokio::select! {
                // Outcomes first: they make room for new events.
                biased;
                outcomes = open.batch.end(), if is_sending => match outcomes {
                    Ok(outcomes) => self.confirmed(&mut open, outcomes),
                    Err(error) => break Some(error.into()),
                },
                delivery = open.replies.next() => match delivery {
                    Some(Ok(delivery)) => self.replied(&mut open, &delivery.properties, &delivery.data),
                    Some(Err(error)) => break Some(error.into()),
                    None => break Some(BusError::Away),
                },
                () = at(deadline) => self.expire(&mut open),
                () = at(Some(open.wave_ends)), if is_sending => break Some(BusError::Late),
                _ = look.tick(), if !open.waiting.is_empty() => self.abandon(&mut open),
                carried = events.recv() => match carried {
                    Some(carried) => open.unsent.push_back(carried),
                    None => break None,
                },
            }
        };
        let unsent = open.unsent.into_iter().map(|carried| carried.forward.responder);
        for responder in open.waiting.into_values().map(|waiting| waiting.responder).chain(unsent) {
            self.fail(responder, ForwardOutcome::Unavailable);
        }
        if let Some(error) = broken {
            self.log_once.warn(&format!("lost the way to queue {}: {error}", self.queue));
        }
    }

    /// Publishes the events that have arrived, as the next batch.
    async fn publish(&mut self, open: &mut Open) -> Result<(), BusError> {
        open.wave_ends = Instant::now() + self.settings.confirm_timeout();
        while open.batch.len() < MOST_TOGETHER
            && let Some(carried) = open.unsent.pop_front()
        {
            self.publish_one(open, carried).await?;
        }
        Ok(())
    }

    async fn publish_one(&self, open: &mut Open, carried: QueuedForward) -> Result<(), BusError> {
        let QueuedForward { forward, id, deadline, slot } = carried;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.fail(forward.responder, ForwardOutcome::Timeout);
            return Ok(());
        }
        let properties = BasicProperties::default()
            .with_headers(FieldTable::default())
            .with_message_id(id.as_str().into());
        let kind = forward.route.kind;
        let properties = match kind {
            RouteKind::Event => properties.with_delivery_mode(PERSISTENT),
            // Transient: after its deadline nobody waits for the answer.
            RouteKind::Request => properties
                .with_delivery_mode(1)
                .with_expiration(left.as_millis().to_string().into())
                .with_correlation_id(id.as_str().into())
                .with_reply_to(REPLY_TO.into()),
        };
        let body = match body(&forward, &self.settings.gateway_service, &id) {
            Ok(body) => body,
            Err(error) => {
                log::error!("cannot encode an event for queue {}: {error}", self.queue);
                self.fail(forward.responder, ForwardOutcome::Unavailable);
                return Ok(());
            }
        };
        // The client's fields are in the body now; a second copy would be waste.
        let Forward { responder, .. } = forward;
        open.waiting.insert(id.clone(), Waiting { responder, kind, value: None, _slot: slot });
        open.deadlines.push_back((deadline, id.clone()));
        let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
        let queue = self.queue.as_str().into();
        let published = open.channel.basic_publish("".into(), queue, mandatory, &body, properties);
        let confirm = timeout_at(deadline, published).await.map_err(|_| BusError::Late)??;
        open.batch.push(id, confirm);
        Ok(())
    }

    /// Handles the broker's confirmations of a batch.
    fn confirmed(&mut self, open: &mut Open, outcomes: Vec<(String, PublishOutcome)>) {
        for (id, outcome) in outcomes {
            let Some(waiting) = open.waiting.get(&id) else { continue };
            match outcome {
                PublishOutcome::Taken => {
                    let recovered = format!("queue {} takes events of clients again", self.queue);
                    self.log_once.recovered(&recovered);
                    if waiting.kind == RouteKind::Event {
                        self.conclude(open, &id, ForwardOutcome::Confirmed, Ok(None));
                    }
                    continue;
                }
                PublishOutcome::Refused => {
                    self.log_once.warn(&format!("queue {} takes nothing", self.queue));
                }
                PublishOutcome::Returned => self.log_once.warn(&format!(
                    "there is no queue {}, which the gateway is to send to",
                    self.queue
                )),
            }
            let unavailable = Err(ApiError::unavailable());
            self.conclude(open, &id, ForwardOutcome::Unavailable, unavailable);
        }
    }

    /// Handles a service's answer, or a part of one. A late one is dropped.
    fn replied(&mut self, open: &mut Open, properties: &BasicProperties, body: &[u8]) {
        let id = properties.correlation_id().as_ref().map(|id| id.as_str().to_owned());
        let asked = id.as_ref().and_then(|id| open.waiting.get_mut(id));
        let (Some(id), Some(waiting)) = (&id, asked) else {
            log::debug!("dropped an answer from queue {}: unknown, or too late", self.queue);
            return self.metrics.gateway_answer(AnswerOutcome::Unknown);
        };
        if body.len() > MOST_ANSWER {
            let problem =
                format!("the answer has {} bytes, the most are {MOST_ANSWER}", body.len());
            let too_large = Err(ApiError::new(Code::TooLarge, problem));
            return self.conclude(open, id, ForwardOutcome::Refused, too_large);
        }
        let reply = match Reply::read(body) {
            Ok(reply) => reply,
            Err(error) => {
                self.log_once
                    .warn(&format!("an answer from queue {} cannot be read: {error}", self.queue));
                let problem = "the service's answer cannot be read";
                let unreadable = Err(ApiError::new(Code::Internal, problem));
                return self.conclude(open, id, ForwardOutcome::Unreadable, unreadable);
            }
        };
        if let Some(message) = reply.error {
            let message: String = message.chars().take(MOST_MESSAGE).collect();
            let refused = Err(ApiError::new(Code::BadRequest, message));
            return self.conclude(open, id, ForwardOutcome::Refused, refused);
        }
        // Of several values the last one counts.
        let value = reply.value.or_else(|| waiting.value.take());
        if reply.is_last {
            self.conclude(open, id, ForwardOutcome::Answered, Ok(value));
        } else {
            waiting.value = value;
        }
    }

    fn expire(&self, open: &mut Open) {
        let now = Instant::now();
        while let Some(late) = open.unsent.pop_front_if(|carried| carried.deadline <= now) {
            self.fail(late.forward.responder, ForwardOutcome::Timeout);
        }
        while let Some((_, id)) = open.deadlines.pop_front_if(|(at, _)| *at <= now) {
            self.conclude(open, &id, ForwardOutcome::Timeout, Err(ApiError::unavailable()));
        }
    }

    /// Abandons requests whose sessions have ended.
    fn abandon(&self, open: &mut Open) {
        let is_gone =
            |waiting: &Waiting| waiting.kind == RouteKind::Request && waiting.responder.is_gone();
        for (_, gone) in open.waiting.extract_if(|_, waiting| is_gone(waiting)) {
            self.fail(gone.responder, ForwardOutcome::Abandoned);
        }
        open.forget_deadlines();
    }

    fn conclude(&self, open: &mut Open, id: &str, outcome: ForwardOutcome, answer: ForwardResult) {
        if let Some(waiting) = open.waiting.remove(id) {
            self.end(waiting.responder, outcome, answer);
        }
        open.forget_deadlines();
    }

    fn fail(&self, responder: ForwardResponder, outcome: ForwardOutcome) {
        self.end(responder, outcome, Err(ApiError::unavailable()));
    }

    fn end(&self, responder: ForwardResponder, outcome: ForwardOutcome, answer: ForwardResult) {
        let fits = responder.answer(answer);
        self.metrics.gateway_forward(if fits { outcome } else { ForwardOutcome::Unavailable });
    }
}

impl Open {
    fn first_deadline(&self) -> Option<Instant> {
        let unsent = self.unsent.front().map(|carried| carried.deadline);
        let published = self.deadlines.front().map(|(at, _)| *at);
        unsent.into_iter().chain(published).min()
    }

    /// Deadlines of finished events are removed early.
    fn forget_deadlines(&mut self) {
        while self.deadlines.pop_front_if(|(_, id)| !self.waiting.contains_key(id)).is_some() {}
    }
}
