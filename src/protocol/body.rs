//! Request bodies that frames and HTTP share, parsed into valid types.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ApiError;
use super::entry::not_negative;
use super::read::{join, read};
use crate::domain::{Author, Body, ChatId, ClientId, Draft, MessageKind, Seq, UserId};

/// The limits of a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of a message, in Unicode scalar values.
    pub message_chars: usize,
    /// Of a group chat's title, in Unicode scalar values.
    pub title_chars: usize,
    /// People in a group chat.
    pub group_members: usize,
}

/// A message to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    pub body: Body,
    pub client_id: Option<ClientId>,
    pub expect_seq: Option<Seq>,
}

/// A chat to be created. Without users it is a customer's own chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChat {
    pub user_ids: Option<Vec<UserId>>,
    pub title: Option<String>,
}

/// Parses the body of an HTTP request, which has the fields of the corresponding event.
///
/// # Errors
/// Malformed JSON, or an invalid field: the message names the path.
pub fn parse_body<T: Request>(body: &[u8], limits: &Limits) -> Result<T, ApiError> {
    let wire: T::Wire = read(body, "")?;
    T::check(wire, limits)
}

/// A type that is parsed from an HTTP body.
pub trait Request: Sized {
    type Wire: DeserializeOwned;
    fn check(wire: Self::Wire, limits: &Limits) -> Result<Self, ApiError>;
}

impl Request for NewMessage {
    type Wire = WireMessage;
    fn check(wire: WireMessage, limits: &Limits) -> Result<Self, ApiError> {
        wire.check("", limits)
    }
}

impl Request for NewChat {
    type Wire = WireChat;
    fn check(wire: WireChat, limits: &Limits) -> Result<Self, ApiError> {
        wire.check("", limits)
    }
}

/// A read mark; the chat is in the path.
impl Request for Seq {
    type Wire = ReadTo;
    fn check(wire: ReadTo, _: &Limits) -> Result<Self, ApiError> {
        not_negative(wire.seq, "seq")
    }
}

/// A message on the wire.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireMessage {
    /// Over HTTP the chat is in the path, and this is ignored.
    pub chat_id: Option<ChatId>,
    message: String,
    client_id: Option<String>,
    expect_seq: Option<Seq>,
}

impl WireMessage {
    /// Validates the value at the path `at`.
    ///
    /// # Errors
    /// `too_large` for the text, `bad_request` for anything else.
    pub fn check(self, at: &str, limits: &Limits) -> Result<NewMessage, ApiError> {
        NewMessage::check_parts(self.message, self.client_id, self.expect_seq, at, limits)
    }
}

impl NewMessage {
    /// Validates the value at `at`, if it may be stored.
    ///
    /// # Errors
    /// `too_large` for the text, `bad_request` for anything else.
    pub fn check_parts(
        message: String,
        client_id: Option<String>,
        expect_seq: Option<Seq>,
        at: &str,
        limits: &Limits,
    ) -> Result<Self, ApiError> {
        let expect_seq =
            expect_seq.map(|seq| not_negative(seq, &join(at, "expectSeq"))).transpose()?;
        let client_id = client_id
            .map(|text| {
                ClientId::parse(text)
                    .map_err(|error| client_id_refused(&join(at, "clientId"), &error))
            })
            .transpose()?;
        let body = Body::parse(message, limits.message_chars)
            .map_err(|error| ApiError::text(&join(at, "message"), &error))?;
        Ok(Self { body, client_id, expect_seq })
    }
}

impl NewMessage {
    /// The draft of this message by `author`. A missing `clientId` is generated.
    #[must_use]
    pub fn into_draft(self, author: &Author, chat: ChatId) -> Draft {
        Draft {
            chat_id: chat,
            author: author.id,
            role: author.role,
            kind: MessageKind::Text,
            content: self.body,
            client_id: self.client_id.unwrap_or_else(ClientId::random),
            expect_seq: self.expect_seq,
        }
    }
}

/// A `clientId` of the wrong length is an invalid value, not a body that is too large.
pub(crate) fn client_id_refused(path: &str, error: &crate::domain::TextError) -> ApiError {
    ApiError::bad_request(path, format!("{error}; 1 to 64 characters are allowed"))
}

/// A read mark over HTTP.
#[derive(Deserialize)]
pub struct ReadTo {
    seq: Seq,
}

/// A new chat on the wire.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireChat {
    user_ids: Option<Vec<UserId>>,
    title: Option<String>,
}

impl WireChat {
    /// Validates the value at the path `at`.
    ///
    /// # Errors
    /// `too_large` for the title, `bad_request` for anything else.
    pub fn check(self, at: &str, limits: &Limits) -> Result<NewChat, ApiError> {
        if let Some(ids) = &self.user_ids {
            let path = join(at, "userIds");
            if ids.is_empty() {
                return Err(ApiError::bad_request(path, "must name at least one user"));
            }
            if ids.len() > limits.group_members {
                let most = limits.group_members;
                return Err(ApiError::bad_request(
                    path,
                    format!("names {} users, {most} are allowed", ids.len()),
                ));
            }
        }
        let title = self.title.map(|title| {
            Body::parse(title, limits.title_chars)
                .map_err(|error| ApiError::text(&join(at, "title"), &error))
        });
        Ok(NewChat { user_ids: self.user_ids, title: title.transpose()?.map(Body::into_string) })
    }
}
