//! Decides. Plain data and plain functions: no actor, no database, no clock, no I/O.

pub mod access;
mod chat;
mod ids;
mod message;
mod time;
mod user;

pub use chat::{Chat, ChatKind, Member, Standing};
pub use ids::{ChatId, MessageId, Seq, SessionId, UserId};
pub use message::{Body, CLIENT_ID_CHARS, ClientId, Draft, Message, Receipt, Stored, TextError};
pub use time::Timestamp;
pub use user::{Author, Identity, Role, User};
