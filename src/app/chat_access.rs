//! Chat access: a user's access to chats, checked against a verb.

use super::{AppState, Caller};
use crate::auth::AuthenticatedUser;
use crate::domain::access::{self, Verb};
use crate::domain::{ChatAccess, ChatId, Role};
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

/// The access to each of several chats, in their order, if all allow `verb`.
///
/// # Errors
/// Those of [`to_chat`], for the first chat with one.
pub async fn to_chats(
    app: &AppState,
    user: &AuthenticatedUser,
    chats: Vec<ChatId>,
    verb: Verb,
) -> Result<Vec<ChatAccess>, ApiError> {
    let found = readable(app, user, chats.clone()).await?;
    let access = |chat| found.iter().find(|access| access.chat_id == chat);
    chats.into_iter().map(|chat| allowed(user.role(), chat, access(chat), verb)).collect()
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
