//! Requests of Socket.IO clients as those of a session.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::auth::bearer;
use crate::protocol::{ApiError, Code, Envelope, Rejected, RequestId};

/// The data of an event without arguments.
const NOTHING: &str = "{}";

/// A client's event as a request.
///
/// # Errors
/// More than one argument.
pub fn request<'a>(
    id: Option<RequestId>,
    event: Cow<'a, str>,
    data: Option<&'a RawValue>,
    more: usize,
) -> Result<Envelope<'a>, Box<Rejected>> {
    if more > 0 {
        let problem = format!("an event has one argument, this one has {}", more + 1);
        let exception = ApiError::new(Code::BadRequest, problem);
        return Err(Box::new(Rejected { id, event: Some(event.into_owned()), exception }));
    }
    let data = data.or_else(|| serde_json::from_str(NOTHING).ok());
    Ok(Envelope { event, data, id })
}

/// Payload of CONNECT, as the data of `authenticate`.
pub struct Credentials(Box<RawValue>);

impl Credentials {
    #[must_use]
    pub fn request(&self) -> Envelope<'_> {
        Envelope { event: "authenticate".into(), data: Some(&self.0), id: None }
    }
}

/// The token in `auth`, or else in the handshake's `Authorization`: a bad one in `auth` is not saved by
/// the header.
///
/// # Errors
/// `unauthenticated` where both are missing.
pub fn credentials(
    auth: Option<&RawValue>,
    authorization: Option<&str>,
) -> Result<Credentials, ApiError> {
    #[derive(Default, Deserialize, Serialize)]
    struct Auth<'a> {
        #[serde(borrow, default)]
        token: Option<&'a RawValue>,
        #[serde(borrow, default)]
        #[serde(skip_serializing_if = "Option::is_none")]
        resume: Option<&'a RawValue>,
    }
    let unreadable = |problem: serde_json::Error| {
        ApiError::new(Code::BadRequest, format!("auth cannot be read: {problem}"))
    };
    let mut auth: Auth<'_> = match auth {
        Some(auth) => serde_json::from_str(auth.get()).map_err(unreadable)?,
        None => Auth::default(),
    };
    let is_null = |value: &&RawValue| value.get() == "null";
    let given = auth.token.filter(|token| !is_null(token));
    let text = given.and_then(|token| serde_json::from_str::<Cow<'_, str>>(token.get()).ok());
    let token = match (given, &text) {
        (Some(_), Some(text)) => bearer(text).unwrap_or(text),
        // The session says what is wrong with it.
        (Some(_), None) => "",
        (None, _) => authorization.and_then(bearer).ok_or_else(|| {
            let problem = "a token is missing: io(url, { auth: { token } })";
            ApiError::new(Code::Unauthenticated, problem)
        })?,
    };
    let token = to_raw_value(token).map_err(unreadable)?;
    if given.is_none() || text.is_some() {
        auth.token = Some(&token);
    }
    to_raw_value(&auth).map(Credentials).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(auth: Option<&str>, header: Option<&str>) -> Result<String, Code> {
        let auth = auth.map(|auth| serde_json::from_str::<&RawValue>(auth).expect("JSON"));
        credentials(auth, header).map(|Credentials(data)| data.get().to_owned()).map_err(|e| e.code)
    }

    #[test]
    fn the_token_is_in_auth_or_else_in_the_header() {
        let header = Some("Bearer h");
        for (auth, header, data) in [
            (Some(r#"{"token":"a"}"#), None, r#"{"token":"a"}"#),
            (Some(r#"{"token":"Bearer a"}"#), header, r#"{"token":"a"}"#),
            (Some(r#"{"token":""}"#), header, r#"{"token":""}"#),
            (Some(r#"{"token":7}"#), header, r#"{"token":7}"#),
            (Some(r#"{"token":null}"#), header, r#"{"token":"h"}"#),
            (Some(r#"{"x":1,"resume":[1]}"#), header, r#"{"token":"h","resume":[1]}"#),
            (None, Some("bearer  h "), r#"{"token":"h"}"#),
        ] {
            assert_eq!(taken(auth, header).as_deref(), Ok(data), "{auth:?}, {header:?}");
        }
        for header in [None, Some(""), Some("Bearer"), Some("Basic x")] {
            assert_eq!(taken(Some("{}"), header), Err(Code::Unauthenticated));
        }
    }

    #[test]
    fn an_event_has_one_argument_or_none() {
        let envelope = request(None, "ping".into(), None, 0).expect("a request");
        assert_eq!(envelope.data.map(RawValue::get), Some("{}"));
        let rejected = request(None, "ping".into(), None, 1).expect_err("two");
        assert_eq!(rejected.exception.code, Code::BadRequest);
    }
}
