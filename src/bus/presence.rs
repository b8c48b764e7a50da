//! Presence events: users that connected or disconnected, told at once or not at all.

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

/// Changes that wait to be told; one more is dropped by who brings it.
const MAILBOX: usize = 1_024;
/// The deadline for publishing one event.
const PATIENCE: Duration = Duration::from_secs(1);

/// Publishes `user.connected` and `user.disconnected`, one after another. What the broker does not
/// take is dropped: who wants to be sure asks `is_online`.
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
        // The next change waits for this one, so that they leave in the order in which they came.
        telling
            .into_actor(self)
            .map(|told, presence, _| match told {
                Ok(channel) => presence.channel = Some(channel),
                Err(error) => {
                    log::debug!("somebody came or left, and nobody was told: {error}");
                    presence.metrics.events_dropped.inc();
                }
            })
            .wait(context);
    }
}

/// Publishes without waiting for a confirm. The channel, for the next time.
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
