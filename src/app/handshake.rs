//! Handshake permits: a semaphore for sockets without a token.

use std::sync::atomic::Ordering;

use super::AppState;

/// A permit for a socket without a token; returned when dropped.
pub struct HandshakePermit(AppState);

impl HandshakePermit {
    /// Takes a permit; `None` when all are taken.
    #[must_use]
    pub fn take(app: &AppState) -> Option<Self> {
        let before = app.unauthenticated().fetch_add(1, Ordering::Relaxed);
        app.metrics().unauthenticated.inc();
        let permit = Self(app.clone());
        (before < app.limits().unauthenticated).then_some(permit)
    }
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        self.0.unauthenticated().fetch_sub(1, Ordering::Relaxed);
        self.0.metrics().unauthenticated.dec();
    }
}
