//! Routes of clients' events to other services.

use serde::{Deserialize, Serialize};

/// A client's event for another service, and its way there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// As the client names it; none of the protocol's names.
    pub event: String,
    /// The service's queue, as it is named there.
    pub queue: String,
    /// A pattern, as it stands on the wire: a JSON object's text, or a plain name.
    pub pattern: String,
    #[serde(default)]
    pub kind: RouteKind,
    #[serde(default)]
    pub role: RouteRole,
}

/// Events that are told, and requests that are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// Told, and that is all; answers come as events of their own.
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
