//! Routes of clients' events to other services.

use serde::{Deserialize, Serialize};

/// A client's event, and the service that it is forwarded to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The client's name of it; never one of the protocol's.
    pub event: String,
    /// The service's queue.
    pub queue: String,
    /// A pattern on the wire: a JSON object's text, or a plain name.
    pub pattern: String,
    #[serde(default)]
    pub kind: RouteKind,
    #[serde(default)]
    pub role: RouteRole,
}

/// Events without an answer, and requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// Forwarded without an answer; a service may send events of its own.
    #[default]
    Event,
    /// The service's answer becomes the client's ack.
    Request,
}

/// The roles that may send an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteRole {
    #[default]
    Any,
    Customer,
    Admin,
}
