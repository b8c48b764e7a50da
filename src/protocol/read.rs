//! JSON parser whose errors name the path, in a client's words.

use std::borrow::Cow;

use serde::de::{Deserialize, DeserializeOwned};
use serde_json::value::RawValue;

use super::object::Object;
use super::{ApiError, Code};

/// JSON can write half of a surrogate pair, which no text can hold: it could not be stored or sent
/// on.
pub(super) const HALF_OF_A_PAIR: &str =
    "has half of a surrogate pair, as \\ud83d alone: a character needs both halves";

/// Parses the `data` of a frame or of another service's packet, or the value at `at` in it. A
/// missing one, and `null`, count as an object without fields.
///
/// # Errors
/// A value that does not fit: the message names its path, from `at` on.
pub fn parse_data<T: DeserializeOwned>(data: Option<&RawValue>, at: &str) -> Result<T, ApiError> {
    let data = data.map(RawValue::get).filter(|text| *text != "null").unwrap_or("{}");
    read(data.as_bytes(), at)
}

/// Parses an object at `at`.
///
/// # Errors
/// The same.
pub(super) fn read<T: DeserializeOwned>(text: &[u8], at: &str) -> Result<T, ApiError> {
    read_any(text, at).map(|Object(value)| value)
}

/// Deserializes; on failure again, slowly, to find the path.
pub(super) fn read_any<'a, T: Deserialize<'a>>(text: &'a [u8], at: &str) -> Result<T, ApiError> {
    if let Ok(value) = serde_json::from_slice(text) {
        return Ok(value);
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Ok(_) => Err(ApiError::new(Code::BadRequest, "something follows the JSON value")),
        Err(error) => {
            // An unreadable name is shown as `?`: the path names the object around it.
            let path = match error.path().to_string() {
                inner if matches!(&*inner, "." | "?") => at.to_owned(),
                inner => join(at, inner.strip_suffix(".?").unwrap_or(&inner)),
            };
            Err(refusal(path, error.inner()))
        }
    }
}

fn refusal(path: String, error: &serde_json::Error) -> ApiError {
    let problem = error.to_string();
    let problem = problem.rsplit_once(" at line ").map_or(&*problem, |(problem, _)| problem);
    // serde reports these at the parent; the client looks for the field.
    let field = |prefix| problem.strip_prefix(prefix).and_then(|rest| rest.split('`').next());
    if let Some(field) = field("missing field `") {
        return ApiError::bad_request(join(&path, field), "is missing");
    }
    if let Some(field) = field("duplicate field `") {
        return ApiError::bad_request(join(&path, field), "is given twice");
    }
    let words = match problem {
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            HALF_OF_A_PAIR.into()
        }
        "number out of range" => "is too large a number".into(),
        _ if error.is_syntax() || error.is_eof() => {
            return ApiError::new(Code::BadRequest, format!("not JSON: {error}"));
        }
        _ => in_words(problem),
    };
    ApiError::bad_request(if path.is_empty() { "body".to_owned() } else { path }, words)
}

/// The expected value, as serde names it. All else is in our own words already.
fn in_words(problem: &str) -> Cow<'_, str> {
    if !problem.starts_with("invalid ") {
        return problem.into();
    }
    match problem.rsplit_once(", expected ").map(|(_, expected)| expected) {
        Some("i64" | "u64") => "must be a whole number of 64 bits".into(),
        Some("a string" | "a borrowed string") => "must be a text".into(),
        Some("a boolean") => "must be true or false".into(),
        Some("a sequence") => "must be a list".into(),
        Some(expected) if expected.starts_with("struct ") => "must be an object".into(),
        Some(expected) => format!("must be {expected}").into(),
        None => problem.into(),
    }
}

pub(super) fn join(at: &str, field: &str) -> String {
    if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::domain::ChatId;
    use crate::protocol::{Number, Text};

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only what cannot be read is looked at")]
    struct Wire {
        chat: Option<ChatId>,
        text: Option<String>,
        flag: Option<bool>,
        list: Option<Vec<i64>>,
        deep: Option<Object<Deep>>,
        number: Option<Number>,
        name: Option<Text>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only what cannot be read is looked at")]
    struct Deep {
        text: String,
    }

    #[test]
    fn what_is_wrong_is_said_in_a_clients_words() {
        let half = |path: &str| format!("{path}: {HALF_OF_A_PAIR}");
        let whole = |path: &str| format!("{path}: must be a whole number of 64 bits");
        let long = "9".repeat(400);
        for (data, message) in [
            (r#"{"text":"\ud83d"}"#, half("data.text")),
            (r#"{"text":"\ud83d!"}"#, half("data.text")),
            (r#"{"text":"\ud83d\n"}"#, half("data.text")),
            (r#"{"text":"\ud83d\ud83d"}"#, half("data.text")),
            (r#"{"text":"a\ude00"}"#, half("data.text")),
            (r#"{"deep":{"text":"\ude00"}}"#, half("data.deep.text")),
            (r#"{"name":"\ud83d"}"#, half("data.name")),
            (r#"{"\ud83d":1}"#, half("data")),
            (r#"{"text":7}"#, "data.text: must be a text".into()),
            (r#"{"text":{}}"#, "data.text: must be a text".into()),
            (r#"{"chat":"1"}"#, whole("data.chat")),
            (r#"{"chat":", expected a string at line 1"}"#, whole("data.chat")),
            (r#"{"chat":1.5}"#, whole("data.chat")),
            (r#"{"chat":9223372036854775808}"#, whole("data.chat")),
            (r#"{"chat":1e400}"#, "data.chat: is too large a number".into()),
            (r#"{"list":[1,null]}"#, whole("data.list[1]")),
            (r#"{"list":{}}"#, "data.list: must be a list".into()),
            (r#"{"flag":"yes"}"#, "data.flag: must be true or false".into()),
            (r#"{"deep":[]}"#, "data.deep: must be an object".into()),
            (r#"{"deep":{}}"#, "data.deep.text: is missing".into()),
            (r#"{"text":"a","text":"b"}"#, "data.text: is given twice".into()),
            (
                r#"{"number":1.5}"#,
                "data.number: must be a whole number, or its decimal text".into(),
            ),
            (r#"{"name":[]}"#, "data.name: must be a text or a number".into()),
            ("[]", "data: must be an object".into()),
            (&format!(r#"{{"chat":{long}}}"#), "data.chat: is too large a number".into()),
        ] {
            let exception = read::<Wire>(data.as_bytes(), "data").err().expect(data);
            assert_eq!(exception.code, Code::BadRequest, "{data}");
            assert_eq!(exception.message, message, "{data}");
            assert!(exception.path.is_some_and(|path| message.starts_with(&path)), "{data}");
        }
    }

    #[test]
    fn half_of_a_pair_in_what_is_not_read_is_ignored() {
        let read = |text: &str| read::<Wire>(text.as_bytes(), "data");
        assert!(read(r#"{"unknown":"\ud83d","text":"\ud83d\ude00"}"#).is_ok());
        assert!(read(r#"{"unknown":["\ude00",{"\ud83d":1}]}"#).is_ok());
    }
}
