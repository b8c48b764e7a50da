//! Show a user to a service.

use super::{Actor, AppState, UserManager};
use crate::domain::{Scope, User, UserId};
use crate::protocol::{ApiError, Code};

/// The two keys of a user.
pub enum UserKey {
    Id(UserId),
    Identity { issuer: String, subject: String },
}

/// Finds a user, with the fields that only managers of users may see.
///
/// # Errors
/// `forbidden`, `user_not_found`, `unavailable`.
pub async fn show_user(app: &AppState, actor: Actor<'_>, key: UserKey) -> Result<User, ApiError> {
    UserManager::check(app, actor, Scope::UsersRead)?;
    match key {
        UserKey::Id(id) => app.store().user(id).await?.ok_or_else(|| ApiError::user_not_found(id)),
        UserKey::Identity { issuer, subject } => {
            app.store().find_identity(issuer, subject).await?.ok_or_else(|| {
                ApiError::new(Code::UserNotFound, "there is no user of this subject")
            })
        }
    }
}
