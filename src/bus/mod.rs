//! The company's other services, over RabbitMQ, in the words of NestJS.
//!
//! `broker` keeps the connection. Nothing here is the truth: what must not be lost stands in the
//! database's outbox until the broker has confirmed it, and what comes in is acknowledged once it is
//! in the database.

mod broker;
mod dead_letters;
mod dispatch;
mod gateway;
mod intake;
mod nodes;
mod packet;
mod pattern;
mod rpc;
mod users;

use std::sync::Arc;

use actix::prelude::*;

pub use broker::{Broker, BusError};
use intake::Intake;
use nodes::Nodes;

use crate::actors::Desk;
use crate::metrics::Metrics;
use crate::settings::RabbitMq;

/// What all parts of the bus share; cheap to clone.
#[derive(Clone)]
pub struct Parts {
    pub settings: Arc<RabbitMq>,
    pub broker: Broker,
    pub desk: Desk,
    pub metrics: Arc<Metrics>,
}

/// The way to other services, with a thread of its own.
pub struct Bus {
    settings: Arc<RabbitMq>,
    broker: Broker,
    metrics: Arc<Metrics>,
    arbiter: Arbiter,
}

impl Bus {
    /// Reads the settings; connects to nothing yet.
    ///
    /// # Errors
    /// A URL or a file of certificates that cannot be read.
    pub fn new(settings: Arc<RabbitMq>, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let broker = Broker::new(Arc::clone(&settings), Arc::clone(&metrics))?;
        Ok(Self { settings, broker, metrics, arbiter: Arbiter::new() })
    }

    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Connects, and goes on until [`Bus::stop`]. A broker that is away is waited for.
    pub fn start(&self, desk: Desk) {
        let parts = Parts {
            settings: Arc::clone(&self.settings),
            broker: self.broker.clone(),
            desk,
            metrics: Arc::clone(&self.metrics),
        };
        self.arbiter.spawn(parts.broker.clone().keep_connected());
        let nodes = Nodes(parts.desk.clone());
        for intake in Intake::all(&parts, &nodes) {
            self.arbiter.spawn(intake.run());
        }
    }

    /// Says goodbye to the broker.
    pub async fn stop(&self) {
        self.broker.close().await;
        self.arbiter.stop();
    }
}
