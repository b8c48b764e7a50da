//! List the messages of a chat.

use super::list_chats::NOBODY;
use super::{Actor, AppState, chat_access};
use crate::db::HistoryPage;
use crate::domain::{ChatId, Message, Scope, access};
use crate::protocol::ApiError;

/// Reads a page of a chat's log.
///
/// # Errors
/// `chat_not_found` if the chat does not exist, for anybody or for this reader.
pub async fn list_messages(
    app: &AppState,
    actor: Actor<'_>,
    chat: ChatId,
    page: HistoryPage,
) -> Result<Vec<Message>, ApiError> {
    actor.needs(Scope::ChatsRead)?;
    let reads_all = match actor {
        Actor::User(caller) => access::may_read_all(caller.role()),
        Actor::Service(_) | Actor::Key(_) | Actor::System => true,
    };
    // For a reader of every chat, a message proves that this one exists: one read less.
    if reads_all {
        let messages = app.store().history(chat, page).await?;
        if messages.is_empty() {
            exists(app, actor, chat).await?;
        }
        return Ok(messages);
    }
    exists(app, actor, chat).await?;
    Ok(app.store().history(chat, page).await?)
}

async fn exists(app: &AppState, actor: Actor<'_>, chat: ChatId) -> Result<(), ApiError> {
    if let Actor::User(caller) = actor {
        return chat_access::of_caller(app, caller, chat, access::may_read).await.map(drop);
    }
    match app.store().chat_access(NOBODY, vec![chat]).await?.is_empty() {
        true => Err(ApiError::chat_not_found(chat)),
        false => Ok(()),
    }
}
