//! Decides. Plain data and plain functions: no actor, no database, no I/O, and time as an argument.

pub mod access;
mod chat;
mod hub;
mod ids;
mod message;
mod rate_limit;
mod room;
mod stream;
mod time;
mod user;

pub use chat::{Chat, ChatKind, Member, Standing};
pub use hub::Hub;
pub use ids::{ChatId, MessageId, Seq, SessionId, UserId};
pub use message::{Body, CLIENT_ID_CHARS, ClientId, Draft, Message, Receipt, Stored, TextError};
pub use rate_limit::RateLimit;
pub use room::{Room, Sequenced, Step};
pub use stream::{Fetch, Live, Replay, Streams};
pub use time::Timestamp;
pub use user::{Author, Identity, Role, User};
