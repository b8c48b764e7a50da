//! Requests and answers about what admins look after.

use serde::{Deserialize, Serialize};

use super::ApiError;
use super::body::{Limits, Request};
use super::view::{optional_time, time};
use crate::domain::{ChatId, KeyId, Seq, StoredKey, Timestamp, UserId};

/// The longest reason of a block, in characters.
const REASON_CHARS: usize = 500;

/// A block of a user, with the reason for it.
pub struct Block {
    pub reason: Option<String>,
}

#[derive(Deserialize)]
pub struct WireBlock {
    reason: Option<String>,
}

impl Request for Block {
    type Wire = WireBlock;

    fn check(wire: WireBlock, _: &Limits) -> Result<Self, ApiError> {
        if let Some(reason) = &wire.reason {
            block_reason("reason", reason)?;
        }
        Ok(Self { reason: wire.reason })
    }
}

/// Checks the reason of a block.
///
/// # Errors
/// More than 500 characters, or U+0000.
pub fn block_reason(path: &str, reason: &str) -> Result<(), ApiError> {
    let chars = reason.chars().count();
    if chars > REASON_CHARS {
        let problem = format!("has {chars} characters, {REASON_CHARS} are allowed");
        return Err(ApiError::bad_request(path, problem));
    }
    if reason.contains('\0') {
        return Err(ApiError::bad_request(path, "must not contain U+0000"));
    }
    Ok(())
}

/// A service key, without what makes it one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyView<'a> {
    pub id: KeyId,
    pub name: &'a str,
    pub scopes: Vec<&'static str>,
    #[serde(serialize_with = "time")]
    pub created_at: Timestamp,
    /// To the minute.
    #[serde(serialize_with = "optional_time")]
    pub last_used_at: Option<Timestamp>,
    #[serde(serialize_with = "optional_time")]
    pub revoked_at: Option<Timestamp>,
}

impl<'a> From<&'a StoredKey> for KeyView<'a> {
    fn from(key: &'a StoredKey) -> Self {
        Self {
            id: key.id,
            name: &key.name,
            scopes: key.scopes.words().collect(),
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// A live session. Nodes tell it each other as it is shown.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveSessionView {
    pub id: String,
    pub node: String,
    pub user_id: UserId,
    pub role: String,
    pub connected_at: String,
    pub chats: Vec<ChatId>,
    pub watches: bool,
    pub waiting_events: usize,
    pub waiting_bytes: usize,
}

/// A chat's room on a node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveRoomView {
    pub chat_id: ChatId,
    pub node: String,
    pub sessions: usize,
    /// The last message that was delivered here; missing while the room opens.
    pub last_seq: Option<Seq>,
}
