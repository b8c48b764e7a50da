//! RabbitMQ: events, commands and clients' requests, in NestJS's packets.
//!
//! The bus holds no state of its own: outgoing events stay in the database's outbox until the
//! broker has confirmed them, and incoming ones are acknowledged once they are stored.

mod confirm_batch;
mod context;
mod destination;
mod event;
mod gateway;
mod inbound;
mod packet;
mod pattern;
mod presence;
mod sink;

use std::sync::Arc;

use actix::prelude::*;

pub use sink::SINK;

use self::context::BusContext;
use self::gateway::Gateway;
use self::inbound::QueueConsumer;
use self::presence::Presence;
use self::sink::RabbitMqSink;
use crate::actors::Integrations;
use crate::amqp::Broker;
use crate::app::{AppParts, AppState};
use crate::cluster::Nodes;
use crate::metrics::{ConnectionUse, Metrics};
use crate::outbox::{Pace, Relay};
use crate::settings::RabbitMq;

/// The bus, with a thread of its own.
pub struct Bus {
    settings: Arc<RabbitMq>,
    broker: Broker,
    consumer: Broker,
    metrics: Arc<Metrics>,
    arbiter: Arbiter,
}

impl Bus {
    /// Reads the settings; connects to nothing yet.
    ///
    /// # Errors
    /// A URL or a file of certificates that cannot be read.
    pub fn new(settings: Arc<RabbitMq>, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let broker = |purpose| Broker::new(purpose, Arc::clone(&settings), Arc::clone(&metrics));
        let (broker, consumer) = (broker(ConnectionUse::Publish)?, broker(ConnectionUse::Consume)?);
        Ok(Self { settings, broker, consumer, metrics, arbiter: Arbiter::new() })
    }

    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Starts the actors that forward sessions' events to other services.
    #[must_use]
    pub fn start_gateway(&self) -> Integrations {
        let handle = self.arbiter.handle();
        let gateway = Gateway::start_in_arbiter(&handle, {
            let (settings, broker) = (Arc::clone(&self.settings), self.broker.clone());
            let metrics = Arc::clone(&self.metrics);
            |_| Gateway::new(settings, broker, metrics)
        });
        let presence = Presence::start_in_arbiter(&handle, {
            let (settings, broker) = (Arc::clone(&self.settings), self.broker.clone());
            let metrics = Arc::clone(&self.metrics);
            |_| Presence::new(settings, broker, metrics)
        });
        let routes = self.settings.gateway.iter();
        let routes = routes.map(|route| (route.event.clone(), Arc::new(route.clone()))).collect();
        Integrations {
            routes: Arc::new(routes),
            most_bytes: self.settings.gateway_bytes,
            gateway: gateway.recipient(),
            presence: presence.recipient(),
        }
    }

    /// Connects, and runs until [`Bus::stop`], with or without the broker.
    pub fn start(&self, app: Arc<AppParts>, nodes: &Nodes) {
        let context = BusContext {
            settings: Arc::clone(&self.settings),
            broker: self.broker.clone(),
            consumer: self.consumer.clone(),
            app: AppState::on(&self.arbiter.handle(), app),
            metrics: Arc::clone(&self.metrics),
        };
        self.arbiter.spawn(context.broker.clone().keep_connected());
        self.arbiter.spawn(context.consumer.clone().keep_connected());
        let (batch, poll) = (self.settings.outbox_batch, self.settings.outbox_poll());
        let (sink, store) = (RabbitMqSink::new(&context), context.app.store().clone());
        self.arbiter.spawn(Relay::new(sink, store, Pace { batch, poll }).run());
        self.arbiter.spawn(inbound::forget_repeats(context.app.store().clone()));
        for consumer in QueueConsumer::all(&context, nodes) {
            self.arbiter.spawn(consumer.run());
        }
    }

    /// Closes the connections.
    pub async fn stop(&self) {
        self.consumer.close().await;
        self.broker.close().await;
        self.arbiter.stop();
    }
}
