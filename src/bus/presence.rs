//! Presence events: users that connected or disconnected, published at most once.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use lapin::Channel;
use tokio::time::timeout;

use super::destination::{Destination, destinations};
use super::event::Event;
use crate::actors::PresenceChanged;
use crate::amqp::{Broker, BusError};
use crate::domain::Timestamp;
use crate::metrics::Metrics;
use crate::settings::RabbitMq;

/// Changes that wait to be published; one more is dropped by its sender.
const MAILBOX: usize = 1_024;
/// The deadline for publishing one event.
const PATIENCE: Duration = Duration::from_secs(1);

/// Publishes `user.connected` and `user.disconnected`, one after another. An event that the broker
/// does not take is dropped; `is_online` is reliable.
pub struct Presence {
    settings: Arc<RabbitMq>,
    broker: Broker,
    metrics: Arc<Metrics>,
    destinations: Vec<Destination>,
    channel: Option<Channel>,
}

impl Presence {
    #[must_use]
    pub fn new(settings: Arc<RabbitMq>, broker: Broker, metrics: Arc<Metrics>) -> Self {
        let destinations = destinations(&settings);
        Self { settings, broker, metrics, destinations, channel: None }
    }
}

impl Actor for Presence {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<PresenceChanged> for Presence {
    type Result = ();

    fn handle(&mut self, change: PresenceChanged, context: &mut Self::Context) {
        let event = Event::from_presence(change, Timestamp::now(), &self.settings.source);
        let broker = self.broker.clone();
        let (channel, destinations) = (self.channel.take(), self.destinations.clone());
        let telling = async move {
            let telling = tell(&broker, channel, &destinations, &event);
            timeout(PATIENCE, telling).await.unwrap_or(Err(BusError::Late))
        };
        // The next change waits for this one, to keep the order.
        telling
            .into_actor(self)
            .map(|told, presence, _| match told {
                Ok(channel) => presence.channel = Some(channel),
                Err(error) => {
                    log::debug!("dropped a presence event: {error}");
                    presence.metrics.events_dropped.inc();
                }
            })
            .wait(context);
    }
}

/// Publishes without waiting for a confirmation. Returns the channel for the next event.
async fn tell(
    broker: &Broker,
    channel: Option<Channel>,
    destinations: &[Destination],
    event: &Event,
) -> Result<Channel, BusError> {
    let channel = match channel.filter(|channel| channel.status().connected()) {
        Some(channel) => channel,
        None => broker.try_channel().await?,
    };
    for destination in destinations {
        destination.publish(&channel, event, false).await?;
    }
    Ok(channel)
}
