//! Built-in accounts of a node: their keys, and the passwords' thread.

use std::time::Duration;

use crate::actors::Passwords;
use crate::auth::AccountKeys;
use crate::domain::{LoginId, Timestamp, User};
use crate::protocol::{ApiError, TokensView};
use crate::settings::Auth;

/// The built-in accounts of a node.
pub struct Accounts {
    pub(super) keys: AccountKeys,
    pub(super) passwords: Passwords,
    /// Anybody may make an account.
    pub(super) sign_up: bool,
    /// Life of an access token, and of a login without a refresh.
    access: Duration,
    pub(super) refresh: Duration,
}

impl Accounts {
    #[must_use]
    pub fn new(keys: AccountKeys, passwords: Passwords, auth: &Auth) -> Self {
        let (access, refresh) = (auth.access_lifetime(), auth.refresh_lifetime());
        Self { keys, passwords, sign_up: auth.sign_up, access, refresh }
    }

    /// The tokens of a login, with the refresh token of this number.
    ///
    /// # Errors
    /// `internal`: only a failure of the signing itself.
    pub(super) fn tokens(
        &self,
        user: &User,
        login: LoginId,
        generation: i64,
    ) -> Result<TokensView, ApiError> {
        let now = Timestamp::now();
        let signed = self.keys.access_token(user.id, login, now, now.after(self.access));
        let access_token = signed.map_err(|error| {
            log::error!("cannot sign an access token: {error}");
            ApiError::internal()
        })?;
        Ok(TokensView {
            access_token,
            refresh_token: self.keys.refresh_token(login, generation),
            token_type: "Bearer",
            expires_in: self.access.as_secs(),
        })
    }
}
