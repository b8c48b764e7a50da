//! Destinations of events: an exchange, or queues by name.

use lapin::options::BasicPublishOptions;
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, PublisherConfirm};

use super::event::Event;
use crate::amqp::PERSISTENT;
use crate::settings::RabbitMq;

/// A destination of every event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// An exchange, for queues that are bound to it; there may be none.
    Exchange(String),
    /// Another service's queue, which must exist.
    Queue(String),
}

/// All destinations of events, from the settings.
#[must_use]
pub fn destinations(settings: &RabbitMq) -> Vec<Destination> {
    let exchange = settings.prefixed(&settings.exchange).map(Destination::Exchange);
    let queues = settings.event_queues.iter().cloned().map(Destination::Queue);
    exchange.into_iter().chain(queues).collect()
}

impl Destination {
    /// The queue's name, if it is a queue.
    #[must_use]
    pub fn queue(&self) -> Option<&str> {
        match self {
            Self::Exchange(_) => None,
            Self::Queue(name) => Some(name),
        }
    }

    /// The refusal of an event, in a sentence.
    #[must_use]
    pub fn why_not(&self, has_returned: bool) -> String {
        match self {
            Self::Exchange(name) => format!("a queue behind the exchange {name} takes no more"),
            Self::Queue(name) if has_returned => format!("there is no queue {name}"),
            Self::Queue(name) => format!("the queue {name} takes no more"),
        }
    }

    /// Publishes an event; its confirmation has the outcome. With `mandatory`, an event without a
    /// queue is returned, which needs a channel in confirm mode.
    ///
    /// # Errors
    /// The channel or the connection is gone.
    pub async fn publish(
        &self,
        channel: &Channel,
        event: &Event,
        mandatory: bool,
    ) -> lapin::Result<PublisherConfirm> {
        let (exchange, key, mandatory) = match self {
            // Without a bound queue, nobody wants the event.
            Self::Exchange(name) => (name.as_str(), event.name, false),
            Self::Queue(name) => ("", name.as_str(), mandatory),
        };
        let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
        let (exchange, key) = (exchange.into(), key.into());
        channel.basic_publish(exchange, key, options, &event.body, properties(event)).await
    }
}

fn properties(event: &Event) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_headers(FieldTable::default())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(ShortString::try_new(event.id.as_str()).unwrap_or_default())
        .with_timestamp(u64::try_from(event.at.seconds()).unwrap_or_default())
        .with_type(event.name.into())
}
