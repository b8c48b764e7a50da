//! Shows how far behind other services are.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::db::Store;
use crate::domain::Timestamp;
use crate::metrics::Metrics;

/// The time between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Looks at the outbox again and again, whether the broker is there or not.
pub async fn watch(store: Store, metrics: Arc<Metrics>) {
    loop {
        match store.outbox_state().await {
            Ok(state) => {
                let age = |oldest: Timestamp| Timestamp::now().seconds() - oldest.seconds();
                metrics.outbox_waiting.set(state.waiting);
                metrics.outbox_oldest_seconds.set(state.oldest.map_or(0, age).max(0));
            }
            // The others say so, who cannot do without.
            Err(error) => log::debug!("the outbox cannot be looked at: {error}"),
        }
        sleep(EVERY).await;
    }
}
