//! Chat access: a user's access to chats, checked against a verb.

use super::{AppState, Caller};
use crate::auth::AuthenticatedUser;
use crate::domain::access::{self, Verb};
use crate::domain::{ChatAccess, ChatEntry, ChatId, Role};
use crate::protocol::ApiError;

/// The access to one chat, if it allows `verb`.
///
/// # Errors
/// `chat_not_found` if the chat does not exist, for anybody or for this user; `forbidden` if it may
/// only be read.
pub async fn to_chat(
    app: &AppState,
    user: &AuthenticatedUser,
    chat: ChatId,
    verb: Verb,
) -> Result<ChatAccess, ApiError> {
    let found = readable(app, user, vec![chat]).await?.pop();
    allowed(user.role(), chat, found.as_ref(), verb)
}

/// The access to each of several chats, in their order, if all may be read, with their rosters.
///
/// # Errors
/// Those of [`to_chat`], for the first chat with one.
pub async fn to_enter(
    app: &AppState,
    user: &AuthenticatedUser,
    chats: Vec<ChatId>,
) -> Result<Vec<ChatEntry>, ApiError> {
    let found = readable(app, user, chats.clone()).await?;
    let access = |chat| found.iter().find(|access| access.chat_id == chat);
    let chats = chats
        .into_iter()
        .map(|chat| allowed(user.role(), chat, access(chat), access::may_read))
        .collect::<Result<_, _>>()?;
    with_rosters(app, user, chats).await
}

/// Adds the chats' rosters.
pub(super) async fn with_rosters(
    app: &AppState,
    user: &AuthenticatedUser,
    chats: Vec<ChatAccess>,
) -> Result<Vec<ChatEntry>, ApiError> {
    let of_user = chats.iter().map(|access| (*access, user.id())).collect();
    let mut rosters = app.store().rosters(of_user).await?;
    let entry = |access: ChatAccess| ChatEntry { access, roster: rosters.remove(&access.chat_id) };
    Ok(chats.into_iter().map(entry).collect())
}

/// The access to those of the chats that the user may read, in any order.
pub(super) async fn readable(
    app: &AppState,
    user: &AuthenticatedUser,
    chats: Vec<ChatId>,
) -> Result<Vec<ChatAccess>, ApiError> {
    let mut found = app.store().chat_access(user.id(), chats).await?;
    found.retain(|access| access::may_read(user.role(), access));
    Ok(found)
}

/// The same as [`to_chat`], for a caller whose own chats are known.
pub(super) async fn of_caller(
    app: &AppState,
    caller: &Caller,
    chat: ChatId,
    verb: Verb,
) -> Result<ChatAccess, ApiError> {
    match caller.chats.iter().find(|access| access.chat_id == chat) {
        known @ Some(_) => allowed(caller.role(), chat, known, verb),
        // Not read along with the user: an admin's, or beyond the latest 100.
        None => to_chat(app, &caller.user, chat, verb).await,
    }
}

fn allowed(
    role: Role,
    chat: ChatId,
    access: Option<&ChatAccess>,
    verb: Verb,
) -> Result<ChatAccess, ApiError> {
    match access.filter(|access| access::may_read(role, access)) {
        None => Err(ApiError::chat_not_found(chat)),
        Some(access) if verb(role, access) => Ok(*access),
        Some(_) => Err(ApiError::forbidden("this may not be done in this chat")),
    }
}
