//! Application state: the handles that use cases work with.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::watch;

use super::{Accounts, AttemptLimits, HandshakeLimits};
use crate::actors::{ChatServer, Integrations, LastSeen, RoomDirectory, UserAdmission};
use crate::auth::Verifier;
use crate::db::Store;
use crate::domain::{NodeId, Stage, Timings};
use crate::metrics::Metrics;
use crate::protocol;
use crate::session::SessionConfig;
use crate::settings::Limits;

/// The handles that all threads share.
pub struct AppParts {
    /// This node's id.
    pub node: NodeId,
    pub store: Store,
    pub verifier: Verifier,
    /// `None` where they are off.
    pub accounts: Option<Accounts>,
    pub chat_server: Addr<ChatServer>,
    pub user_admission: Addr<UserAdmission>,
    pub last_seen: Addr<LastSeen>,
    pub limits: Limits,
    pub timings: Timings,
    pub sessions: Arc<SessionConfig>,
    pub metrics: Arc<Metrics>,
    /// Stage of the node's life.
    pub stage: watch::Receiver<Stage>,
    pub handshakes: Arc<HandshakeLimits>,
    pub attempts: AttemptLimits,
    /// Other services; `None` without a broker.
    pub integrations: Option<Integrations>,
}

/// The application state of one thread; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    parts: Arc<AppParts>,
    /// The thread's own cache of room addresses.
    rooms: Addr<RoomDirectory>,
}

impl AppState {
    /// The application state for one thread.
    #[must_use]
    pub fn on(thread: &ArbiterHandle, parts: Arc<AppParts>) -> Self {
        let chat_server = parts.chat_server.clone();
        let rooms =
            RoomDirectory::start_in_arbiter(thread, move |_| RoomDirectory::new(chat_server));
        Self(Arc::new(Inner { parts, rooms }))
    }

    #[must_use]
    pub fn node(&self) -> NodeId {
        self.0.parts.node
    }

    /// The database, for reads.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.parts.store
    }

    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.parts.limits
    }

    #[must_use]
    pub fn timings(&self) -> &Timings {
        &self.0.parts.timings
    }

    #[must_use]
    pub fn sessions(&self) -> &Arc<SessionConfig> {
        &self.0.parts.sessions
    }

    /// The limits of requests.
    #[must_use]
    pub fn request_limits(&self) -> protocol::Limits {
        self.0.parts.sessions.requests
    }

    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.parts.metrics
    }

    /// True until the node leaves for good: sessions begin.
    #[must_use]
    pub fn takes_sessions(&self) -> bool {
        *self.stage().borrow() < Stage::Closing
    }

    #[must_use]
    pub fn stage(&self) -> &watch::Receiver<Stage> {
        &self.0.parts.stage
    }

    #[must_use]
    pub fn chat_server(&self) -> &Addr<ChatServer> {
        &self.0.parts.chat_server
    }

    #[must_use]
    pub fn integrations(&self) -> Option<&Integrations> {
        self.0.parts.integrations.as_ref()
    }

    pub(super) fn rooms(&self) -> &Addr<RoomDirectory> {
        &self.0.rooms
    }

    pub(super) fn verifier(&self) -> &Verifier {
        &self.0.parts.verifier
    }

    pub(super) fn accounts(&self) -> Option<&Accounts> {
        self.0.parts.accounts.as_ref()
    }

    pub(super) fn attempts(&self) -> &AttemptLimits {
        &self.0.parts.attempts
    }

    pub(super) fn user_admission(&self) -> &Addr<UserAdmission> {
        &self.0.parts.user_admission
    }

    #[must_use]
    pub fn handshakes(&self) -> &Arc<HandshakeLimits> {
        &self.0.parts.handshakes
    }
}
