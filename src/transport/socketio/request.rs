//! Requests of Socket.IO clients as those of a session.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::auth::bearer;
use crate::domain::{ChatId, Seq};
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

/// Payload of CONNECT.
pub struct Credentials {
    token: Box<RawValue>,
    resume: Option<Box<RawValue>>,
    /// A session to recover.
    recovery: Option<Recover>,
}

/// The client's `pid` and the offset of the last event that it has.
pub struct Recover {
    pub pid: Box<str>,
    pub offset: Option<Box<str>>,
}

/// The data of `authenticate`, for the session.
pub struct Authenticate(Box<RawValue>);

impl Authenticate {
    #[must_use]
    pub fn request(&self) -> Envelope<'_> {
        Envelope { event: "authenticate".into(), data: Some(&self.0), id: None }
    }
}

impl Credentials {
    /// The token; `None` if it is no text.
    #[must_use]
    pub fn token(&self) -> Option<Cow<'_, str>> {
        text(&self.token)
    }

    /// The session to recover, once. One that says its positions itself resumes by them.
    pub fn recovery(&mut self) -> Option<Recover> {
        self.recovery.take().filter(|_| self.resume.is_none())
    }

    /// The request that begins a session.
    #[must_use]
    pub fn authenticate(&self) -> Authenticate {
        self.with_resume(self.resume.as_ref())
    }

    /// The same with these positions.
    #[must_use]
    pub fn resuming(&self, positions: impl Iterator<Item = (ChatId, Seq)>) -> Authenticate {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Position {
            chat_id: ChatId,
            after_seq: Seq,
        }
        let positions: Vec<Position> =
            positions.map(|(chat_id, after_seq)| Position { chat_id, after_seq }).collect();
        self.with_resume(Some(positions))
    }

    fn with_resume(&self, resume: Option<impl Serialize>) -> Authenticate {
        #[derive(Serialize)]
        struct Data<'a, T> {
            token: &'a RawValue,
            #[serde(skip_serializing_if = "Option::is_none")]
            resume: Option<T>,
        }
        let data = to_raw_value(&Data { token: &self.token, resume });
        // JSON and numbers alone, so this cannot fail; a token alone would.
        Authenticate(data.unwrap_or_else(|_| self.token.clone()))
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
    #[derive(Default, Deserialize)]
    struct Auth<'a> {
        #[serde(borrow, default)]
        token: Option<&'a RawValue>,
        #[serde(borrow, default)]
        resume: Option<&'a RawValue>,
        #[serde(borrow, default)]
        pid: Option<&'a RawValue>,
        #[serde(borrow, default)]
        offset: Option<&'a RawValue>,
    }
    let unreadable = |problem: serde_json::Error| {
        ApiError::new(Code::BadRequest, format!("auth cannot be read: {problem}"))
    };
    let auth: Auth<'_> = match auth {
        Some(auth) => serde_json::from_str(auth.get()).map_err(unreadable)?,
        None => Auth::default(),
    };
    let is_null = |value: &&RawValue| value.get() == "null";
    let given = auth.token.filter(|token| !is_null(token));
    let given_text = given.and_then(text);
    let token = match (given, &given_text) {
        // The session says what is wrong with it.
        (Some(token), None) => token.to_owned(),
        (Some(_), Some(text)) => to_raw_value(bearer(text).unwrap_or(text)).map_err(unreadable)?,
        (None, _) => {
            let token = authorization.and_then(bearer).ok_or_else(|| {
                let problem = "a token is missing: io(url, { auth: { token } })";
                ApiError::new(Code::Unauthenticated, problem)
            })?;
            to_raw_value(token).map_err(unreadable)?
        }
    };
    // Whatever is no text is no session's.
    let pid = auth.pid.and_then(text).map(|pid| Box::from(&*pid));
    let offset = auth.offset.and_then(text).map(|offset| Box::from(&*offset));
    let recovery = pid.map(|pid| Recover { pid, offset });
    let resume = auth.resume.filter(|resume| !is_null(resume)).map(ToOwned::to_owned);
    Ok(Credentials { token, resume, recovery })
}

fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(value.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(auth: Option<&str>, header: Option<&str>) -> Result<String, Code> {
        let auth = auth.map(|auth| serde_json::from_str::<&RawValue>(auth).expect("JSON"));
        let credentials = credentials(auth, header).map_err(|refused| refused.code)?;
        Ok(credentials.authenticate().0.get().to_owned())
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
    fn a_session_is_recovered_by_a_pid_and_without_resume() {
        let recovery = |auth: &str| {
            let auth = serde_json::from_str::<&RawValue>(auth).expect("JSON");
            let mut credentials = credentials(Some(auth), None).expect("a token");
            let Recover { pid, offset } = credentials.recovery()?;
            assert!(credentials.recovery().is_none(), "once");
            Some((pid.into_string(), offset.map(str::into_string)))
        };
        let some = |offset: Option<&str>| Some(("p".to_owned(), offset.map(str::to_owned)));
        assert_eq!(recovery(r#"{"token":"a","pid":"p","offset":"7"}"#), some(Some("7")));
        assert_eq!(recovery(r#"{"token":"a","pid":"p"}"#), some(None));
        assert_eq!(recovery(r#"{"token":"a","pid":"p","offset":7,"resume":null}"#), some(None));
        assert_eq!(recovery(r#"{"token":"a","pid":"p","resume":[]}"#), None);
        assert_eq!(recovery(r#"{"token":"a","pid":7,"offset":"7"}"#), None);
    }

    #[test]
    fn positions_are_those_of_authenticate() {
        let auth = serde_json::from_str::<&RawValue>(r#"{"token":"a"}"#).expect("JSON");
        let credentials = credentials(Some(auth), None).expect("a token");
        let Authenticate(data) = credentials.resuming([(ChatId(3), Seq(9))].into_iter());
        assert_eq!(data.get(), r#"{"token":"a","resume":[{"chatId":3,"afterSeq":9}]}"#);
    }

    #[test]
    fn an_event_has_one_argument_or_none() {
        let envelope = request(None, "ping".into(), None, 0).expect("a request");
        assert_eq!(envelope.data.map(RawValue::get), Some("{}"));
        let rejected = request(None, "ping".into(), None, 1).expect_err("two");
        assert_eq!(rejected.exception.code, Code::BadRequest);
    }
}
