//! Show one chat.

use super::list_chats::NOBODY;
use super::{Actor, AppState};
use crate::domain::{Chat, ChatAccess, ChatId, access};
use crate::protocol::ApiError;

/// A chat with the reader's access to it.
///
/// # Errors
/// `chat_not_found` if it does not exist, for anybody or for this reader.
pub async fn show_chat(
    app: &AppState,
    actor: Actor<'_>,
    id: ChatId,
) -> Result<(Chat, ChatAccess), ApiError> {
    let found = match actor {
        Actor::User(caller) => {
            let found = app.store().chat(id, caller.user.id()).await?;
            found.filter(|(_, access)| access::may_read(caller.role(), access))
        }
        Actor::Service(_) | Actor::System => app.store().chat(id, NOBODY).await?,
    };
    found.ok_or_else(|| ApiError::chat_not_found(id))
}
