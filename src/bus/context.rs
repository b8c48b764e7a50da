//! Context of the bus: the handles that all of its parts share.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use crate::amqp::Broker;
use crate::app::AppState;
use crate::metrics::Metrics;
use crate::settings::RabbitMq;

/// Handles that all parts of the bus share; cheap to clone.
#[derive(Clone)]
pub struct BusContext {
    pub settings: Arc<RabbitMq>,
    /// The connection that publishes.
    pub broker: Broker,
    /// The connection that consumes and acknowledges.
    pub consumer: Broker,
    pub app: AppState,
    pub metrics: Arc<Metrics>,
}

/// Waits until a moment; for ever if it is `None`.
pub async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
