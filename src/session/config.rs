//! Settings of sessions, as a node's sessions share them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Route, Timings};
use crate::protocol::{Limits, WelcomeLimits};
use crate::settings;

/// The same for all sessions of a node.
#[derive(Debug)]
pub struct SessionConfig {
    /// Bounds of what a request may hold.
    pub requests: Limits,
    /// Bounds that `welcome` names.
    pub welcome: WelcomeLimits,
    /// Chats that one session may be in (`limits.chats_entered`).
    pub chats_entered: usize,
    /// Requests of one session that wait for their answers (`limits.commands_in_flight`).
    pub commands_in_flight: usize,
    /// Time for the token of a connection that came without one (`limits.auth_seconds`).
    pub auth_timeout: Duration,
    /// Time for rooms to let a session in. A database that is away is noticed sooner.
    pub room_timeout: Duration,
    /// Pause before a page that could not be read is asked for again.
    pub retry: Duration,
    /// The spread of `retryAfterMs` when the node leaves (`server.drain_window_ms`).
    pub drain_window: Duration,
    /// Events for other services; `None` without a broker.
    pub routes: Option<Routes>,
}

/// Events that clients may send to other services.
#[derive(Debug, Clone)]
pub struct Routes {
    /// By the client's name of the event.
    pub by_event: Arc<HashMap<String, Arc<Route>>>,
    /// Bytes of an event's `data`.
    pub most_bytes: usize,
}

impl SessionConfig {
    #[must_use]
    pub fn new(
        limits: &settings::Limits,
        timings: &Timings,
        drain_window: Duration,
        routes: Option<Routes>,
    ) -> Arc<Self> {
        Arc::new(Self {
            requests: Limits {
                message_chars: limits.message_chars,
                title_chars: limits.title_chars,
                group_members: limits.group_members,
            },
            welcome: WelcomeLimits {
                heartbeat_ms: limits.heartbeat_ms,
                frame_bytes: limits.frame_bytes,
                message_chars: limits.message_chars,
                messages_per_second: limits.messages_per_second,
                burst: limits.burst,
            },
            chats_entered: limits.chats_entered,
            commands_in_flight: limits.commands_in_flight,
            auth_timeout: limits.auth_timeout(),
            room_timeout: timings.room_timeout,
            retry: timings.retry,
            drain_window,
            routes,
        })
    }
}
