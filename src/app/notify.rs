//! Notify sessions of this node, and ask whether a user has one here.

use super::AppState;
use crate::actors::{Broadcast, IsHere};
use crate::domain::UserId;
use crate::protocol::Exception;

/// Sends a frame to sessions of this node, and counts them.
///
/// # Errors
/// `unavailable` while the server stops.
pub async fn broadcast(app: &AppState, broadcast: Broadcast) -> Result<usize, Exception> {
    app.chat_server().send(broadcast).await.map_err(|_| Exception::unavailable())
}

/// True if the user has a session on this node.
///
/// # Errors
/// `unavailable` while the server stops.
pub async fn is_here(app: &AppState, user: UserId) -> Result<bool, Exception> {
    app.chat_server().send(IsHere(user)).await.map_err(|_| Exception::unavailable())
}
