//! Topology of the sink: the lock, the exchange and the queues.

use std::future::Future;

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Channel, ExchangeKind};
use tokio::time::timeout;

use super::RabbitMqSink;
use crate::amqp::{ANSWER_TIMEOUT, BusError};
use crate::bus::destination::Destination;
use crate::outbox::RelayExit;

/// The exclusive queue of the node that publishes.
const LOCK: &str = "frontdesk.relay";

impl RabbitMqSink {
    /// Idempotent for the current holder.
    pub(super) async fn lock(&self, channel: &Channel) -> Result<(), RelayExit> {
        let Some(name) = self.settings.prefixed(LOCK) else { return Ok(()) };
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let declaring = channel.queue_declare(name.as_str().into(), options, FieldTable::default());
        let Err(error) = answer(declaring).await else { return Ok(()) };
        Err(match error.refusal() {
            Some(AMQPSoftError::RESOURCELOCKED) => RelayExit::Elsewhere,
            Some(_) => RelayExit::Refused(format!("the queue {name} is not to be had: {error}")),
            None => RelayExit::Lost(error.to_string()),
        })
    }

    /// Releases the lock without closing the connection.
    pub(super) async fn unlock(&self, channel: &Channel) {
        let Some(name) = self.settings.prefixed(LOCK) else { return };
        let deleting = channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default());
        if let Err(error) = answer(deleting).await {
            log::debug!("cannot release the lock {name}: {error}");
        }
    }

    /// The log's explanation while another holds the lock.
    pub(super) fn lock_is_elsewhere(&self) -> String {
        let name = self.settings.prefixed(LOCK).unwrap_or_default();
        format!(
            "another has the queue {name}, and does not deliver the events of this database: is there \
             another deployment with the same rabbitmq.prefix?"
        )
    }

    pub(super) async fn declare_exchange(&self, channel: &Channel) -> Result<(), RelayExit> {
        let Some(name) = self.settings.prefixed(&self.settings.exchange) else { return Ok(()) };
        let passive = !self.settings.declare;
        let options = ExchangeDeclareOptions { passive, durable: true, ..Default::default() };
        let (kind, none) = (ExchangeKind::Topic, FieldTable::default());
        let declaring = channel.exchange_declare(name.as_str().into(), kind, options, none);
        let Err(error) = answer(declaring).await else { return Ok(()) };
        Err(match error.refusal() {
            Some(AMQPSoftError::PRECONDITIONFAILED) => RelayExit::Refused(format!(
                "there is another exchange {name} already, which is no durable topic exchange: \
                 delete it, give rabbitmq.exchange another name, or use it as it is with \
                 rabbitmq.declare = false ({error})"
            )),
            Some(AMQPSoftError::NOTFOUND) => RelayExit::Refused(format!(
                "there is no exchange {name}, and rabbitmq.declare is off: make it, or turn that on"
            )),
            Some(_) => RelayExit::Refused(format!("the exchange {name} is not to be had: {error}")),
            None => RelayExit::Lost(error.to_string()),
        })
    }

    /// Declares missing queues of events, if allowed. One that stays missing is logged when its
    /// first event is returned.
    pub(super) async fn declare_queues(&self) {
        for queue in self.destinations.iter().filter_map(Destination::queue) {
            if let Err(error) = self.broker.queue(queue).await {
                log::debug!("cannot declare the queue {queue}: {error}");
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
