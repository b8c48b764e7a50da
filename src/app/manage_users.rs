//! Manage users: list, create, block and unblock them.

use super::{Actor, AppState, online_of};
use crate::actors::{UserChanged, UserState};
use crate::db::UserFilter;
use crate::domain::{Created, Scope, Timestamp, User, UserId, access};
use crate::protocol::{ApiError, NewUser};

/// The proof of the right to manage users, which each of these use cases needs.
pub struct UserManager<'a>(&'a AppState);

/// A user, and when they were last here.
pub struct SeenUser {
    pub user: User,
    pub online: bool,
    /// Now for a user who is online; `None` for one who has never been.
    pub last_seen_at: Option<Timestamp>,
}

impl<'a> UserManager<'a> {
    /// Checks the actor; of a service key the scope.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn check(app: &'a AppState, actor: Actor<'_>, scope: Scope) -> Result<Self, ApiError> {
        actor.needs(scope)?;
        let is_allowed = match actor {
            Actor::User(caller) => access::may_manage_users(caller.role()),
            Actor::Service(_) => false,
            // Its scope is what it was given for this.
            Actor::Key(_) | Actor::System => true,
        };
        if is_allowed {
            Ok(Self(app))
        } else {
            Err(ApiError::forbidden("only an admin may do this"))
        }
    }

    /// Lists users in the order in which they were first seen.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn list_users(
        &self,
        filter: UserFilter,
        after: Option<UserId>,
        limit: i64,
    ) -> Result<Vec<User>, ApiError> {
        Ok(self.0.store().users(filter, after, limit).await?)
    }

    /// A user, with presence.
    ///
    /// # Errors
    /// `user_not_found`, `unavailable`.
    pub async fn show_user(&self, id: UserId) -> Result<SeenUser, ApiError> {
        let user = self.0.store().user(id).await?;
        let user = user.ok_or_else(|| ApiError::user_not_found(id))?;
        let online = !online_of(self.0, vec![id]).await?.is_empty();
        let last_seen_at = match online {
            true => Some(Timestamp::now()),
            false => self.0.store().last_seen(id).await?,
        };
        Ok(SeenUser { user, online, last_seen_at })
    }

    /// Finds or creates a user of `issuer`, before their first token.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn create_user(
        &self,
        issuer: String,
        new: NewUser,
    ) -> Result<Created<User>, ApiError> {
        let NewUser { subject, nickname, email } = new;
        Ok(self.0.store().create_user(issuer, subject, nickname, email).await?)
    }

    /// Blocks or unblocks a user. Blocking ends the user's sessions on this node at once.
    ///
    /// # Errors
    /// `user_not_found`, `unavailable`.
    pub async fn block_user(
        &self,
        id: UserId,
        blocked: bool,
        reason: Option<String>,
    ) -> Result<User, ApiError> {
        let user = self.0.store().set_blocked(id, blocked, reason).await?;
        let user = user.ok_or_else(|| ApiError::user_not_found(id))?;
        tell_user_changed(self.0, id).await?;
        Ok(user)
    }
}

/// Tells the sessions of all nodes of a user's new state.
///
/// # Errors
/// `unavailable`: then the nodes learn of it by polling.
pub async fn tell_user_changed(app: &AppState, user: UserId) -> Result<(), ApiError> {
    if let Some(state) = UserState::read(user, app.store()).await? {
        // Bounded: one for each request, or update of a service, which changed a user.
        app.chat_server().do_send(UserChanged { user, state, changed_here: true });
    }
    Ok(())
}
