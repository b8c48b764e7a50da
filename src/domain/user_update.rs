//! User updates: what another service says of one of its users.

use super::{Role, Timestamp, User};

/// An update. A field that is missing changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserUpdate {
    /// The event's source and its id there, by which a repeat is known.
    pub event: Option<(String, String)>,
    /// Time of the event: an update older than the stored state is ignored. Now, if missing.
    pub at: Option<Timestamp>,
    pub issuer: String,
    pub subject: String,
    pub nickname: Option<String>,
    pub email: Option<String>,
    pub role: Option<Role>,
    pub blocked: Option<bool>,
    /// `user.created`, of somebody who may be known already: changes nothing of them.
    pub is_first: bool,
}

/// The outcome of a [`UserUpdate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// The user as they are now.
    Changed(User),
    /// It was applied before, or is older than what is known, or changes nothing.
    Unchanged,
}
