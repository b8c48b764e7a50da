//! Sinks of the outbox, as a store knows them: their names, and a wake-up each.

use std::sync::Arc;

use tokio::sync::Notify;

/// The sinks, and a wake-up for each. Shared by a store, its clones and writers.
#[derive(Clone)]
pub struct Outbox(pub Arc<[(String, Notify)]>);

impl Outbox {
    pub fn new(sinks: &[String]) -> Self {
        Self(sinks.iter().map(|sink| (sink.clone(), Notify::new())).collect())
    }

    /// True if events are written.
    pub fn is_on(&self) -> bool {
        !self.0.is_empty()
    }

    /// Call this after a commit with events. Kept for a sink that is reading now and waits next.
    pub fn wake(&self) {
        for (_, written) in &*self.0 {
            written.notify_one();
        }
    }

    pub fn sinks(&self) -> Vec<String> {
        self.0.iter().map(|(sink, _)| sink.clone()).collect()
    }
}
