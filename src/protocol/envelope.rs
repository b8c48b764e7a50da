//! The envelope that every frame has: `{"event", "data", "id"}`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::object::Object;
use super::{Code, Exception};

/// The longest textual `id`, in characters.
const ID_CHARS: usize = 64;
/// The largest whole number that every client can tell from its neighbours: ±2⁵³.
const ID_NUMBER: i64 = 1 << 53;

/// What a client calls its own request; the answer carries it back as it came.
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

/// A frame taken apart, its `data` not yet looked at. Unknown fields are ignored.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
    #[serde(default)]
    pub id: Option<RequestId>,
}

/// A frame that is none, with what could be read of it for the answer.
#[derive(Debug)]
pub struct Rejected {
    pub id: Option<RequestId>,
    pub event: Option<String>,
    pub exception: Exception,
}

impl<'a> Envelope<'a> {
    /// Takes a text frame apart.
    ///
    /// # Errors
    /// A frame that is not JSON, not an object, without `event`, or with an `id` that is not allowed.
    pub fn parse(text: &'a str) -> Result<Self, Box<Rejected>> {
        match serde_json::from_str::<Object<Self>>(text) {
            Ok(Object(envelope)) if envelope.id.as_ref().is_none_or(RequestId::is_allowed) => {
                Ok(envelope)
            }
            Ok(_) | Err(_) => Err(Box::new(explain(text))),
        }
    }
}

/// Looks a second time, slowly, at a frame that was refused: what is wrong with it, and whom to answer.
fn explain(text: &str) -> Rejected {
    let reject = |id, event, exception| Rejected { id, event, exception };
    let mut fields = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => {
            return reject(
                None,
                None,
                Exception::new(Code::BadRequest, "a frame must be a JSON object"),
            );
        }
        Err(error) => {
            return reject(
                None,
                None,
                Exception::new(Code::BadRequest, format!("not JSON: {error}")),
            );
        }
    };
    let event = match fields.remove("event") {
        Some(Value::String(event)) => Ok(event),
        Some(_) => Err(Exception::bad_request("event", "must be a string")),
        None => Err(Exception::bad_request("event", "is missing")),
    };
    let id = match fields.remove("id") {
        None | Some(Value::Null) => Ok(None),
        Some(id) => serde_json::from_value::<RequestId>(id)
            .ok()
            .filter(RequestId::is_allowed)
            .map(Some)
            .ok_or_else(|| {
                Exception::bad_request(
                    "id",
                    "must be a string of at most 64 characters or an integer within ±2^53",
                )
            }),
    };
    match (id, event) {
        (Err(exception), event) => reject(None, event.ok(), exception),
        (Ok(id), Err(exception)) => reject(id, None, exception),
        // Only a field given twice is refused at first sight and looks right at the second.
        (Ok(id), Ok(event)) => reject(
            id,
            Some(event),
            Exception::new(Code::BadRequest, "a field of the envelope is given twice"),
        ),
    }
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
