//! Find a customer's own chat for a service, which may name the customer instead of the chat.

use super::create_chat::announce;
use super::{Actor, AppState};
use crate::domain::{ChatId, Created, UserId, access};
use crate::protocol::{ApiError, Code};

/// Finds a customer's own chat. A missing one is created and announced for a service that posts;
/// for a reader it is `chat_not_found`.
///
/// # Errors
/// `forbidden` for users, `user_not_found`, `chat_not_found`, `unavailable`.
pub async fn own_chat(
    app: &AppState,
    actor: Actor<'_>,
    customer: UserId,
) -> Result<ChatId, ApiError> {
    if matches!(actor, Actor::User(_)) {
        return Err(ApiError::forbidden("only services ask for the chat of a user"));
    }
    if let Some(chat) = app.store().support_chat(customer).await? {
        return Ok(chat);
    }
    if matches!(actor, Actor::System) {
        return Err(no_own_chat(customer));
    }
    let user = app.store().user(customer).await?;
    let user = user.ok_or_else(|| ApiError::user_not_found(customer))?;
    if !access::has_own_chat(user.role) {
        return Err(no_own_chat(customer));
    }
    let created = app.store().own_chat(customer).await?;
    if let Created::New(id) = created
        && let Some(chat) = app.store().chats_by_id(vec![id]).await?.pop()
    {
        announce(app, chat, None).await?;
    }
    Ok(created.into_inner())
}

fn no_own_chat(user: UserId) -> ApiError {
    ApiError::new(Code::ChatNotFound, format!("user {user} has no chat of their own"))
}
