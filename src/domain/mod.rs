//! Decides. Plain data and plain functions: no actor, no database, no I/O, and time as an argument.

mod ids;
mod time;
mod user;
mod chat;
mod message;
mod outbox_event;
mod user_update;
mod event_names;
pub mod access;
mod room;
mod stream;
mod hub;
mod rate_limit;
mod recent;

pub use chat::{Chat, ChatKind, Member, Standing};
pub use event_names::PROTOCOL_EVENTS;
pub use hub::Hub;
pub use ids::{ChatId, MessageId, NodeId, Seq, SessionId, UserId};
pub use message::{Body, CLIENT_ID_CHARS, ClientId, Draft, Message, Receipt, Stored, TextError};
pub use outbox_event::{OrderingKey, OutboxEvent, OutboxEventKind};
pub use rate_limit::RateLimit;
pub use recent::Recent;
pub use room::{Room, Sequenced, Step};
pub use stream::{Fetch, Live, Replay, Streams};
pub use time::Timestamp;
pub use user::{Author, Identity, OWN_ISSUER, Role, User};
pub use user_update::{UpdateOutcome, UserUpdate};
