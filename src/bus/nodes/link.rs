//! The exchange on which nodes meet, and this node's queue behind it.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Consumer, ExchangeKind};
use tokio::time::timeout;

use crate::bus::{BusError, Parts};
use crate::domain::NodeId;

/// Where nodes meet.
const EXCHANGE: &str = "frontdesk.nodes";
/// What a node's queue is called, and then its id, and which of its queues it is.
const QUEUE: &str = "frontdesk.node";
/// The key of what every node is told.
const ALL: &str = "all";
/// Words that the broker keeps for a node; the oldest give way.
const MOST_KEPT: i32 = 65_536;
/// Words that are looked at before they are acknowledged.
const PREFETCH: u16 = 256;

/// The way to the other nodes, as long as it is open. Dropped, it is closed.
pub struct Link {
    pub words: Consumer,
    channel: Channel,
    /// For what must arrive. With one such word at a time: what comes back, comes with whichever
    /// confirmation of its channel is the next.
    registered: Channel,
    exchange: String,
}

impl Link {
    /// Opens the way, for the `count`th time. Exchange and queue are the nodes' own: they are made
    /// even where nothing else is.
    pub async fn open(parts: &Parts, count: u64) -> Result<Self, BusError> {
        let named = |name: &str| parts.settings.named(name).unwrap_or_default();
        let node = parts.app.node();
        // Another name each time: the broker may not have noticed yet that the last one is gone.
        let (exchange, queue) = (named(EXCHANGE), named(&format!("{QUEUE}.{node}.{count}")));
        let channel = parts.broker.channel().await?;
        let registered = parts.broker.channel().await?;
        registered.confirm_select(ConfirmSelectOptions::default()).await?;
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
        bounded.insert("x-max-length".into(), AMQPValue::LongInt(MOST_KEPT));
        channel.queue_declare(queue.as_str().into(), own, bounded).await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
        let words = channel
            .basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default())
            .await?;
        // Last: a queue that is not consumed would stay, and take what is meant for the next one.
        for key in [node.to_string(), ALL.to_owned()] {
            let (options, none) = (QueueBindOptions::default(), FieldTable::default());
            channel.queue_bind(queue.as_str().into(), name(), key.into(), options, none).await?;
        }
        Ok(Self { words, channel, registered, exchange })
    }

    /// Says something to all nodes, this one included.
    pub async fn say(&self, word: Vec<u8>) -> Result<(), BusError> {
        self.publish(ALL, word).await
    }

    /// Says something to one node, which may miss it.
    pub async fn whisper(&self, node: NodeId, word: Vec<u8>) -> Result<(), BusError> {
        self.publish(&node.to_string(), word).await
    }

    async fn publish(&self, key: &str, word: Vec<u8>) -> Result<(), BusError> {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let exchange = self.exchange.as_str().into();
        self.channel.basic_publish(exchange, key.into(), options, &word, properties).await?;
        Ok(())
    }

    /// Brings something to one node, and says whether it is in that node's queue. Not to be begun
    /// before the last one has ended.
    pub fn bring(
        &self,
        parts: &Parts,
        node: NodeId,
        word: Vec<u8>,
    ) -> BoxFuture<'static, Result<bool, BusError>> {
        let (channel, exchange) = (self.registered.clone(), self.exchange.clone());
        let limit = parts.settings.confirm_timeout();
        let brought = async move {
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let (exchange, key) = (exchange.into(), node.to_string().into());
            let properties = BasicProperties::default();
            let confirm = channel.basic_publish(exchange, key, options, &word, properties).await?;
            Ok(matches!(confirm.await?, Confirmation::Ack(None)))
        };
        timeout(limit, brought).map(|brought| brought.unwrap_or(Err(BusError::Late))).boxed()
    }
}
