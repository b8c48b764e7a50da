//! What a client may ask for, parsed into types that cannot be wrong.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::object::Object;
use super::read::{join, parse_data, read};
use super::{ApiError, Code, Envelope};
use crate::domain::{Body, ChatId, ClientId, Seq, UserId};

/// The most chats that one request may name.
pub const CHATS_NAMED: usize = 100;

/// The bounds that a request is held against.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of a message, in Unicode scalar values.
    pub message_chars: usize,
    /// Of a group chat's title, in Unicode scalar values.
    pub title_chars: usize,
    /// People in a group chat.
    pub group_members: usize,
}

/// A request of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `resume` counts instead of the URL's where it is there.
    Authenticate {
        token: String,
        resume: Option<Vec<Entry>>,
    },
    EnterChat(Vec<Entry>),
    LeaveChat(Vec<ChatId>),
    CreateChat(NewChat),
    WatchChats(bool),
    SendMessage {
        chat_id: Option<ChatId>,
        message: Outgoing,
    },
    ReadMessage(ReadMark),
    Ping,
}

/// A chat to enter, and where to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub chat_id: ChatId,
    /// The last `seq` that was seen; `None` begins at the end.
    pub after_seq: Option<Seq>,
}

/// A message to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub body: Body,
    pub client_id: Option<ClientId>,
    pub expect_seq: Option<Seq>,
}

/// What `create_chat` asks for. Without users it is a customer's own chat that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChat {
    pub user_ids: Option<Vec<UserId>>,
    pub title: Option<String>,
}

/// How far a user has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadMark {
    pub chat_id: ChatId,
    pub seq: Seq,
}

impl Command {
    /// Reads what an envelope asks for.
    ///
    /// # Errors
    /// An unknown event, or `data` that is not as the event needs it: the message names the path.
    pub fn parse(envelope: &Envelope<'_>, limits: &Limits) -> Result<Self, ApiError> {
        let data = Data(envelope.data);
        Ok(match &*envelope.event {
            "send_message" => {
                let wire: WireMessage = data.read()?;
                Self::SendMessage { chat_id: wire.chat_id, message: wire.check("data", limits)? }
            }
            "read_message" => {
                let wire: ReadMessage = data.read()?;
                let seq = not_negative(wire.seq, "data.seq")?;
                Self::ReadMessage(ReadMark { chat_id: wire.chat_id, seq })
            }
            "ping" => Self::Ping,
            "authenticate" => {
                let wire: Authenticate = data.read()?;
                let resume = wire
                    .resume
                    .map(|resume| {
                        entries(
                            resume.into_iter().map(|Object(entry)| entry).collect(),
                            "data.resume",
                        )
                    })
                    .transpose()?;
                Self::Authenticate { token: wire.token, resume }
            }
            "enter_chat" => Self::EnterChat(data.read::<EnterChat>()?.check()?),
            "leave_chat" => {
                let wire: LeaveChat = data.read()?;
                counted(&wire.chat_ids, "data.chatIds")?;
                Self::LeaveChat(wire.chat_ids)
            }
            "create_chat" => Self::CreateChat(data.read::<CreateChat>()?.check("data", limits)?),
            "watch_chats" => Self::WatchChats(data.read::<WatchChats>()?.watch),
            event => {
                let event: String = event.chars().take(64).collect();
                return Err(ApiError::new(
                    Code::UnknownEvent,
                    format!("there is no event {event:?}"),
                ));
            }
        })
    }
}

/// Reads the body of an HTTP request, which has the fields that the event of the same purpose has.
///
/// # Errors
/// A body that is not JSON, or not as it must be: the message names the path.
pub fn parse_body<T: Request>(body: &[u8], limits: &Limits) -> Result<T, ApiError> {
    let wire: T::Wire = read(body, "")?;
    T::check(wire, limits)
}

/// What can be read from an HTTP body.
pub trait Request: Sized {
    type Wire: DeserializeOwned;
    fn check(wire: Self::Wire, limits: &Limits) -> Result<Self, ApiError>;
}

impl Request for Outgoing {
    type Wire = WireMessage;
    fn check(wire: WireMessage, limits: &Limits) -> Result<Self, ApiError> {
        wire.check("", limits)
    }
}

impl Request for NewChat {
    type Wire = CreateChat;
    fn check(wire: CreateChat, limits: &Limits) -> Result<Self, ApiError> {
        wire.check("", limits)
    }
}

/// A read mark whose chat stands in the path.
impl Request for Seq {
    type Wire = ReadTo;
    fn check(wire: ReadTo, _: &Limits) -> Result<Self, ApiError> {
        not_negative(wire.seq, "seq")
    }
}

/// Reads `?resume=10:55,12:3`: chats and the last `seq` seen in each.
///
/// # Errors
/// Anything else, or more chats than one request may name.
pub fn resume_from_query(text: &str) -> Result<Vec<Entry>, ApiError> {
    let malformed = || {
        ApiError::bad_request(
            "resume",
            "must be chatId:seq pairs separated by commas, as 10:55,12:3",
        )
    };
    let digits = |text: &str| {
        // `parse` alone would let a sign pass.
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten()
    };
    let wire = text
        .split(',')
        .filter(|pair| !text.is_empty() || !pair.is_empty())
        .map(|pair| {
            let (chat, seq) = pair.split_once(':').ok_or_else(malformed)?;
            let chat_id = ChatId(digits(chat).ok_or_else(malformed)?);
            let after_seq = Some(Seq(digits(seq).ok_or_else(malformed)?));
            Ok(WireEntry { chat_id, after_seq })
        })
        .collect::<Result<Vec<_>, ApiError>>()?;
    entries(wire, "resume")
}

/// A message as it comes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireMessage {
    /// Over HTTP the chat stands in the path, and this is not looked at.
    chat_id: Option<ChatId>,
    message: String,
    client_id: Option<String>,
    expect_seq: Option<Seq>,
}

impl WireMessage {
    fn check(self, at: &str, limits: &Limits) -> Result<Outgoing, ApiError> {
        Outgoing::check_parts(self.message, self.client_id, self.expect_seq, at, limits)
    }
}

impl Outgoing {
    /// Takes what came at `at`, if it may be stored.
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

/// A `clientId` of the wrong length is a wrong value, not a body that is too large.
pub(crate) fn client_id_refused(path: &str, error: &crate::domain::TextError) -> ApiError {
    ApiError::bad_request(path, format!("{error}; 1 to 64 characters are allowed"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadMessage {
    chat_id: ChatId,
    seq: Seq,
}

/// A read mark as it comes over HTTP.
#[derive(Deserialize)]
pub struct ReadTo {
    seq: Seq,
}

#[derive(Deserialize)]
struct Authenticate {
    token: String,
    resume: Option<Vec<Object<WireEntry>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEntry {
    chat_id: ChatId,
    after_seq: Option<Seq>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnterChat {
    chat_ids: Option<Vec<ChatId>>,
    chats: Option<Vec<Object<WireEntry>>>,
}

impl EnterChat {
    fn check(self) -> Result<Vec<Entry>, ApiError> {
        match (self.chat_ids, self.chats) {
            (Some(ids), None) => {
                counted(&ids, "data.chatIds")?;
                let wire =
                    ids.into_iter().map(|chat_id| WireEntry { chat_id, after_seq: None }).collect();
                entries(wire, "data.chatIds")
            }
            (None, Some(chats)) => {
                counted(&chats, "data.chats")?;
                entries(chats.into_iter().map(|Object(entry)| entry).collect(), "data.chats")
            }
            (None, None) => {
                Err(ApiError::bad_request("data.chatIds", "is missing (or data.chats)"))
            }
            (Some(_), Some(_)) => Err(ApiError::bad_request(
                "data.chats",
                "stands beside data.chatIds, one is allowed",
            )),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeaveChat {
    chat_ids: Vec<ChatId>,
}

#[derive(Deserialize)]
struct WatchChats {
    watch: bool,
}

/// A chat to be made, as it comes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateChat {
    user_ids: Option<Vec<UserId>>,
    title: Option<String>,
}

impl CreateChat {
    fn check(self, at: &str, limits: &Limits) -> Result<NewChat, ApiError> {
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

/// Checks each entry, and keeps the last of each chat.
fn entries(wire: Vec<WireEntry>, path: &str) -> Result<Vec<Entry>, ApiError> {
    if wire.len() > CHATS_NAMED {
        return Err(too_many(path, wire.len()));
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(wire.len());
    for (index, WireEntry { chat_id, after_seq }) in wire.into_iter().enumerate() {
        let after_seq = after_seq
            .map(|seq| not_negative(seq, &format!("{path}[{index}].afterSeq")))
            .transpose()?;
        match entries.iter_mut().find(|entry| entry.chat_id == chat_id) {
            Some(entry) => entry.after_seq = after_seq,
            None => entries.push(Entry { chat_id, after_seq }),
        }
    }
    Ok(entries)
}

fn counted<T>(items: &[T], path: &str) -> Result<(), ApiError> {
    match items.len() {
        0 => Err(ApiError::bad_request(path, "must name at least one chat")),
        1..=CHATS_NAMED => Ok(()),
        count => Err(too_many(path, count)),
    }
}

fn too_many(path: &str, count: usize) -> ApiError {
    ApiError::bad_request(path, format!("names {count} chats, {CHATS_NAMED} are allowed"))
}

fn not_negative(seq: Seq, path: &str) -> Result<Seq, ApiError> {
    if seq < Seq::ZERO {
        return Err(ApiError::bad_request(path, "must not be negative"));
    }
    Ok(seq)
}

/// An envelope's `data`.
struct Data<'a>(Option<&'a RawValue>);

impl Data<'_> {
    fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        parse_data(self.0, "data")
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
