//! Create a chat: a group by an admin, or a customer's own.

use std::sync::Arc;

use super::AppState;
use super::online::with_online;
use crate::actors::Announce;
use crate::auth::AuthenticatedUser;
use crate::db::GroupResult;
use crate::domain::{Chat, Created, SessionId, ShownChat, access};
use crate::protocol::{ApiError, NewChat};

/// Creates a group chat for an admin, or finds a customer's own. A new chat is announced to all
/// sessions but the one whose ack carries it.
///
/// # Errors
/// `forbidden`, `bad_request` without users, `user_not_found`, `unavailable`.
pub async fn create_chat(
    app: &AppState,
    user: &AuthenticatedUser,
    wanted: NewChat,
    session: Option<SessionId>,
) -> Result<Created<ShownChat>, ApiError> {
    let may_create_group = access::may_create_group(user.role());
    let created = match wanted.user_ids {
        Some(_) if !may_create_group => {
            return Err(ApiError::forbidden("only admins make chats of chosen people"));
        }
        Some(users) => match app.store().create_group(user.id(), users, wanted.title).await? {
            GroupResult::Created(id) => Created::New(id),
            GroupResult::NoUser(missing) => return Err(ApiError::user_not_found(missing)),
        },
        None if may_create_group => return Err(ApiError::bad_request("userIds", "is missing")),
        None => app.store().own_chat(user.id()).await?,
    };
    let id = *created.get();
    let found = app.store().chat(id, user.id()).await?;
    let (chat, access) = found.ok_or_else(|| ApiError::chat_not_found(id))?;
    if created.is_new() {
        announce(app, chat.clone(), session).await?;
    }
    let shown = with_online(app, vec![(chat, access)]).await?.pop();
    let shown = shown.ok_or_else(|| ApiError::chat_not_found(id))?;
    Ok(created.map(|_| shown))
}

/// Announces a new chat to sessions. Bounded: one for each chat.
pub(super) async fn announce(
    app: &AppState,
    chat: Chat,
    except: Option<SessionId>,
) -> Result<(), ApiError> {
    let members = app.store().member_ids(chat.id).await?;
    let chat = Arc::new(chat);
    app.chat_server().do_send(Announce { chat, members, except, made_here: true });
    Ok(())
}
