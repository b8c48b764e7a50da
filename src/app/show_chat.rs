//! Show one chat.

use super::list_chats::NOBODY;
use super::online::with_online;
use super::{Actor, AppState};
use crate::domain::{ChatId, Scope, ShownChat, access};
use crate::protocol::ApiError;

/// A chat as the reader sees it.
///
/// # Errors
/// `chat_not_found` if it does not exist, for anybody or for this reader.
pub async fn show_chat(
    app: &AppState,
    actor: Actor<'_>,
    id: ChatId,
) -> Result<ShownChat, ApiError> {
    actor.needs(Scope::ChatsRead)?;
    let found = match actor {
        Actor::User(caller) => {
            let found = app.store().chat(id, caller.user.id()).await?;
            found.filter(|(_, access)| access::may_read(caller.role(), access))
        }
        Actor::Service(_) | Actor::Key(_) | Actor::System => app.store().chat(id, NOBODY).await?,
    };
    let shown = with_online(app, found.into_iter().collect()).await?.pop();
    shown.ok_or_else(|| ApiError::chat_not_found(id))
}
