//! Validation of settings, each alone and together.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::origin::normalized;
use super::{Algorithm, Backend, DEMO_ISSUER, Network, OWN_ISSUER, Route, Settings, SettingsError};
use crate::domain::PROTOCOL_EVENTS;

/// A shorter secret can be guessed.
const SECRET_BYTES: usize = 32;
/// Time for last acks and close frames, behind the wait and the window of a node that leaves.
const LAST_STEPS_MS: u64 = 500;
/// The longest name of a service.
const NAME_CHARS: usize = 255;
/// The longest event of a client.
const EVENT_CHARS: usize = 64;
/// The longest name of a queue.
const QUEUE_BYTES: usize = 200;

/// The longest name of a node.
const NODE_NAME: usize = 32;

/// A number's key, its value, and its range.
pub(super) type Range = (&'static str, u64, RangeInclusive<u64>);

/// True for an address whose answer nobody on the way can change.
fn is_safe_url(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    // It is logged.
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return false;
    }
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

impl Settings {
    /// Log lines on settings that are unusual but valid.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.auth.secret.as_ref().is_some_and(|secret| secret.expose().len() < SECRET_BYTES) {
            warnings.push(format!(
                "auth.secret is shorter than {SECRET_BYTES} bytes: it can be guessed from any token"
            ));
        }
        if self.auth.secret.is_none() && self.database.url.backend() == Backend::Postgres {
            warnings.push(
                "auth.secret is not set, so messages between nodes are not authenticated: set it, \
                 to the same text on all nodes"
                    .into(),
            );
        }
        if self.limits.frame_bytes < self.limits.message_chars.saturating_mul(4) {
            warnings.push(
                "limits.frame_bytes has no room for a message of limits.message_chars characters"
                    .into(),
            );
        }
        if self.server.allowed_origins.iter().any(|origin| origin == "null") {
            warnings.push(
                "server.allowed_origins has null, which any page can send from a sandboxed frame, \
                 and any file: tokens are then the only gate"
                    .into(),
            );
        }
        if self.server.trusted_proxies.iter().any(Network::is_everything) {
            warnings.push(
                "server.trusted_proxies trusts every address of a family: any client can then \
                 name any address as its own"
                    .into(),
            );
        }
        warnings
    }

    /// Checks that a key for tokens is configured. Not part of loading, so that migrations need no
    /// key.
    ///
    /// # Errors
    /// On PostgreSQL, where several nodes must share a key and none can be generated: a sentence
    /// that names the settings.
    pub fn require_key(&self) -> Result<(), SettingsError> {
        let given = self.auth.secret.is_some() || self.auth.has_foreign_keys();
        if given || self.database.url.backend() == Backend::Sqlite {
            return Ok(());
        }
        Err(SettingsError::Invalid(
            "auth.secret is not set: set FRONTDESK__AUTH__SECRET to what your application signs \
             its tokens with (`openssl rand -hex 32` makes one), or auth.public_key_file and \
             auth.algorithm to its public key, or auth.jwks_url and auth.algorithm to its keys."
                .into(),
        ))
    }

    /// All errors, a sentence each.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self
            .ranges()
            .into_iter()
            .filter(|(_, value, range)| !range.contains(value))
            .map(|(key, value, range)| {
                format!("{key} is {value}; it must be {} to {}.", range.start(), range.end())
            })
            .collect();
        self.check_server(&mut problems);
        self.check_database(&mut problems);
        self.check_auth(&mut problems);
        self.check_cluster(&mut problems);
        self.check_socketio(&mut problems);
        self.check_redis(&mut problems);
        self.check_rabbitmq(&mut problems);
        self.check_web(&mut problems);
        problems
    }

    fn check_server(&self, problems: &mut Vec<String>) {
        let port = self.server.bind.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            problems.push(format!(
                "server.bind is `{}`; it must be host:port, as in 127.0.0.1:3000.",
                self.server.bind
            ));
        }
        if self.server.tls_cert_file.is_some() != self.server.tls_key_file.is_some() {
            problems.push(
                "server.tls_cert_file and server.tls_key_file belong together: set both, or none."
                    .into(),
            );
        }
        let most = self.server.shutdown_timeout.saturating_mul(1000);
        let drain = self.server.drain_wait_ms.saturating_add(self.server.drain_window_ms);
        if drain.saturating_add(LAST_STEPS_MS) > most {
            problems.push(format!(
                "server.shutdown_timeout is {most} ms; it must be longer than server.drain_wait_ms \
                 and server.drain_window_ms together ({drain} ms) by {LAST_STEPS_MS} ms or more."
            ));
        }
        for origin in &self.server.allowed_origins {
            if normalized(origin).is_none() {
                problems.push(format!(
                    "server.allowed_origins has `{origin}`, which is no origin: that is a scheme, a \
                     host and perhaps a port, without a path, a pattern or quotes, as in \
                     https://app.example.org. * stands for all, null for pages that have none."
                ));
            }
        }
    }

    /// Normalizes values that can be written in more than one way.
    pub(super) fn normalize(&mut self) {
        for origin in &mut self.server.allowed_origins {
            if let Some(normal) = normalized(origin) {
                *origin = normal;
            }
        }
        self.socketio.normalize();
    }

    fn check_database(&self, problems: &mut Vec<String>) {
        if self.database.url.backend() == Backend::Postgres {
            return;
        }
        if self.database.executors.is_some() {
            problems.push(
                "database.executors is for PostgreSQL: SQLite has one writer. Leave it out, or \
                 set database.url to postgres://…"
                    .into(),
            );
        }
        if self.database.ca_file.is_some() {
            problems.push(
                "database.ca_file is for PostgreSQL: SQLite connects to nothing. Leave it out, or \
                 set database.url to postgres://…"
                    .into(),
            );
        }
    }

    fn check_auth(&self, problems: &mut Vec<String>) {
        let auth = &self.auth;
        for (key, secret) in [("secret", &auth.secret), ("previous_secret", &auth.previous_secret)]
        {
            if secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
                problems.push(format!("auth.{key} is empty; set it, or leave it out."));
            }
        }
        if auth.previous_secret.is_some() && auth.secret.is_none() {
            problems.push(
                "auth.previous_secret is set, but auth.secret is not: it is the one before it."
                    .into(),
            );
        }
        let foreign: Vec<&str> = [
            ("auth.public_key_file", auth.public_key_file.is_some()),
            ("auth.jwks_file", auth.jwks_file.is_some()),
            ("auth.jwks_url", auth.jwks_url.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, is_set)| is_set.then_some(key))
        .collect();
        match (foreign.as_slice(), auth.algorithm) {
            ([_, _, ..], _) => problems.push(format!(
                "{} are set; the keys of tokens come from one of them, so leave the others out.",
                foreign.join(" and ")
            )),
            ([key], Algorithm::HS256) => problems.push(format!(
                "{key} is set, but auth.algorithm is HS256, which has no public key; it must be RS256, \
                 ES256 or EdDSA."
            )),
            ([], Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA) => {
                problems.push(format!(
                    "auth.algorithm is {:?}, which needs a public key: set auth.public_key_file, \
                     auth.jwks_file or auth.jwks_url.",
                    auth.algorithm
                ));
            }
            _ => {}
        }
        if let Some(url) = &auth.jwks_url
            && !is_safe_url(url)
        {
            problems.push(
                "auth.jwks_url must begin with https://, or with http:// and name this machine (whoever \
                 changes the keys on their way can be anybody), and have no user, password or query."
                    .into(),
            );
        }
        match auth.issuer.as_deref() {
            Some("") => problems.push("auth.issuer is empty; set it, or leave it out.".into()),
            Some(OWN_ISSUER) => problems.push(
                "auth.issuer is `frontdesk`, which is reserved for the built-in accounts.".into(),
            ),
            Some(DEMO_ISSUER) => problems
                .push("auth.issuer is `demo`, which is reserved for the demo's users.".into()),
            _ => {}
        }
    }

    fn check_cluster(&self, problems: &mut Vec<String>) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if let Some(name) = &self.cluster.node_name
            && (name.is_empty() || name.len() > NODE_NAME || !name.chars().all(is_plain))
        {
            problems.push(format!(
                "cluster.node_name is `{name}`; it must have 1 to {NODE_NAME} letters, digits, `-` or \
                 `_`."
            ));
        }
    }

    fn check_redis(&self, problems: &mut Vec<String>) {
        let redis = &self.redis;
        let Some(url) = &redis.url else { return };
        if !["redis://", "rediss://"].iter().any(|scheme| url.expose().starts_with(scheme)) {
            // Not quoted: it contains a password.
            problems.push(
                "redis.url must begin with redis:// or rediss://, as in \
                 redis://USER:PASSWORD@HOST:6379."
                    .into(),
            );
        }
        if redis.ca_file.is_some() && url.expose().starts_with("redis://") {
            problems.push("redis.ca_file is for rediss://, and redis.url is redis://.".into());
        }
        if self.database.url.backend() == Backend::Sqlite {
            problems.push(
                "redis.url is set, but SQLite is for one node; set database.url to postgres://…."
                    .into(),
            );
        }
    }

    fn check_rabbitmq(&self, problems: &mut Vec<String>) {
        let rabbitmq = &self.rabbitmq;
        if let Some(url) = &rabbitmq.url
            && !["amqp://", "amqps://"].iter().any(|scheme| url.expose().starts_with(scheme))
        {
            // Not quoted: it contains a password.
            problems.push(
                "rabbitmq.url must begin with amqp:// or amqps://, as in \
                 amqp://USER:PASSWORD@HOST:5672/%2f."
                    .into(),
            );
        }
        for (key, text) in
            [("source", &rabbitmq.source), ("gateway_service", &rabbitmq.gateway_service)]
        {
            if text.is_empty() || text.chars().count() > NAME_CHARS {
                problems.push(format!("rabbitmq.{key} must have 1 to {NAME_CHARS} characters."));
            }
        }
        if rabbitmq.dead_letter_queue.is_empty() {
            problems.push("rabbitmq.dead_letter_queue is empty; it must name a queue.".into());
        }
        let read = [
            ("rpc_queue", &rabbitmq.rpc_queue),
            ("users_queue", &rabbitmq.users_queue),
            ("gateway_queue", &rabbitmq.gateway_queue),
        ];
        for (key, name) in read {
            if !name.is_empty() && *name == rabbitmq.dead_letter_queue {
                problems.push(format!(
                    "rabbitmq.dead_letter_queue is rabbitmq.{key}: what is put aside would come \
                     back at once; name another queue."
                ));
            }
        }
        let own = [
            ("exchange", &rabbitmq.exchange),
            ("rpc_queue", &rabbitmq.rpc_queue),
            ("users_queue", &rabbitmq.users_queue),
            ("gateway_queue", &rabbitmq.gateway_queue),
            ("dead_letter_queue", &rabbitmq.dead_letter_queue),
        ];
        let own_queue = |queue: &String| {
            let found =
                own.iter().find(|(_, name)| rabbitmq.prefixed(name).as_ref() == Some(queue));
            found.map(|(key, _)| *key)
        };
        for (key, name) in own {
            // The broker's own limit, with room for the suffixes of the nodes' queues.
            if rabbitmq.prefix.len() + name.len() > QUEUE_BYTES {
                problems.push(format!(
                    "rabbitmq.{key} and rabbitmq.prefix have more than {QUEUE_BYTES} bytes \
                     together."
                ));
            }
        }
        let mut queues = HashSet::new();
        for queue in &rabbitmq.event_queues {
            if queue.is_empty() || queue.len() > QUEUE_BYTES {
                problems.push(format!(
                    "rabbitmq.event_queues: a queue's name must have 1 to {QUEUE_BYTES} bytes."
                ));
            }
            if let Some(key) = own_queue(queue) {
                problems.push(format!(
                    "rabbitmq.event_queues: `{queue}` is the server's own rabbitmq.{key}, where \
                     events are not understood; name a queue of another service."
                ));
            }
            if !queues.insert(queue) {
                problems.push(format!("rabbitmq.event_queues: `{queue}` is there twice."));
            }
        }
        if rabbitmq.ca_file.is_some()
            && rabbitmq.url.as_ref().is_some_and(|url| url.expose().starts_with("amqp://"))
        {
            problems.push("rabbitmq.ca_file is for amqps://, and rabbitmq.url is amqp://.".into());
        }
        self.check_users_issuer(problems);
        let mut events = HashSet::new();
        for route in &rabbitmq.gateway {
            let Route { event, queue, pattern, .. } = route;
            if event.is_empty() || event.chars().count() > EVENT_CHARS {
                problems
                    .push(format!("rabbitmq.gateway: an event has 1 to {EVENT_CHARS} characters."));
            }
            if PROTOCOL_EVENTS.contains(&event.as_str()) {
                problems.push(format!(
                    "rabbitmq.gateway: `{event}` is the protocol's own; name the event otherwise."
                ));
            }
            if !events.insert(event.as_str()) {
                problems.push(format!("rabbitmq.gateway: `{event}` is there twice."));
            }
            if queue.is_empty() || queue.len() > QUEUE_BYTES {
                problems.push(format!(
                    "rabbitmq.gateway: the queue of `{event}` must have 1 to {QUEUE_BYTES} bytes."
                ));
            }
            if let Some(key) = own_queue(queue) {
                problems.push(format!(
                    "rabbitmq.gateway: the queue of `{event}` is the server's own rabbitmq.{key}; \
                     name a queue of another service."
                ));
            }
            if pattern.is_empty() {
                problems.push(format!("rabbitmq.gateway: the pattern of `{event}` is empty."));
            }
            if pattern.starts_with('{')
                && serde_json::from_str::<serde_json::Map<_, _>>(pattern).is_err()
            {
                problems
                    .push(format!("rabbitmq.gateway: the pattern of `{event}` is no JSON object."));
            }
        }
    }

    /// The issuer of other services' users must be that of tokens, or a block would have no effect.
    fn check_users_issuer(&self, problems: &mut Vec<String>) {
        let (rabbitmq, issuer) = (&self.rabbitmq, &self.rabbitmq.users_issuer);
        if rabbitmq.users_queue.is_empty() {
            return;
        }
        if issuer == OWN_ISSUER {
            problems.push(
                "rabbitmq.users_issuer is `frontdesk`, which is reserved for the built-in accounts."
                    .into(),
            );
        }
        if issuer == DEMO_ISSUER {
            problems.push(
                "rabbitmq.users_issuer is `demo`, which is reserved for the demo's users.".into(),
            );
        }
        if let Some(required) = &self.auth.issuer
            && required != issuer
        {
            problems.push(format!(
                "rabbitmq.users_issuer is `{issuer}`, but auth.issuer lets in users of `{required}` \
                 alone; they must be the same."
            ));
        }
    }

    /// All numbers.
    #[rustfmt::skip]
    pub(super) fn ranges(&self) -> Vec<Range> {
        let Self { server, database, auth, limits, socketio, cluster, rabbitmq, .. } = self;
        let mut ranges = vec![
            ("server.workers", server.workers as u64, 0..=1024),
            ("server.keep_alive_seconds", server.keep_alive_seconds, 1..=3600),
            ("server.shutdown_timeout", server.shutdown_timeout, 1..=3600),
            ("server.drain_wait_ms", server.drain_wait_ms, 0..=3_600_000),
            ("server.drain_window_ms", server.drain_window_ms, 0..=3_600_000),
            ("database.pool_size", database.pool_size as u64, 1..=1000),
            ("database.acquire_timeout_ms", database.acquire_timeout_ms, 1..=60_000),
            ("database.queue", database.queue as u64, 1..=1_000_000),
            ("database.batch_rows", database.batch_rows as u64, 1..=4096),
            ("database.batch_bytes", database.batch_bytes as u64, 1..=67_108_864),
            ("auth.jwks_refresh_seconds", auth.jwks_refresh_seconds, 1..=86_400),
            ("auth.access_seconds", auth.access_seconds, 10..=86_400),
            ("auth.refresh_days", auth.refresh_days, 1..=3650),
            ("auth.password_queue", auth.password_queue as u64, 1..=1000),
            ("limits.heartbeat_ms", limits.heartbeat_ms, 10..=3_600_000),
            ("limits.auth_seconds", limits.auth_seconds, 1..=3600),
            ("limits.leeway_seconds", limits.leeway_seconds, 0..=3600),
            ("limits.replay", limits.replay as u64, 1..=100_000),
            ("limits.frame_bytes", limits.frame_bytes as u64, 256..=16_777_216),
            ("limits.message_chars", limits.message_chars as u64, 1..=1_000_000),
            ("limits.messages_per_second", limits.messages_per_second.into(), 1..=1_000_000),
            ("limits.burst", limits.burst.into(), 1..=1_000_000),
            ("limits.body_bytes", limits.body_bytes as u64, 256..=16_777_216),
            ("limits.title_chars", limits.title_chars as u64, 1..=10_000),
            ("limits.group_members", limits.group_members as u64, 1..=100_000),
            ("limits.chats_entered", limits.chats_entered as u64, 1..=100_000),
            ("limits.sessions_per_user", limits.sessions_per_user as u64, 1..=100_000),
            ("limits.presence_grace_ms", limits.presence_grace_ms, 0..=600_000),
            ("limits.unauthenticated", limits.unauthenticated as u64, 1..=1_000_000),
            ("limits.connects_per_address", limits.connects_per_address.into(), 0..=1_000_000),
            ("limits.logins_per_address", limits.logins_per_address.into(), 0..=1_000_000),
            ("limits.logins_per_account", limits.logins_per_account.into(), 0..=1_000_000),
            ("limits.sign_ups_per_address", limits.sign_ups_per_address.into(), 0..=1_000_000),
            ("limits.wrong_keys_per_address", limits.wrong_keys_per_address.into(), 0..=1_000_000),
            ("limits.session_queue_events", limits.session_queue_events as u64, 1..=1_000_000),
            ("limits.session_queue_bytes", limits.session_queue_bytes as u64, 1024..=1_073_741_824),
            ("limits.room_posts", limits.room_posts as u64, 1..=1_000_000),
            ("limits.commands_in_flight", limits.commands_in_flight as u64, 1..=100_000),
            ("socketio.ping_timeout_ms", socketio.ping_timeout_ms, 10..=3_600_000),
            ("socketio.upgrade_timeout_ms", socketio.upgrade_timeout_ms, 10..=600_000),
            ("socketio.recovery_ms", socketio.recovery_ms, 0..=3_600_000),
            ("socketio.recovery_sessions", socketio.recovery_sessions as u64, 1..=1_000_000),
            ("cluster.poll_ms", cluster.poll_ms, 10..=60_000),
            ("rabbitmq.heartbeat_seconds", rabbitmq.heartbeat_seconds.into(), 1..=3600),
            ("rabbitmq.reconnect_ms", rabbitmq.reconnect_ms, 10..=600_000),
            ("rabbitmq.confirm_ms", rabbitmq.confirm_ms, 100..=600_000),
            ("rabbitmq.outbox_batch", rabbitmq.outbox_batch as u64, 1..=1000),
            ("rabbitmq.outbox_poll_ms", rabbitmq.outbox_poll_ms, 10..=60_000),
            ("rabbitmq.rpc_timeout_ms", rabbitmq.rpc_timeout_ms, 10..=600_000),
            ("rabbitmq.prefetch", rabbitmq.prefetch.into(), 1..=65_535),
            ("rabbitmq.gateway_bytes", rabbitmq.gateway_bytes as u64, 256..=16_777_216),
            ("rabbitmq.gateway_timeout_ms", rabbitmq.gateway_timeout_ms, 10..=600_000),
            ("rabbitmq.gateway_in_flight", rabbitmq.gateway_in_flight as u64, 1..=1_000_000),
        ];
        if let Some(executors) = database.executors {
            ranges.push(("database.executors", executors as u64, 1..=64));
        }
        if let Some(most) = limits.unauthenticated_per_address {
            ranges.push(("limits.unauthenticated_per_address", most as u64, 1..=1_000_000));
        }
        ranges
    }
}
