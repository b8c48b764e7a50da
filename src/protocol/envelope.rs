//! Frame envelope: `{"event", "data", "id"}`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::object::Object;
use super::read::{HALF_OF_A_PAIR, read_any};
use super::{ApiError, Code, Fields};

/// The longest textual `id`, in characters.
const ID_CHARS: usize = 64;
/// The largest absolute value up to which doubles hold every integer: 2⁵³.
const ID_NUMBER: i64 = 1 << 53;

/// A client's id of its own request; the answer repeats it unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RequestId {
    Number(i64),
    Text(Box<str>),
}

impl RequestId {
    fn is_allowed(&self) -> bool {
        match self {
            Self::Number(number) => (-ID_NUMBER..=ID_NUMBER).contains(number),
            Self::Text(text) => text.len() <= ID_CHARS || text.chars().count() <= ID_CHARS,
        }
    }
}

/// A parsed frame, with `data` unparsed. Unknown fields are ignored.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
    #[serde(default)]
    pub id: Option<RequestId>,
}

/// A rejected frame, and the fields that could be recovered for the reply.
#[derive(Debug)]
pub struct Rejected {
    pub id: Option<RequestId>,
    pub event: Option<String>,
    pub exception: ApiError,
}

impl<'a> Envelope<'a> {
    /// Parses a text frame.
    ///
    /// # Errors
    /// Not JSON, not an object, without `event`, or with an invalid `id`.
    pub fn parse(text: &'a str) -> Result<Self, Box<Rejected>> {
        match serde_json::from_str::<Object<Self>>(text) {
            Ok(Object(envelope)) if envelope.id.as_ref().is_none_or(RequestId::is_allowed) => {
                Ok(envelope)
            }
            Ok(_) | Err(_) => Err(Box::new(explain(text))),
        }
    }
}

/// Parses a rejected frame again, slowly, for the reason and for the request's `id`.
fn explain(text: &str) -> Rejected {
    let reject = |id, event, exception| Rejected { id, event, exception };
    let nobody = |exception| reject(None, None, exception);
    let object = match read_any::<&RawValue>(text.as_bytes(), "") {
        Ok(value) if value.get().starts_with('{') => value,
        Ok(_) => {
            return nobody(ApiError::new(Code::BadRequest, "a frame must be a JSON object"));
        }
        Err(exception) => return nobody(exception),
    };
    let Ok(fields) = Fields::parse(object.get()) else {
        let problem = format!("a field's name {HALF_OF_A_PAIR}");
        return nobody(ApiError::new(Code::BadRequest, problem));
    };
    let event = match fields.get("event") {
        Some((event, _)) => read_any::<String>(event.get().as_bytes(), "event"),
        None => Err(ApiError::bad_request("event", "is missing")),
    };
    let id = fields.get("id").map_or(Ok(None), |(id, _)| id_of(id));
    let twice = ["event", "data", "id"]
        .into_iter()
        .find(|name| fields.get(name).is_some_and(|(_, is_twice)| is_twice));
    match (id, event) {
        (Err(exception), event) => reject(None, event.ok(), exception),
        (Ok(id), Err(exception)) => reject(id, None, exception),
        // Only a duplicate field fails at first and passes here.
        (Ok(id), Ok(event)) => {
            let exception = ApiError::bad_request(twice.unwrap_or("event"), "is given twice");
            reject(id, Some(event), exception)
        }
    }
}

fn id_of(value: &RawValue) -> Result<Option<RequestId>, ApiError> {
    if value.get().starts_with('"') {
        read_any::<String>(value.get().as_bytes(), "id")?;
    }
    let id = serde_json::from_str::<Option<RequestId>>(value.get()).ok();
    id.filter(|id| id.as_ref().is_none_or(RequestId::is_allowed)).ok_or_else(|| {
        let problem = "must be a text of at most 64 characters or a whole number within ±2^53";
        ApiError::bad_request("id", problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_needs_an_event_alone() {
        let envelope = Envelope::parse(r#"{"event":"ping","extra":1}"#).expect("an envelope");
        assert_eq!(envelope.event, "ping");
        assert!(envelope.data.is_none() && envelope.id.is_none());
    }

    #[test]
    fn an_id_that_is_not_allowed_is_not_answered_with() {
        for id in [r#""""#, r#""c-1""#, "7", "-9007199254740992", "null"] {
            assert!(Envelope::parse(&format!(r#"{{"event":"ping","id":{id}}}"#)).is_ok(), "{id}");
        }
        let long = format!("\"{}\"", "é".repeat(65));
        for id in ["1.5", "9007199254740993", "true", "[]", "{}", "1e400", long.as_str()] {
            let rejected =
                Envelope::parse(&format!(r#"{{"event":"ping","id":{id}}}"#)).expect_err(id);
            assert_eq!(rejected.id, None, "{id}");
            assert_eq!(rejected.exception.code, Code::BadRequest);
        }
    }

    #[test]
    fn a_frame_without_an_event_is_answered_by_its_id() {
        let rejected = Envelope::parse(r#"{"id":4}"#).expect_err("no event");
        assert_eq!(rejected.id, Some(RequestId::Number(4)));
        assert_eq!(rejected.exception.path.as_deref(), Some("event"));
    }

    #[test]
    fn half_of_a_surrogate_pair_is_named_by_its_field() {
        for (text, path) in [
            (r#"{"event":"ping\ud83d","id":4}"#, Some("event")),
            (r#"{"event":"ping","id":"\ud83d"}"#, Some("id")),
            (r#"{"event":"ping","id":4,"\ud83d":1}"#, None),
        ] {
            let ApiError { path: named, message, .. } =
                Envelope::parse(text).expect_err(text).exception;
            assert_eq!(named.as_deref(), path, "{text}");
            assert!(message.contains("half of a surrogate pair"), "{text}: {message}");
        }
        let frame = r#"{"id":4,"data":{"message":"\ud83d"}}"#;
        let rejected = Envelope::parse(frame).expect_err("no event");
        assert_eq!(rejected.id, Some(RequestId::Number(4)), "whatever the data has");
        let frame = r#"{"event":"ping","data":{"message":"\ud83d"},"extra":"\ude00"}"#;
        assert!(Envelope::parse(frame).is_ok(), "the data is looked at later");
    }

    #[test]
    fn a_field_that_is_given_twice_is_named() {
        for (text, path) in [
            (r#"{"event":"a","event":"b"}"#, "event"),
            (r#"{"event":"a","data":{},"data":{}}"#, "data"),
            (r#"{"event":"a","id":1,"id":2}"#, "id"),
        ] {
            let rejected = Envelope::parse(text).expect_err(text);
            assert_eq!(rejected.exception.path.as_deref(), Some(path), "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "",
            "{",
            "[]",
            "[\"ping\"]",
            "1",
            "null",
            "\"event\"",
            "{\"event\":\"a\",\"event\":\"b\"}",
        ] {
            assert!(Envelope::parse(text).is_err(), "{text}");
        }
    }
}
