//! Requests and answers of built-in accounts.

use serde::{Deserialize, Serialize};

use super::body::{Limits, Request};
use super::{ApiError, storable};
use crate::domain::Email;

/// The shortest password, in characters. (NIST SP 800-63B, 3.1.1.2: no other rule makes one harder to guess)
const PASSWORD_CHARS: usize = 8;
/// The longest password, in bytes.
const PASSWORD_BYTES: usize = 1024;

/// An e-mail and its password. Without `Debug`: nothing prints a password.
#[derive(Clone)]
pub struct Credentials {
    pub email: Email,
    pub password: String,
}

/// A new account.
pub struct SignUp {
    pub credentials: Credentials,
    pub nickname: Option<String>,
}

/// A change of the own password.
pub struct PasswordChange {
    pub password: String,
    pub new_password: String,
}

/// A refresh token.
pub struct RefreshToken(pub String);

/// A refresh token, or none.
pub struct LogoutToken(pub Option<String>);

#[derive(Deserialize)]
pub struct WireCredentials {
    email: String,
    password: String,
}

#[derive(Deserialize)]
pub struct WireSignUp {
    email: String,
    password: String,
    nickname: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WirePasswordChange {
    password: String,
    new_password: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireRefreshToken {
    refresh_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireLogout {
    refresh_token: Option<String>,
}

impl Request for Credentials {
    type Wire = WireCredentials;

    fn check(wire: WireCredentials, _: &Limits) -> Result<Self, ApiError> {
        let WireCredentials { email, password } = wire;
        let email = Email::parse(&email)
            .ok_or_else(|| ApiError::bad_request("email", "is no e-mail address"))?;
        // A password that cannot be one is wrong all the same; a long one would cost time.
        not_too_long("password", &password)?;
        Ok(Self { email, password })
    }
}

impl Request for SignUp {
    type Wire = WireSignUp;

    fn check(wire: WireSignUp, limits: &Limits) -> Result<Self, ApiError> {
        let WireSignUp { email, password, nickname } = wire;
        nickname.as_deref().map_or(Ok(()), |nickname| storable("nickname", nickname))?;
        new_password("password", &password)?;
        let credentials = Credentials::check(WireCredentials { email, password }, limits)?;
        Ok(Self { credentials, nickname })
    }
}

impl Request for PasswordChange {
    type Wire = WirePasswordChange;

    fn check(wire: WirePasswordChange, _: &Limits) -> Result<Self, ApiError> {
        let WirePasswordChange { password, new_password: new } = wire;
        not_too_long("password", &password)?;
        new_password("newPassword", &new)?;
        Ok(Self { password, new_password: new })
    }
}

impl Request for RefreshToken {
    type Wire = WireRefreshToken;

    fn check(wire: WireRefreshToken, _: &Limits) -> Result<Self, ApiError> {
        Ok(Self(wire.refresh_token))
    }
}

impl Request for LogoutToken {
    type Wire = WireLogout;

    fn check(wire: WireLogout, _: &Limits) -> Result<Self, ApiError> {
        Ok(Self(wire.refresh_token))
    }
}

/// Checks that a password may be set.
///
/// # Errors
/// Fewer than 8 characters, or more than 1024 bytes.
pub fn new_password(path: &str, password: &str) -> Result<(), ApiError> {
    if password.chars().count() < PASSWORD_CHARS {
        let problem = format!("must have at least {PASSWORD_CHARS} characters");
        return Err(ApiError::bad_request(path, problem));
    }
    not_too_long(path, password)
}

fn not_too_long(path: &str, password: &str) -> Result<(), ApiError> {
    if password.len() > PASSWORD_BYTES {
        let problem = format!("must have at most {PASSWORD_BYTES} bytes");
        return Err(ApiError::bad_request(path, problem));
    }
    Ok(())
}

/// The tokens of a login.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokensView {
    pub access_token: String,
    pub refresh_token: String,
    pub token_type: &'static str,
    /// Seconds that the access token lasts.
    pub expires_in: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::parse_body;

    fn refused<T: Request>(body: &str) -> Option<String> {
        let limits = Limits { message_chars: 10, title_chars: 10, group_members: 10 };
        parse_body::<T>(body.as_bytes(), &limits).err().and_then(|error| error.path)
    }

    #[test]
    fn a_refusal_names_the_field_and_never_the_password() {
        let long = format!(r#"{{"email":"k@x.org","password":"{}"}}"#, "p".repeat(1025));
        for (body, path) in [
            (r#"{"email":"k@x.org","password":"12345678"}"#, None),
            (r#"{"email":"k@x.org","password":"p\u00e4ssw\u00f6rd"}"#, None),
            (r#"{"email":"k@x.org","password":"1234567"}"#, Some("password")),
            (r#"{"email":"kim","password":"12345678"}"#, Some("email")),
            (r#"{"email":"k@x.org","password":"12345678","nickname":"\u0000"}"#, Some("nickname")),
            (long.as_str(), Some("password")),
            (r#"{"email":"k@x.org"}"#, Some("password")),
        ] {
            assert_eq!(refused::<SignUp>(body).as_deref(), path, "{body}");
        }
    }

    #[test]
    fn who_logs_in_may_have_a_password_of_another_time() {
        assert_eq!(refused::<Credentials>(r#"{"email":"k@x.org","password":"1"}"#), None);
    }
}
