//! Presence of users, as they are asked for.

use super::AppState;
use crate::actors::OnlineOf;
use crate::domain::{Chat, ChatAccess, ShownChat, UserId};
use crate::protocol::ApiError;

/// Those of the users who are online, by id.
///
/// # Errors
/// `unavailable`.
pub async fn online_of(app: &AppState, users: Vec<UserId>) -> Result<Vec<UserId>, ApiError> {
    if users.is_empty() {
        return Ok(users);
    }
    app.chat_server().send(OnlineOf(users)).await.map_err(|_| ApiError::unavailable())
}

/// Adds who is online to chats.
pub(super) async fn with_online(
    app: &AppState,
    chats: Vec<(Chat, ChatAccess)>,
) -> Result<Vec<ShownChat>, ApiError> {
    let small = chats.iter().filter(|(chat, _)| !chat.is_large);
    let mut members: Vec<UserId> =
        small.flat_map(|(chat, _)| chat.members.iter().map(|member| member.id)).collect();
    members.sort_unstable();
    members.dedup();
    let online = online_of(app, members).await?;
    let shown = |(chat, access): (Chat, ChatAccess)| {
        let members = chat.members.iter().map(|member| member.id);
        let is_online = |id: &UserId| online.binary_search(id).is_ok();
        let online = (!chat.is_large).then(|| members.filter(is_online).collect());
        ShownChat { chat, access, online }
    };
    Ok(chats.into_iter().map(shown).collect())
}
