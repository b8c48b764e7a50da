//! User updates: another service's changes to one of its users.

use super::{Role, Timestamp, User};

/// An update. A missing field changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserUpdate {
    /// The event's source and its id there, which identify a repeat.
    pub event: Option<(String, String)>,
    /// Time of the event: an update older than the stored state is ignored. Now, if missing.
    pub at: Option<Timestamp>,
    pub issuer: String,
    pub subject: String,
    pub nickname: Option<String>,
    pub email: Option<String>,
    pub role: Option<Role>,
    pub blocked: Option<bool>,
    /// `user.created`: changes nothing of a known user.
    pub is_first: bool,
}

/// The outcome of a [`UserUpdate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// The user after the update.
    Changed(User),
    /// A repeat, older than the stored state, or without a change.
    Unchanged,
}
