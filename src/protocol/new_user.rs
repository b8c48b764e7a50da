//! Users that are created before their first token.

use serde::Deserialize;

use super::body::{Limits, Request};
use super::{ApiError, Text};

/// The longest of each text, in characters, as for token claims.
const CHARS: usize = 255;

/// A user to be created. The texts have the limits of the token claims of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The subject: the user's id at the issuer.
    pub subject: String,
    pub nickname: Option<String>,
    pub email: Option<String>,
}

/// A new user on the wire.
#[derive(Deserialize)]
pub struct WireUser {
    /// A number is kept as written, as a token's `sub` is.
    subject: Text,
    nickname: Option<String>,
    email: Option<String>,
}

impl Request for NewUser {
    type Wire = WireUser;

    fn check(wire: WireUser, _: &Limits) -> Result<Self, ApiError> {
        let WireUser { subject: Text(subject), nickname, email } = wire;
        if subject.is_empty() {
            return Err(ApiError::bad_request("subject", "must not be empty"));
        }
        let texts = [
            ("subject", Some(&subject)),
            ("nickname", nickname.as_ref()),
            ("email", email.as_ref()),
        ];
        for (path, text) in texts {
            text.map_or(Ok(()), |text| storable(path, text))?;
        }
        Ok(Self { subject, nickname, email })
    }
}

/// Checks that a text at `path` may be stored of a user.
///
/// # Errors
/// More than 255 characters, or U+0000.
pub fn storable(path: &str, text: &str) -> Result<(), ApiError> {
    let chars = text.chars().count();
    if chars > CHARS {
        let problem = format!("has {chars} characters, {CHARS} are allowed");
        return Err(ApiError::bad_request(path, problem));
    }
    if text.contains('\0') {
        return Err(ApiError::bad_request(path, "must not contain U+0000"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Code, parse_body};

    fn parse(body: &str) -> Result<NewUser, ApiError> {
        let limits = Limits { message_chars: 10, title_chars: 10, group_members: 10 };
        parse_body(body.as_bytes(), &limits)
    }

    #[test]
    fn a_user_needs_a_subject_alone() {
        let user = NewUser { subject: "kim".into(), nickname: None, email: None };
        assert_eq!(parse(r#"{"subject":"kim","nickname":null}"#), Ok(user));
    }

    #[test]
    fn a_subject_may_be_a_number_as_it_is_written() {
        for subject in ["7", "12345678901234567890123", "1.50"] {
            let user = parse(&format!(r#"{{"subject":{subject}}}"#)).expect(subject);
            assert_eq!(user.subject, subject);
        }
    }

    #[test]
    fn a_refusal_names_the_field() {
        let long = format!(r#"{{"subject":"{}"}}"#, "é".repeat(256));
        for (body, path) in [
            ("{}", "subject"),
            (r#"{"subject":""}"#, "subject"),
            (r#"{"subject":[7]}"#, "subject"),
            (long.as_str(), "subject"),
            (r#"{"subject":"kim","nickname":"\u0000"}"#, "nickname"),
            (r#"{"subject":"kim","email":[]}"#, "email"),
        ] {
            let exception = parse(body).expect_err(body);
            assert_eq!(exception.code, Code::BadRequest, "{body}");
            assert_eq!(exception.path.as_deref(), Some(path), "{body}");
        }
    }
}
