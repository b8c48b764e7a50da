//! Packets: NestJS's JSON bodies of events, requests and answers.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::pattern::Pattern;
use crate::protocol::ApiError;

/// An event, or a request if it has an `id`.
#[derive(Debug)]
pub struct Packet {
    pub pattern: Pattern,
    /// Verbatim; `null` where it is missing.
    pub data: Box<RawValue>,
    /// Verbatim: mostly a string.
    pub id: Option<Box<RawValue>>,
}

/// A body that is not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("the body is not JSON")]
    NotJson,
    #[error("the body has no pattern")]
    NoPattern,
    #[error("the body has neither err, response nor isDisposed")]
    NoAnswer,
}

/// The fields of an object; the last one of each name.
type Fields<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

impl Packet {
    /// Reads a body. Other fields are ignored.
    ///
    /// # Errors
    /// It is not JSON, or not an object with a pattern.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let json: &RawValue = serde_json::from_slice(body).map_err(|_| Unreadable::NotJson)?;
        let fields: Fields = serde_json::from_str(json.get()).map_err(|_| Unreadable::NoPattern)?;
        let pattern = fields.get("pattern").ok_or(Unreadable::NoPattern)?;
        Ok(Self {
            pattern: Pattern::read(pattern),
            data: fields.get("data").copied().unwrap_or(RawValue::NULL).to_owned(),
            id: fields.get("id").map(|id| (*id).to_owned()),
        })
    }

    /// The request's `id` as a text; `None` if it is empty.
    #[must_use]
    pub fn id_text(&self) -> Option<Cow<'_, str>> {
        self.id.as_deref().filter(|id| !matches!(id.get(), "null" | "\"\"")).map(text)
    }
}

/// A string's characters; the JSON of anything else.
fn text(value: &RawValue) -> Cow<'_, str> {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(value.get()),
    }
}

/// A service's answer.
#[derive(Debug)]
pub struct Reply {
    /// `None` if it is missing, which differs from `null`.
    pub value: Option<Box<RawValue>>,
    /// The service's refusal.
    pub error: Option<String>,
    /// The last packet of the answer.
    pub is_last: bool,
}

impl Reply {
    /// Reads a body.
    ///
    /// # Errors
    /// Not JSON, or not an answer of NestJS.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let json: &RawValue = serde_json::from_slice(body).map_err(|_| Unreadable::NotJson)?;
        let fields: Fields = serde_json::from_str(json.get()).unwrap_or_default();
        let [error, value, disposed] = ["err", "response", "isDisposed"].map(|key| fields.get(key));
        if error.or(value).or(disposed).is_none() {
            return Err(Unreadable::NoAnswer);
        }
        let error = error.filter(|error| is_truthy(error)).map(|error| message(error));
        Ok(Self {
            is_last: error.is_some() || disposed.is_some_and(|disposed| is_truthy(disposed)),
            value: value.map(|value| (*value).to_owned()),
            error,
        })
    }
}

/// Truthiness in JavaScript.
fn is_truthy(value: &RawValue) -> bool {
    !matches!(value.get(), "null" | "false" | "0" | "\"\"")
}

/// The readable text of an `err`: itself, or its `message`.
fn message(error: &RawValue) -> String {
    let fields: Fields = serde_json::from_str(error.get()).unwrap_or_default();
    text(fields.get("message").copied().unwrap_or(error)).into_owned()
}

/// An event, which gets no answer.
///
/// # Errors
/// Only what `data` itself returns.
pub fn event<D: Serialize + ?Sized>(pattern: &RawValue, data: &D) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Body<'a, D: ?Sized> {
        pattern: &'a RawValue,
        data: &'a D,
    }
    serde_json::to_vec(&Body { pattern, data })
}

/// A request, answered under the message's correlation id, which is `id` too.
///
/// # Errors
/// Only what `data` itself returns.
pub fn request<D: Serialize + ?Sized>(
    pattern: &RawValue,
    data: &D,
    id: &str,
) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Body<'a, D: ?Sized> {
        pattern: &'a RawValue,
        data: &'a D,
        id: &'a str,
    }
    serde_json::to_vec(&Body { pattern, data, id })
}

/// The answer to a request. NestJS 12 takes an object with one key more or less for the value
/// itself.
///
/// # Errors
/// Only what `value` itself returns.
pub fn response<R: Serialize + ?Sized>(value: &R) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Body<'a, R: ?Sized> {
        response: &'a R,
        #[serde(rename = "isDisposed")]
        is_disposed: bool,
    }
    serde_json::to_vec(&Body { response: value, is_disposed: true })
}

/// The refusal of a request.
///
/// # Errors
/// None.
pub fn refusal(exception: &ApiError) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Body<'a> {
        err: Error<'a>,
        #[serde(rename = "isDisposed")]
        is_disposed: bool,
    }
    #[derive(Serialize)]
    struct Error<'a> {
        status: &'static str,
        code: &'static str,
        message: &'a str,
    }
    let (code, message) = (exception.code.as_str(), &*exception.message);
    serde_json::to_vec(&Body { err: Error { status: "error", code, message }, is_disposed: true })
}

/// The refusal of a request without a handler, in NestJS's words.
///
/// # Errors
/// None.
pub fn no_handler(id: &RawValue) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Body<'a> {
        id: &'a RawValue,
        err: &'static str,
        status: &'static str,
    }
    let err = "There is no matching message handler defined in the remote service.";
    serde_json::to_vec(&Body { id, err, status: "error" })
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
