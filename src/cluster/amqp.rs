//! RabbitMQ driver of the backplane: one direct exchange, and a queue for each node.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Consumer, ExchangeKind};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::backplane::{Delivery, Event, Port, Publication, Publications};
use crate::amqp::{Broker, BusError};
use crate::domain::NodeId;
use crate::retry::{Backoff, LogOnce};
use crate::settings::RabbitMq;

/// The exchange of all nodes.
const EXCHANGE: &str = "frontdesk.nodes";
/// Prefix of a node's queue, followed by its id and the number of the connection.
const QUEUE: &str = "frontdesk.node";
/// The routing key of messages that may be for several nodes.
const ALL: &str = "all";
/// Messages that the broker keeps for a node; the oldest are dropped.
const QUEUE_MESSAGES: i32 = 65_536;
/// Messages in work that are not acknowledged yet.
const PREFETCH: u16 = 256;
/// The deadline for opening channels, exchange and queue.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Drives a node's backplane over RabbitMQ.
pub struct AmqpDriver {
    broker: Broker,
    settings: Arc<RabbitMq>,
    node: NodeId,
}

/// The open channels. Dropped, they are closed.
struct Link {
    messages: Consumer,
    channel: Channel,
    /// For messages to one node. One at a time: a returned message arrives with the next
    /// confirmation of its channel, whichever that is.
    confirming: Channel,
    exchange: String,
    confirm_timeout: Duration,
}

impl AmqpDriver {
    #[must_use]
    pub fn new(broker: Broker, settings: Arc<RabbitMq>, node: NodeId) -> Self {
        Self { broker, settings, node }
    }

    /// Drives until the broker is closed, or the last handle to the backplane is dropped.
    pub async fn run(self, mut port: Port) {
        let (mut backoff, mut log_once) = (Backoff::default(), LogOnce::default());
        for count in 1.. {
            tokio::select! {
                biased;
                () = self.broker.connected() => {}
                // Other nodes are optional: nothing waits for the broker.
                () = port.publications.refuse_all() => return,
                () = self.broker.closing() => return,
            }
            // Publications wait while the connection opens.
            let opened = tokio::select! {
                opened = timeout(OPEN_TIMEOUT, self.open(count)) => {
                    opened.unwrap_or(Err(BusError::Late))
                }
                () = self.broker.closing() => return,
            };
            let error = match opened {
                Ok(link) => {
                    backoff.reset();
                    log_once.recovered("other nodes can be reached again");
                    let ended = tokio::select! {
                        ended = link.serve(&mut port) => ended,
                        () = self.broker.closing() => return,
                    };
                    match ended {
                        Ok(()) => return,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            log_once.warn(&format!("other nodes cannot be reached: {error}"));
            tokio::select! {
                () = backoff.wait() => {}
                () = port.publications.refuse_all() => return,
                () = self.broker.closing() => return,
            }
        }
    }

    /// Declares the exchange and the queue, whatever `rabbitmq.declare` says: they are the nodes' own.
    async fn open(&self, count: u64) -> Result<Link, BusError> {
        let named = |name: &str| self.settings.prefixed(name).unwrap_or_default();
        // A new name each time: the broker may not have noticed the end of the last connection.
        let queue = named(&format!("{QUEUE}.{}.{count}", self.node));
        let exchange = named(EXCHANGE);
        let channel = self.broker.channel().await?;
        let confirming = self.broker.channel().await?;
        confirming.confirm_select(ConfirmSelectOptions::default()).await?;
        let declare =
            ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        let name = || exchange.as_str().into();
        channel
            .exchange_declare(name(), ExchangeKind::Direct, declare, FieldTable::default())
            .await?;
        let own = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        let mut bounded = FieldTable::default();
        bounded.insert("x-max-length".into(), AMQPValue::LongInt(QUEUE_MESSAGES));
        channel.queue_declare(queue.as_str().into(), own, bounded).await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
        let messages = channel
            .basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default())
            .await?;
        // Last: a queue without a consumer would stay, and receive the next one's messages.
        for key in [self.node.to_string(), ALL.to_owned()] {
            let (options, none) = (QueueBindOptions::default(), FieldTable::default());
            channel.queue_bind(queue.as_str().into(), name(), key.into(), options, none).await?;
        }
        let confirm_timeout = self.settings.confirm_timeout();
        Ok(Link { messages, channel, confirming, exchange, confirm_timeout })
    }
}

impl Link {
    /// Sends and receives, until something breaks.
    async fn serve(self, port: &mut Port) -> Result<(), BusError> {
        let Self { messages, channel, confirming, exchange, confirm_timeout } = self;
        if port.events.send(Event::Connected).await.is_err() {
            return Ok(());
        }
        let ended = {
            let receiving = receive(messages, &port.events);
            let sender = Sender { channel, confirming, exchange, confirm_timeout };
            // Concurrent, so that neither waits for the other: the node publishes while it handles
            // events.
            let sending = sender.send_all(&mut port.publications);
            let (mut receiving, mut sending) = (pin!(receiving), pin!(sending));
            tokio::select! {
                ended = &mut receiving => ended,
                ended = &mut sending => ended,
            }
        };
        // Without a receiver, the node is gone.
        let told = port.events.send(Event::Disconnected).await;
        if told.is_err() { Ok(()) } else { ended }
    }
}

async fn receive(mut messages: Consumer, events: &mpsc::Sender<Event>) -> Result<(), BusError> {
    while let Some(message) = messages.next().await {
        let message = message?;
        if events.send(Event::Message(message.data)).await.is_err() {
            return Ok(());
        }
        message.acker.ack(BasicAckOptions::default()).await?;
    }
    Err(BusError::Away)
}

/// The publishing half of a [`Link`].
struct Sender {
    channel: Channel,
    confirming: Channel,
    exchange: String,
    confirm_timeout: Duration,
}

impl Sender {
    async fn send_all(&self, publications: &mut Publications) -> Result<(), BusError> {
        while let Some(publication) = publications.next().await {
            self.send(publication).await?;
        }
        Ok(())
    }

    async fn send(&self, publication: Publication) -> Result<(), BusError> {
        let delivery = match publication.target.node() {
            Some(node) if publication.is_awaited() => {
                let sent = self.send_confirmed(node, &publication.bytes);
                timeout(self.confirm_timeout, sent).await.unwrap_or(Err(BusError::Late))?
            }
            node => {
                let key = node.map_or_else(|| ALL.to_owned(), |node| node.to_string());
                let (options, properties) = Default::default();
                let (exchange, body) = (self.exchange.as_str().into(), &publication.bytes);
                self.channel.basic_publish(exchange, key.into(), options, body, properties).await?;
                Delivery::Sent
            }
        };
        publication.conclude(Ok(delivery));
        Ok(())
    }

    /// Sends to one node, and reports a missing queue.
    async fn send_confirmed(&self, node: NodeId, bytes: &[u8]) -> Result<Delivery, BusError> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, key) = (self.exchange.as_str().into(), node.to_string().into());
        let properties = BasicProperties::default();
        let confirm =
            self.confirming.basic_publish(exchange, key, options, bytes, properties).await?;
        Ok(match confirm.await? {
            Confirmation::Ack(None) => Delivery::Sent,
            Confirmation::Ack(Some(_)) | Confirmation::Nack(_) | Confirmation::NotRequested => {
                Delivery::NoReceiver
            }
        })
    }
}
