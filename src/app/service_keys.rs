//! Service keys: let their services in, list and revoke them.

use super::{Actor, AppState, ClientAddress, ServiceAuthor};
use crate::auth::ServiceKey;
use crate::domain::{KeyId, Role, Scope, Scopes, StoredKey, User, access};
use crate::protocol::{ApiError, Code};

/// A service that was let in by its key.
pub struct KeyCaller {
    pub(super) author: ServiceAuthor,
    /// The service user of the key's name.
    pub profile: User,
    scopes: Scopes,
}

impl KeyCaller {
    /// Finds the key, and the service user of its name.
    ///
    /// # Errors
    /// `unauthenticated` for an unknown key and a revoked one, `rate_limited` after many of them,
    /// `forbidden` where the service user is blocked, `unavailable`.
    pub async fn admit(
        app: &AppState,
        client: Option<ClientAddress>,
        key: &ServiceKey,
    ) -> Result<Self, ApiError> {
        app.attempts().may_show_key(client)?;
        let found = match key.is_whole() {
            true => app.store().use_key(key.hash()).await?,
            false => None,
        };
        let StoredKey { name, scopes, .. } = found.ok_or_else(|| {
            app.attempts().wrong_key(client);
            ApiError::new(Code::Unauthenticated, "the service key is not valid")
        })?;
        let profile = app.store().service_user(Role::Bot, name, None).await?;
        Ok(Self { author: ServiceAuthor::of(&profile)?, profile, scopes })
    }

    /// Checks that the key has a scope.
    ///
    /// # Errors
    /// `forbidden`, with the scope's name.
    pub fn needs(&self, scope: Scope) -> Result<(), ApiError> {
        match access::may_by_key(&self.scopes, scope) {
            true => Ok(()),
            false => {
                Err(ApiError::forbidden(format!("the service key has no scope {}", scope.as_str())))
            }
        }
    }

    /// The role whose view of chats the key has: addresses are for those who may read users.
    #[must_use]
    pub fn viewer(&self) -> Role {
        if access::may_by_key(&self.scopes, Scope::UsersRead) {
            Role::Admin
        } else {
            Role::Customer
        }
    }
}

/// Lists keys by id.
///
/// # Errors
/// `forbidden`, `unavailable`.
pub async fn list_keys(
    app: &AppState,
    actor: Actor<'_>,
    after: Option<KeyId>,
    limit: i64,
) -> Result<Vec<StoredKey>, ApiError> {
    check_operator(actor)?;
    Ok(app.store().keys(after, limit).await?)
}

/// Revokes a key: it is refused from now on, on every node.
///
/// # Errors
/// `forbidden`, `key_not_found`, `unavailable`.
pub async fn revoke_key(app: &AppState, actor: Actor<'_>, id: KeyId) -> Result<(), ApiError> {
    check_operator(actor)?;
    let key = app.store().revoke_key(id).await?;
    let key = key.ok_or_else(|| {
        ApiError::new(Code::KeyNotFound, format!("service key {id} does not exist"))
    })?;
    log::info!("service key {id} ({:?}) was revoked", key.name);
    Ok(())
}

/// Checks that the actor may look after the deployment.
///
/// # Errors
/// `forbidden`.
pub fn check_operator(actor: Actor<'_>) -> Result<(), ApiError> {
    match actor {
        Actor::User(caller) if access::may_operate(caller.role()) => Ok(()),
        _ => Err(ApiError::forbidden("only an admin may do this")),
    }
}
