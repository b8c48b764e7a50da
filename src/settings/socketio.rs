//! Settings of Socket.IO, and their validation.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Settings, load};
use crate::domain::{COMMANDS, NameIn, NameOut, PROTOCOL_EVENTS, SOCKETIO_EVENTS};

/// Paths that have their own use.
const OWN_PATHS: [&str; 13] = [
    "ws",
    "chats",
    "users",
    "healthz",
    "readyz",
    "metrics",
    "web",
    "_",
    "widget.js",
    "favicon.svg",
    "demo",
    "check",
    "desk",
];
/// The most namespaces.
const NAMESPACES: usize = 64;
/// The most names in each direction.
const NAMES: usize = 256;
/// The most events in all `after` together: what a session has sent of them is one word.
const AFTER: usize = 64;
/// The longest name of an event, a field, a namespace, in characters.
const NAME_CHARS: usize = 64;

/// Socket.IO clients. Off without a namespace.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketIo {
    /// With a slash at both ends.
    pub path: String,
    #[serde(deserialize_with = "load::list")]
    pub namespaces: Vec<String>,
    pub ping_timeout_ms: u64,
    pub upgrade_timeout_ms: u64,
    pub recovery_ms: u64,
    pub recovery_sessions: usize,
    pub errors: Refusals,
    /// Clients' names of commands.
    #[serde(deserialize_with = "load::tables")]
    pub names_in: Vec<NameIn>,
    /// Clients' names of the server's events; the first that applies counts.
    #[serde(deserialize_with = "load::tables")]
    pub names_out: Vec<NameOut>,
}

/// The way in which a refused request with an ack is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum Refusals {
    /// By the event `exception`, and by the ack.
    Both,
    /// By the event `exception` alone, as Nest does; the ack never comes.
    Event,
}

impl TryFrom<String> for Refusals {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "both" => Ok(Self::Both),
            "event" => Ok(Self::Event),
            _ => Err(format!("`{name}` is neither both nor event")),
        }
    }
}

impl SocketIo {
    /// True if there is a namespace to connect to.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.namespaces.is_empty()
    }

    /// Time for a client's pong.
    #[must_use]
    pub fn ping_timeout(&self) -> Duration {
        Duration::from_millis(self.ping_timeout_ms)
    }

    /// Time from a probe to the end of the upgrade.
    #[must_use]
    pub fn upgrade_timeout(&self) -> Duration {
        Duration::from_millis(self.upgrade_timeout_ms)
    }

    /// Time that a broken session is kept for its client; `None` where none is recovered.
    #[must_use]
    pub fn recovery(&self) -> Option<Duration> {
        (self.recovery_ms > 0).then(|| Duration::from_millis(self.recovery_ms))
    }

    pub(super) fn normalize(&mut self) {
        if !self.path.ends_with('/') {
            self.path.push('/');
        }
    }
}

impl Settings {
    pub(super) fn check_socketio(&self, problems: &mut Vec<String>) {
        let SocketIo { path, namespaces, names_in, names_out, .. } = &self.socketio;
        let segments = path.strip_prefix('/').map(|path| path.strip_suffix('/').unwrap_or(path));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_segment = |part: &str| !part.is_empty() && part.chars().all(is_plain);
        if !segments.is_some_and(|path| path.split('/').all(is_segment)) {
            problems.push(format!(
                "socketio.path is `{path}`; it must be a path of letters, digits, `-`, `_` and `.`, \
                 as in /socket.io/."
            ));
        }
        let first = segments.and_then(|path| path.split('/').next()).unwrap_or_default();
        if OWN_PATHS.contains(&first) {
            problems.push(format!(
                "socketio.path is `{path}`, which is the server's own; name another."
            ));
        }
        check_namespaces(namespaces, problems);
        for (key, count) in [("names_in", names_in.len()), ("names_out", names_out.len())] {
            if count > NAMES {
                problems.push(format!("socketio.{key} has {count} entries; {NAMES} are allowed."));
            }
        }
        check_names_in(names_in, problems);
        check_names_out(names_out, problems);
        for NameIn { event, .. } in names_in {
            if self.rabbitmq.gateway.iter().any(|route| route.event == *event) {
                problems.push(format!(
                    "socketio.names_in: `{event}` is in rabbitmq.gateway, too; one of them must go."
                ));
            }
        }
    }
}

fn check_namespaces(namespaces: &[String], problems: &mut Vec<String>) {
    if namespaces.len() > NAMESPACES {
        let count = namespaces.len();
        problems
            .push(format!("socketio.namespaces has {count} namespaces; {NAMESPACES} are allowed."));
    }
    let mut known = HashSet::new();
    for name in namespaces {
        let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !",?".contains(c);
        let is_short = name.chars().count() <= NAME_CHARS;
        if !name.starts_with('/') || !name.chars().all(is_plain) || !is_short {
            problems.push(format!(
                "socketio.namespaces has `{name}`; a namespace begins with a slash and has at most \
                 {NAME_CHARS} characters, none of them a comma, a question mark or a space."
            ));
        }
        if !known.insert(name) {
            problems.push(format!("socketio.namespaces: `{name}` is there twice."));
        }
    }
}

fn check_names_in(names: &[NameIn], problems: &mut Vec<String>) {
    let key = "socketio.names_in";
    let mut known = HashSet::new();
    for NameIn { event, is, bare, answer, fields, answer_fields } in names {
        check_event(key, event, problems);
        if !known.insert(event) {
            problems.push(format!("{key}: `{event}` is there twice."));
        }
        if !COMMANDS.contains(&is.as_str()) {
            let commands = COMMANDS.join(", ");
            problems.push(format!("{key}: `{event}` is `{is}`, which is none of {commands}."));
        }
        if let Some(answer) = answer {
            check_event(key, answer, problems);
        } else if !answer_fields.is_empty() {
            problems.push(format!("{key}: `{event}` has answer_fields, but no answer."));
        }
        let ours = fields.iter().chain(answer_fields).flat_map(|(a, b)| [a, b]).chain(bare);
        check_fields(key, event, ours, problems);
        check_once(key, event, fields, problems);
    }
}

fn check_names_out(names: &[NameOut], problems: &mut Vec<String>) {
    let key = "socketio.names_out";
    for NameOut { of, name, bare, after, fields } in names {
        check_event(key, name, problems);
        // `typing` is said by both sides. An ack is no event here.
        let is_server = of == "typing" || !COMMANDS.contains(&of.as_str());
        if of == "ack" || !is_server || !PROTOCOL_EVENTS.contains(&of.as_str()) {
            problems.push(format!("{key}: `{of}` is no event of the server."));
        }
        if bare.is_some() && !fields.is_empty() {
            problems.push(format!("{key}: `{name}` has bare and fields; one of them must go."));
        }
        after.iter().for_each(|event| check_event(key, event, problems));
        let paths = bare.iter().chain(fields.values()).flat_map(|path| path.split('.'));
        check_fields(key, name, fields.keys().map(String::as_str).chain(paths), problems);
    }
    let after: HashSet<_> = names.iter().flat_map(|name| &name.after).collect();
    if after.len() > AFTER {
        let count = after.len();
        problems.push(format!("{key}: `after` names {count} events in all; {AFTER} are allowed."));
    }
}

fn check_event(key: &str, event: &str, problems: &mut Vec<String>) {
    if event.is_empty() || event.chars().count() > NAME_CHARS {
        problems.push(format!("{key}: an event has 1 to {NAME_CHARS} characters."));
    }
    if SOCKETIO_EVENTS.contains(&event) {
        problems
            .push(format!("{key}: `{event}` is Socket.IO's own; no client can send or see it."));
    }
}

fn check_fields<'a>(
    key: &str,
    event: &str,
    fields: impl Iterator<Item = impl AsRef<str> + 'a>,
    problems: &mut Vec<String>,
) {
    let is_allowed = |field: &str| !field.is_empty() && field.chars().count() <= NAME_CHARS;
    if !fields.into_iter().all(|field| is_allowed(field.as_ref())) {
        problems.push(format!("{key}: a field of `{event}` has not 1 to {NAME_CHARS} characters."));
    }
}

/// A client's field can be only one of the command's.
fn check_once(
    key: &str,
    event: &str,
    fields: &BTreeMap<String, String>,
    problems: &mut Vec<String>,
) {
    let mut known = HashSet::new();
    for theirs in fields.values() {
        if !known.insert(theirs) {
            problems.push(format!("{key}: the field `{theirs}` of `{event}` is there twice."));
        }
    }
}
