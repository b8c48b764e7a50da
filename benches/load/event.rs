//! Events of a server as the client needs them: few fields, borrowed, in one pass.

use std::borrow::Cow;

use anyhow::{Context, Result};
use serde::Deserialize;

/// One frame from the server.
#[derive(Deserialize)]
pub struct Event<'a> {
    pub event: &'a str,
    #[serde(default)]
    pub data: Data<'a>,
}

/// The fields of all events together; those that an event does not have are empty.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Data<'a> {
    pub id: Option<i64>,
    pub chat_id: Option<i64>,
    pub seq: Option<i64>,
    #[serde(borrow)]
    pub client_id: Cow<'a, str>,
    #[serde(borrow)]
    pub message: Cow<'a, str>,
    #[serde(borrow)]
    pub code: Cow<'a, str>,
    pub user: Option<User>,
    pub chats: Vec<Chat>,
}

/// The user that a `welcome` greets.
#[derive(Deserialize)]
pub struct User {
    pub id: i64,
}

/// A chat in a `welcome` or in the ack of `enter_chat`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chat {
    #[serde(alias = "chatId")]
    pub id: i64,
    pub last_seq: i64,
}

/// A page of a chat's history.
#[derive(Deserialize)]
pub struct Page<'a> {
    #[serde(borrow)]
    pub data: Vec<Stored<'a>>,
    /// The path of the page behind this one.
    pub next: Option<String>,
}

/// A message in a page.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored<'a> {
    pub seq: i64,
    #[serde(borrow)]
    pub client_id: Cow<'a, str>,
}

/// Reads JSON from the server; an error shows what it was.
pub fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json).with_context(|| {
        format!("not what was expected: {}", String::from_utf8_lossy(&json[..json.len().min(300)]))
    })
}
