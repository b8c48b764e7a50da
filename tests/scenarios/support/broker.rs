//! RabbitMQ as another service sees it: its queues, what arrives in them, and what it says there.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    ExchangeKind,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// The RabbitMQ that all scenarios share.
const VARIABLE: &str = "FRONTDESK_TEST_RABBITMQ_URL";

/// Deadline of a message, with all scenarios at once on a small machine.
pub const ARRIVAL: Duration = Duration::from_secs(30);

/// The URL of the RabbitMQ that all scenarios share.
pub fn url() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} is not set: run scripts/test, which starts a RabbitMQ and sets it")
    })
}

/// A prefix for the names of one app's queues, that no other has.
pub fn prefix() -> String {
    format!("t{}.", Uuid::new_v4().simple())
}

/// A connection of another service, with the app's prefix at hand.
pub struct TestBroker {
    prefix: String,
    channel: Channel,
    // Closed when it is dropped.
    connection: Connection,
}

impl TestBroker {
    pub async fn connect(url: &str, prefix: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default())
            .await
            .unwrap_or_else(|e| panic!("RabbitMQ cannot be reached, run scripts/test: {e}"));
        let channel = open(&connection).await;
        Self { prefix: prefix.to_owned(), channel, connection }
    }

    /// The name of the app's own queue or exchange: with its prefix.
    pub fn own(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Makes a durable queue, and gives its name, which is `name` with the app's prefix.
    pub async fn declare(&self, name: &str) -> String {
        self.declare_with(name, &[]).await
    }

    /// A durable queue with arguments: `("x-max-length", 10.into())`.
    pub async fn declare_with(&self, name: &str, arguments: &[(&str, AMQPValue)]) -> String {
        let queue = self.own(name);
        let mut table = FieldTable::default();
        for (key, value) in arguments {
            table.insert((*key).into(), value.clone());
        }
        self.channel
            .queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), table)
            .await
            .unwrap_or_else(|e| panic!("queue {queue}: {e}"));
        queue
    }

    /// Messages in the queue, and its consumers; `None` if the queue is missing.
    pub async fn depth(&self, queue: &str) -> Option<(u32, u32)> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        // What is not there costs the channel.
        let channel = open(&self.connection).await;
        let found =
            channel.queue_declare(queue.into(), options, FieldTable::default()).await.ok()?;
        Some((found.message_count(), found.consumer_count()))
    }

    /// Binds the queue to a topic exchange, which is made where the app has not yet.
    pub async fn bind(&self, queue: &str, exchange: &str, key: &str) {
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        self.channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, durable, FieldTable::default())
            .await
            .unwrap_or_else(|e| panic!("exchange {exchange}: {e}"));
        self.channel
            .queue_bind(
                queue.into(),
                exchange.into(),
                key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap_or_else(|e| panic!("binding {queue} to {exchange}: {e}"));
    }

    /// A durable queue of this name, bound to the app's exchange, and what arrives there.
    pub async fn subscribe(&self, name: &str, key: &str) -> Inbox {
        let queue = self.declare(name).await;
        self.bind(&queue, &self.own("frontdesk.events"), key).await;
        self.consume(&queue).await
    }

    /// The queue's messages; acknowledged when they are taken with [`Inbox::next`].
    pub async fn consume(&self, queue: &str) -> Inbox {
        self.consume_with(queue, 64, BasicConsumeOptions::default()).await
    }

    /// As [`consume`](Self::consume), with at most so many messages that are not acknowledged.
    pub async fn consume_with(
        &self,
        queue: &str,
        prefetch: u16,
        options: BasicConsumeOptions,
    ) -> Inbox {
        // A channel of its own: its prefetch is its own affair.
        let channel = open(&self.connection).await;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await.expect("a prefetch");
        let consumer = channel
            .basic_consume(queue.into(), "".into(), options, FieldTable::default())
            .await
            .unwrap_or_else(|e| panic!("consuming {queue}: {e}"));
        Inbox { consumer, acks: !options.no_ack, queue: queue.to_owned(), _channel: channel }
    }

    /// Emits an event into a queue: `{"pattern":…,"data":…}`, as NestJS's `emit`.
    pub async fn emit(&self, queue: &str, pattern: impl Into<Value>, data: Value) {
        let body = json!({"pattern": pattern.into(), "data": data}).to_string();
        self.publish("", queue, BasicProperties::default(), body.as_bytes()).await;
    }

    /// Publishes any bytes to any exchange, and waits for the confirmation.
    pub async fn publish(
        &self,
        exchange: &str,
        key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let confirm = self
            .channel
            .basic_publish(exchange.into(), key.into(), options, body, properties)
            .await
            .expect("the channel is open");
        match confirm.await.expect("the broker confirms") {
            Confirmation::Ack(None) => {}
            refused => panic!("{exchange:?} {key:?} did not take the message: {refused:?}"),
        }
    }

    /// Asks as NestJS's `send` does, and gives the first answer's body.
    pub async fn ask(&self, queue: &str, pattern: impl Into<Value>, data: Value) -> Value {
        let id = Uuid::new_v4().simple().to_string();
        let body = json!({"pattern": pattern.into(), "data": data, "id": id}).to_string();
        let mut answers = self.ask_raw(queue, &id, body.as_bytes()).await;
        let answer = answers.next().await;
        assert_eq!(answer.correlation_id(), Some(id.as_str()), "{}", answer.body);
        answer.body
    }

    /// Publishes `body` as a request, and gives what is answered.
    pub async fn ask_raw(&self, queue: &str, correlation: &str, body: &[u8]) -> Inbox {
        // Replies come to the channel that asked.
        let channel = open(&self.connection).await;
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let replies = "amq.rabbitmq.reply-to";
        let consumer = channel
            .basic_consume(replies.into(), "".into(), options, FieldTable::default())
            .await
            .expect("replies can be consumed");
        let properties = BasicProperties::default()
            .with_reply_to(replies.into())
            .with_correlation_id(correlation.into());
        channel
            .basic_publish(
                "".into(),
                queue.into(),
                BasicPublishOptions::default(),
                body,
                properties,
            )
            .await
            .expect("the channel is open")
            .await
            .expect("the broker confirms");
        Inbox { consumer, acks: false, queue: replies.to_owned(), _channel: channel }
    }

    /// Another channel, for what this has no word for.
    pub async fn channel(&self) -> Channel {
        open(&self.connection).await
    }
}

async fn open(connection: &Connection) -> Channel {
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    channel
}

/// A queue's messages.
pub struct Inbox {
    consumer: Consumer,
    acks: bool,
    queue: String,
    // Closed when its last handle is dropped, and with it the consumer.
    _channel: Channel,
}

impl Inbox {
    /// The next message, within [`ARRIVAL`].
    pub async fn next(&mut self) -> Received {
        self.next_within(ARRIVAL)
            .await
            .unwrap_or_else(|| panic!("nothing arrived in {} within {ARRIVAL:?}", self.queue))
    }

    /// The next message; `None` where nothing arrives in that time.
    pub async fn next_within(&mut self, limit: Duration) -> Option<Received> {
        let received = self.next_unacked(limit).await?;
        if self.acks {
            received.ack().await;
        }
        Some(received)
    }

    /// As [`next_within`](Self::next_within), and leaves the acknowledgement to the caller.
    pub async fn next_unacked(&mut self, limit: Duration) -> Option<Received> {
        let delivery = tokio::time::timeout(limit, self.consumer.next()).await.ok()?;
        let delivery = delivery
            .unwrap_or_else(|| panic!("the consumer of {} was cancelled", self.queue))
            .unwrap_or_else(|e| panic!("{}: {e}", self.queue));
        Some(Received::from(delivery))
    }

    /// The next event of this pattern; others are passed over.
    pub async fn next_of(&mut self, pattern: impl Into<Value>) -> Received {
        let pattern = pattern.into();
        loop {
            let received = self.next().await;
            if received.body["pattern"] == pattern {
                return received;
            }
        }
    }
}

/// One message.
#[derive(Debug)]
pub struct Received {
    /// `null` if it is not JSON.
    pub body: Value,
    pub delivery: Delivery,
}

impl Received {
    /// The fact in one of the server's own events.
    pub fn payload(&self) -> &Value {
        &self.body["data"]["payload"]
    }

    pub fn correlation_id(&self) -> Option<&str> {
        self.delivery.properties.correlation_id().as_ref().map(|id| id.as_str())
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<String> {
        match self.delivery.properties.headers().as_ref()?.inner().get(name)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            AMQPValue::ShortString(text) => Some(text.to_string()),
            _ => None,
        }
    }

    pub async fn ack(&self) {
        self.delivery.ack(BasicAckOptions::default()).await.expect("the channel is open");
    }
}

impl From<Delivery> for Received {
    fn from(delivery: Delivery) -> Self {
        Self { body: first(&delivery.data).unwrap_or_default(), delivery }
    }
}

/// The JSON that a message begins with: behind that between nodes is a tag.
fn first(bytes: &[u8]) -> Option<Value> {
    serde_json::Deserializer::from_slice(bytes).into_iter().next()?.ok()
}
