//! Outbox gauges: the backlog of the sinks.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::db::Store;
use crate::domain::Timestamp;
use crate::metrics::Metrics;

/// The time between two reads.
const EVERY: Duration = Duration::from_secs(5);

/// Reads the state of the outbox from time to time, with or without its sinks.
pub async fn watch(store: Store, metrics: Arc<Metrics>) {
    loop {
        match store.outbox_state().await {
            Ok(state) => {
                let age = |oldest: Timestamp| Timestamp::now().seconds() - oldest.seconds();
                metrics.outbox_waiting.set(state.waiting);
                metrics.outbox_oldest_seconds.set(state.oldest.map_or(0, age).max(0));
            }
            // Debug only: the parts that depend on the outbox log this themselves.
            Err(error) => log::debug!("the state of the outbox cannot be read: {error}"),
        }
        sleep(EVERY).await;
    }
}
