//! Sign-up, login, refresh and logout of built-in accounts, and the own password.

use super::accounts::Accounts;
use super::address_limits::ClientAddress;
use super::{AppState, Caller, tell_user_changed};
use crate::actors::HashingRefused;
use crate::auth::Claims;
use crate::db::{NewAccount, Refreshed};
use crate::domain::{Role, User};
use crate::metrics::LoginOutcome;
use crate::protocol::{
    ApiError, Code, Credentials, PasswordChange, RefreshToken, SignUp, TokensView,
};

/// Time after which who found the passwords' thread busy may come back.
const BUSY_MS: u64 = 1_000;

/// The accounts of this deployment.
///
/// # Errors
/// `forbidden` where they are off.
fn accounts(app: &AppState) -> Result<&Accounts, ApiError> {
    app.accounts().ok_or_else(|| ApiError::forbidden("built-in accounts are off here"))
}

/// Makes an account, of a customer, and logs in.
///
/// # Errors
/// `email_taken`, `rate_limited`, `forbidden` where sign-up is off, `unavailable`.
pub async fn sign_up(
    app: &AppState,
    client: Option<ClientAddress>,
    new: SignUp,
) -> Result<TokensView, ApiError> {
    let accounts = accounts(app)?;
    if !accounts.sign_up {
        return Err(ApiError::forbidden("accounts are made by the company alone"));
    }
    app.attempts().sign_up(client)?;
    let SignUp { credentials: Credentials { email, password }, nickname } = new;
    let password_hash = accounts.passwords.place()?.hash(password).await?;
    let hash = password_hash.clone();
    let new = NewAccount { email, password_hash, nickname, role: Role::Customer };
    let user = app.store().create_account(new).await?;
    let user = user.ok_or_else(|| {
        ApiError::at(Code::EmailTaken, "email", "has an account already: log in with it")
    })?;
    log::info!("user {} has signed up", user.id);
    begin(app, accounts, &user, hash).await
}

/// Logs in.
///
/// # Errors
/// `unauthenticated` where the e-mail or the password is wrong, `forbidden` for a blocked user,
/// `rate_limited`, `unavailable`.
pub async fn log_in(
    app: &AppState,
    client: Option<ClientAddress>,
    Credentials { email, password }: Credentials,
) -> Result<TokensView, ApiError> {
    let accounts = accounts(app)?;
    app.attempts().log_in(client, email.normal())?;
    let place = accounts.passwords.place()?;
    let account = app.store().account(email.normal().to_owned()).await?;
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let is_right = place.verify(password, hash).await?;
    let Some(account) = account.filter(|_| is_right) else {
        app.metrics().login(LoginOutcome::Wrong);
        return Err(wrong());
    };
    if account.user.blocked {
        app.metrics().login(LoginOutcome::Blocked);
        return Err(ApiError::forbidden("this user is blocked"));
    }
    app.metrics().login(LoginOutcome::LoggedIn);
    begin(app, accounts, &account.user, account.password_hash).await
}

/// Exchanges a refresh token for new tokens. The old one works for 30 s more while its successor is
/// unused; after that its use ends the login.
///
/// # Errors
/// `unauthenticated`, `forbidden` for a blocked user, `unavailable`.
pub async fn refresh(
    app: &AppState,
    RefreshToken(token): RefreshToken,
) -> Result<TokensView, ApiError> {
    let accounts = accounts(app)?;
    let over = || ApiError::new(Code::Unauthenticated, "the refresh token is not valid (any more)");
    let (login, generation) = accounts.keys.open_refresh_token(&token).ok_or_else(over)?;
    match app.store().refresh_login(login, generation, accounts.refresh).await? {
        Refreshed::Blocked => Err(ApiError::forbidden("this user is blocked")),
        Refreshed::Next { user, generation, .. } => accounts.tokens(&user, login, generation),
        Refreshed::Revoked(user) => {
            log::warn!(
                "login {login} of user {} is revoked: a refresh token of it was used a second time",
                user.id
            );
            tell_user_changed(app, user.id).await?;
            Err(over())
        }
        Refreshed::Over => Err(over()),
    }
}

/// Ends the login of an access token, or of a refresh token; its sessions end. One that has ended
/// already is no error.
///
/// # Errors
/// `unauthenticated` where neither is of an account, `unavailable`.
pub async fn log_out(
    app: &AppState,
    claims: impl Future<Output = Result<Option<Claims>, ApiError>>,
    token: Option<String>,
) -> Result<(), ApiError> {
    let accounts = accounts(app)?;
    let login = match token.and_then(|token| accounts.keys.open_refresh_token(&token)) {
        Some((login, _)) => Some(login),
        // Verified, and not let in: who is blocked may log out, and who has, once more.
        None => claims.await?.and_then(|claims| claims.login()),
    };
    let login = login.ok_or_else(|| {
        ApiError::new(Code::Unauthenticated, "this needs a token of a built-in account")
    })?;
    if let Some(user) = app.store().end_login(login).await? {
        tell_user_changed(app, user.id).await?;
    }
    Ok(())
}

/// Sets the caller's own password. All other logins of the account end.
///
/// # Errors
/// `forbidden` for a user of another issuer, `bad_request` for a wrong password, `rate_limited`,
/// `unavailable`.
pub async fn change_password(
    app: &AppState,
    client: Option<ClientAddress>,
    caller: &Caller,
    PasswordChange { password, new_password }: PasswordChange,
) -> Result<(), ApiError> {
    let accounts = accounts(app)?;
    let id = caller.user.id();
    let account = app.store().account_of(id).await?;
    let account = account.filter(|_| caller.user.login().is_some()).ok_or_else(|| {
        ApiError::forbidden("your application keeps this user's password, not this server")
    })?;
    app.attempts().log_in(client, &format!("user {id}"))?;
    let place = accounts.passwords.place()?;
    if !place.verify(password, Some(account.password_hash)).await? {
        app.metrics().login(LoginOutcome::Wrong);
        return Err(ApiError::at(Code::Forbidden, "password", "is wrong"));
    }
    let hash = accounts.passwords.place()?.hash(new_password).await?;
    app.store().set_password(id, hash, caller.user.login()).await?;
    tell_user_changed(app, id).await
}

async fn begin(
    app: &AppState,
    accounts: &Accounts,
    user: &User,
    password_hash: String,
) -> Result<TokensView, ApiError> {
    let login = app.store().begin_login(user.id, password_hash, accounts.refresh).await?;
    let login = login.ok_or_else(wrong)?;
    accounts.tokens(user, login.id, login.generation)
}

/// The same words whether the e-mail is known or not.
fn wrong() -> ApiError {
    ApiError::new(Code::Unauthenticated, "the e-mail or the password is wrong")
}

impl From<HashingRefused> for ApiError {
    fn from(refused: HashingRefused) -> Self {
        match refused {
            HashingRefused::Busy => ApiError::busy(BUSY_MS),
            HashingRefused::Failed => {
                log::error!("a password could not be hashed");
                ApiError::internal()
            }
        }
    }
}
