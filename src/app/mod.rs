//! Use cases: a file for each, whoever asks, over any transport.
//!
//! A use case gets the actor, checks the access itself, and returns values of the domain or an
//! [`ApiError`]. Sessions, HTTP and RPC only parse and render.

mod accounts;
mod address_limits;
mod attempt_limits;
pub mod authenticate;
pub mod chat_access;
pub mod create_chat;
mod error;
mod handshake;
mod list_chats;
pub mod log_in;
mod list_messages;
pub mod manage_users;
pub mod mark_read;
mod online;
pub mod service_keys;
mod own_chat;
pub mod post_message;
mod show_chat;
mod show_user;
mod state;

pub use accounts::Accounts;
pub use address_limits::ClientAddress;
pub use attempt_limits::AttemptLimits;
pub use authenticate::{Admitted, Caller, ServiceAuthor};
pub use create_chat::create_chat;
pub use handshake::{HandshakeLimits, HandshakePermit};
pub use list_chats::list_chats;
pub use list_messages::list_messages;
pub use manage_users::{SeenUser, UserManager, tell_user_changed};
pub use mark_read::mark_read;
pub use online::online_of;
pub use own_chat::own_chat;
pub use post_message::{PostedMessage, post_message};
pub use service_keys::{KeyCaller, check_operator, list_keys, revoke_key};
pub use show_chat::show_chat;
pub use show_user::{UserKey, show_user};
pub use state::{AppParts, AppState};

use crate::domain::Scope;
use crate::protocol::ApiError;

/// The actor of a use case.
#[derive(Clone, Copy)]
pub enum Actor<'a> {
    /// A user whose token was verified.
    User(&'a Caller),
    /// Another service, under the name that it gave.
    Service(&'a ServiceAuthor),
    /// Another service, with a key for some of the API.
    Key(&'a KeyCaller),
    /// The company's own systems, without a name: they read as an admin, and write nothing.
    System,
}

impl Actor<'_> {
    /// Checks what concerns service keys alone: the key has this scope.
    fn needs(self, scope: Scope) -> Result<(), ApiError> {
        match self {
            Self::Key(key) => key.needs(scope),
            Self::User(_) | Self::Service(_) | Self::System => Ok(()),
        }
    }
}
