//! What other services tell: of their users, and by whom they speak here.

use std::time::Duration;

use super::{Store, StoreError};
use crate::domain::{Applied, Role, User, UserNews};

impl Store {
    /// Brings the table of users in step with what another service tells, once.
    pub async fn apply_user_news(&self, _news: UserNews) -> Result<Applied, StoreError> {
        Err(StoreError::Internal("to come".to_owned()))
    }

    /// Forgets by what repeats are known, of what was applied longer ago than `age`.
    pub async fn prune_inbox(&self, _age: Duration) -> Result<(), StoreError> {
        Err(StoreError::Internal("to come".to_owned()))
    }

    /// Finds or makes the user as whom a service speaks: `role` is `Bot` or `System`, `name` its name
    /// among those of the role. Another nickname than the known one replaces it.
    pub async fn service_user(
        &self,
        _role: Role,
        _name: String,
        _nickname: Option<String>,
    ) -> Result<User, StoreError> {
        Err(StoreError::Internal("to come".to_owned()))
    }
}
