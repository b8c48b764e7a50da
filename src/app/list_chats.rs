//! List chats: all of them, or those of one user.

use super::online::with_online;
use super::{Actor, AppState};
use crate::db::{ChatPage, Scope};
use crate::domain::{Scope as KeyScope, ShownChat, UserId, access};
use crate::protocol::ApiError;

/// A user id that nobody has: no marks, and no memberships.
pub(super) const NOBODY: UserId = UserId(0);

/// Lists a page of chats as the reader sees them: those that they may list, or those of which the user
/// `of` is a member, for who may list all. A service without a user of its own reads as `of`.
///
/// # Errors
/// `forbidden`, `unavailable`.
pub async fn list_chats(
    app: &AppState,
    actor: Actor<'_>,
    of: Option<UserId>,
    page: ChatPage,
) -> Result<Vec<ShownChat>, ApiError> {
    actor.needs(KeyScope::ChatsRead)?;
    let (reader, scope) = match (actor, of) {
        (Actor::User(caller), of) if access::may_list_all(caller.role()) => {
            (caller.user.id(), of.map_or(Scope::All, Scope::MemberOf))
        }
        (Actor::User(_), Some(_)) => return Err(ApiError::forbidden("this is for admins")),
        (Actor::User(caller), None) => (caller.user.id(), Scope::MemberOf(caller.user.id())),
        (Actor::Service(_) | Actor::Key(_) | Actor::System, Some(user)) => {
            (user, Scope::MemberOf(user))
        }
        (Actor::Service(_) | Actor::Key(_) | Actor::System, None) => (NOBODY, Scope::All),
    };
    let chats = app.store().chats(reader, scope, page).await?;
    with_online(app, chats).await
}
