//! The way to one queue of another service: a channel of its own, so that what goes wrong with one
//! queue leaves the others alone.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Consumer};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::at;
use super::broker::{Broker, BusError};
use super::gateway::{Carried, body};
use super::packet::Reply;
use crate::actors::Forwarded;
use crate::metrics::{AnswerOutcome, ForwardOutcome, Metrics};
use crate::protocol::{Code, Exception};
use crate::settings::RouteKind;

/// Where RabbitMQ puts answers without a queue: they come over the channel that asked.
const REPLY_TO: &str = "amq.rabbitmq.reply-to";
/// Bytes of a service's answer; a larger one is `too_large`.
const MOST_ANSWER: usize = 1 << 20;
/// Characters of a service's refusal that a client is told.
const MOST_MESSAGE: usize = 500;

/// Carries events to one queue, in their order.
pub(super) struct Line {
    queue: String,
    service: String,
    broker: Broker,
    metrics: Arc<Metrics>,
    /// What was said last in the log of what is wrong.
    said: Option<String>,
}

/// An open channel, and what was published there.
struct Open {
    /// Dropped, it is closed.
    channel: Channel,
    replies: Consumer,
    confirms: FuturesUnordered<LocalBoxFuture<'static, (String, lapin::Result<Confirmation>)>>,
    /// By their ids.
    waiting: HashMap<String, Waiting>,
    /// Each waits equally long, so these are in order.
    deadlines: VecDeque<(Instant, String)>,
}

/// An event that the broker has not confirmed, or the service not answered.
struct Waiting {
    carried: Carried,
    /// The broker gave it back, and has not confirmed it yet.
    returned: bool,
    /// The last value of an answer that is to go on.
    value: Option<Box<RawValue>>,
}

impl Line {
    pub fn new(queue: String, service: String, broker: Broker, metrics: Arc<Metrics>) -> Self {
        Self { queue, service, broker, metrics, said: None }
    }

    /// Carries until nobody gives it anything any more.
    pub async fn run(mut self, mut events: mpsc::Receiver<Carried>) {
        while let Some(first) = events.recv().await {
            let opened = timeout_at(first.deadline, self.open()).await;
            match opened.unwrap_or(Err(BusError::Late)) {
                Ok(open) => self.serve(open, first, &mut events).await,
                Err(error) => {
                    self.say(format!("cannot reach queue {}: {error}", self.queue));
                    self.end(first, ForwardOutcome::Unavailable, Err(Exception::unavailable()));
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
            confirms: FuturesUnordered::new(),
            waiting: HashMap::new(),
            deadlines: VecDeque::new(),
        })
    }

    /// Publishes, and hears what became of it, until the channel breaks or there is nothing more to
    /// come. What is left waiting then is `unavailable`.
    async fn serve(
        &mut self,
        mut open: Open,
        first: Carried,
        events: &mut mpsc::Receiver<Carried>,
    ) {
        let mut next = Some(first);
        let broken = loop {
            if let Some(carried) = next.take()
                && let Err(error) = self.publish(&mut open, carried).await
            {
                break Some(error);
            }
            let deadline = open.deadlines.front().map(|(at, _)| *at);
            tokio::select! {
                // What became of the old first: it makes room for the new.
                biased;
                Some((id, confirmation)) = open.confirms.next() => match confirmation {
                    Ok(confirmation) => self.confirmed(&mut open, &id, confirmation),
                    Err(error) => break Some(error.into()),
                },
                delivery = open.replies.next() => match delivery {
                    Some(Ok(delivery)) => self.replied(&mut open, &delivery.properties, &delivery.data),
                    Some(Err(error)) => break Some(error.into()),
                    None => break Some(BusError::Away),
                },
                () = at(deadline) => self.expire(&mut open),
                carried = events.recv() => match carried {
                    Some(carried) => next = Some(carried),
                    None => break None,
                },
            }
        };
        for (_, waiting) in open.waiting.drain() {
            self.end(waiting.carried, ForwardOutcome::Unavailable, Err(Exception::unavailable()));
        }
        if let Some(error) = broken {
            self.say(format!("lost the way to queue {}: {error}", self.queue));
        }
    }

    async fn publish(&mut self, open: &mut Open, carried: Carried) -> Result<(), BusError> {
        if carried.deadline <= Instant::now() {
            // It waited for another one's way to open.
            self.end(carried, ForwardOutcome::Timeout, Err(Exception::unavailable()));
            return Ok(());
        }
        let Carried { forward, id, deadline, .. } = &carried;
        let (id, deadline) = (id.clone(), *deadline);
        let properties = BasicProperties::default()
            .with_headers(FieldTable::default())
            .with_message_id(id.as_str().into());
        let properties = match forward.route.kind {
            // It outlives a restart of the broker; a request's answer would find nobody.
            RouteKind::Event => properties.with_delivery_mode(2),
            RouteKind::Request => properties
                .with_delivery_mode(1)
                .with_correlation_id(id.as_str().into())
                .with_reply_to(REPLY_TO.into()),
        };
        let body = match body(forward, &self.service, &id) {
            Ok(body) => body,
            Err(error) => {
                log::error!("an event for queue {} cannot be written: {error}", self.queue);
                self.end(carried, ForwardOutcome::Unavailable, Err(Exception::unavailable()));
                return Ok(());
            }
        };
        open.waiting.insert(id.clone(), Waiting { carried, returned: false, value: None });
        open.deadlines.push_back((deadline, id.clone()));
        let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
        let queue = self.queue.as_str().into();
        let published = open.channel.basic_publish("".into(), queue, mandatory, &body, properties);
        let confirm = timeout_at(deadline, published).await.map_err(|_| BusError::Late)??;
        open.confirms.push(confirm.map(|confirmation| (id, confirmation)).boxed_local());
        Ok(())
    }

    /// The broker has an event, or has it not. A message that was given back comes with any
    /// confirmation that follows, not only its own: so that one is noted, and this one is not believed.
    fn confirmed(&mut self, open: &mut Open, id: &str, confirmation: Confirmation) {
        let is_ack = confirmation.is_ack();
        let returned = confirmation.take_message();
        if let Some(other) = returned.as_ref().and_then(message_id)
            && let Some(waiting) = open.waiting.get_mut(other)
        {
            waiting.returned = true;
        }
        let Some(waiting) = open.waiting.get(id) else { return };
        if waiting.returned || returned.is_some() || !is_ack {
            self.say(match returned {
                Some(_) => {
                    format!("there is no queue {}, which the gateway is to send to", self.queue)
                }
                None => format!("queue {} takes nothing", self.queue),
            });
            let unavailable = Err(Exception::unavailable());
            return self.conclude(open, id, ForwardOutcome::Unavailable, unavailable);
        }
        if self.said.take().is_some() {
            log::info!("queue {} takes events of clients again", self.queue);
        }
        if waiting.carried.forward.route.kind == RouteKind::Event {
            self.conclude(open, id, ForwardOutcome::Confirmed, Ok(None));
        }
    }

    /// A service has answered, or a part of it. One that comes too late is dropped.
    fn replied(&mut self, open: &mut Open, properties: &BasicProperties, body: &[u8]) {
        let id = properties.correlation_id().as_ref().map(|id| id.as_str().to_owned());
        let asked = id.as_ref().and_then(|id| open.waiting.get_mut(id));
        let (Some(id), Some(waiting)) = (&id, asked) else {
            log::debug!("an answer from queue {} came for nobody, or too late", self.queue);
            return self.metrics.gateway_answer(AnswerOutcome::Unknown);
        };
        if body.len() > MOST_ANSWER {
            let problem =
                format!("the answer has {} bytes, the most are {MOST_ANSWER}", body.len());
            let too_large = Err(Exception::new(Code::TooLarge, problem));
            return self.conclude(open, id, ForwardOutcome::Refused, too_large);
        }
        let reply = match Reply::read(body) {
            Ok(reply) => reply,
            Err(error) => {
                log::error!("an answer from queue {} cannot be read: {error}", self.queue);
                let unavailable = Err(Exception::unavailable());
                return self.conclude(open, id, ForwardOutcome::Unavailable, unavailable);
            }
        };
        if let Some(message) = reply.error {
            let message: String = message.chars().take(MOST_MESSAGE).collect();
            let refused = Err(Exception::new(Code::BadRequest, message));
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

    fn expire(&mut self, open: &mut Open) {
        let now = Instant::now();
        while let Some((_, id)) = open.deadlines.pop_front_if(|(at, _)| *at <= now) {
            self.conclude(open, &id, ForwardOutcome::Timeout, Err(Exception::unavailable()));
        }
    }

    fn conclude(&self, open: &mut Open, id: &str, outcome: ForwardOutcome, answer: Forwarded) {
        if let Some(Waiting { carried, .. }) = open.waiting.remove(id) {
            self.end(carried, outcome, answer);
        }
        // The places of those that went well are not kept until their time is over.
        while let Some((_, id)) = open.deadlines.front()
            && !open.waiting.contains_key(id)
        {
            open.deadlines.pop_front();
        }
    }

    fn end(&self, carried: Carried, outcome: ForwardOutcome, answer: Forwarded) {
        self.metrics.gateway_forward(outcome);
        // Who has gone meanwhile is not told.
        drop(carried.forward.reply.send(answer));
    }

    /// Says what is wrong: once, and not with every event until it is over.
    fn say(&mut self, problem: String) {
        if self.said.as_ref() != Some(&problem) {
            log::warn!("{problem}");
            self.said = Some(problem);
        }
    }
}

fn message_id(returned: &BasicReturnMessage) -> Option<&str> {
    returned.delivery.properties.message_id().as_ref().map(|id| id.as_str())
}
