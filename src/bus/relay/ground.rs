//! What must be there before events can go: the lock, the exchange, and the queues.

use std::future::Future;
use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Channel, ExchangeKind};
use tokio::time::timeout;

use super::{End, Relay};
use crate::bus::BusError;
use crate::bus::destination::Destination;
use crate::domain::Timestamp;

/// The queue that only the relay has.
const LOCK: &str = "frontdesk.relay";
/// Seconds that news may wait while another is the relay, before that is strange.
const LONG_AGO: i64 = 60;
/// How long the broker may take to answer a declaration.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

impl Relay {
    /// Declared again by who has it, it is there.
    pub(super) async fn lock(&self, channel: &Channel) -> Result<(), End> {
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

    /// Lets another node be the relay, though this one keeps its connection.
    pub(super) async fn unlock(&self, channel: &Channel) {
        let Some(name) = self.settings.named(LOCK) else { return };
        let deleting = channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default());
        if let Err(error) = answer(deleting).await {
            log::debug!("the queue {name} stays with this node: {error}");
        }
    }

    /// Another has been the relay for long. If events of this database wait all the same, it is one of
    /// another database.
    pub(super) async fn suspect(&mut self) {
        let state = self.store.outbox_state().await.unwrap_or_default();
        let long_ago = Timestamp::now().seconds() - LONG_AGO;
        if state.oldest.is_some_and(|oldest| oldest.seconds() < long_ago) {
            let name = self.settings.named(LOCK).unwrap_or_default();
            self.say(format!(
                "another has the queue {name}, and does not tell what stands in this database: is \
                 there another desk with the same rabbitmq.prefix?"
            ));
        }
    }

    pub(super) async fn declare_exchange(&self, channel: &Channel) -> Result<(), End> {
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
    pub(super) async fn declare_queues(&self) {
        for queue in self.destinations.iter().filter_map(Destination::queue) {
            if let Err(error) = self.broker.queue(queue).await {
                log::debug!("the queue {queue} is not made: {error}");
            }
        }
    }
}

/// The broker's answer to a declaration.
pub(super) async fn answer<T>(
    declaring: impl Future<Output = lapin::Result<T>>,
) -> Result<T, BusError> {
    Ok(timeout(ANSWER_TIMEOUT, declaring).await.map_err(|_| BusError::Late)??)
}
