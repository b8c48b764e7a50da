//! Domain: plain data and pure functions that decide. No actor, no database, no I/O; time is an
//! argument.

mod ids;
mod time;
mod user;
mod login;
mod email;
mod service_key;
mod chat;
mod created;
mod message;
mod outbox_event;
mod user_update;
mod event_names;
mod names;
mod flood;
pub mod access;
mod room;
mod route;
mod stream;
mod gather;
mod hub;
mod rate_limit;
mod recent;
mod idle;
mod leaving;
mod live;
mod share;
mod presence;
mod viewers;
mod timings;

pub use chat::{Chat, ChatAccess, ChatEntry, ChatKind, Member, Roster, ShownChat};
pub use created::Created;
pub use email::Email;
pub use event_names::{COMMANDS, PROTOCOL_EVENTS, SOCKETIO_EVENTS};
pub use flood::FloodGuard;
pub use gather::Gather;
pub use hub::{Disconnected, Hub};
pub use idle::Idle;
pub use ids::{ChatId, KeyId, LoginId, MessageId, NodeId, Seq, SessionId, UserId};
pub use leaving::{CLOSING_TICK, Closings, Stage, retry_after_ms};
pub use live::{LiveEvent, LiveState, LiveStates};
pub use login::{Login, REFRESH_GRACE, Refresh};
pub use message::{
    Body, CLIENT_ID_CHARS, ClientId, Draft, Message, MessageKind, Origin, PostResult, Receipt,
    TextError,
};
pub use names::{NameIn, NameOut};
pub use outbox_event::{OrderingKey, OutboxEvent, OutboxEventKind};
pub use presence::{Applied, Presence, PresenceNews};
pub use rate_limit::{RateLimit, SharedRateLimit};
pub use recent::{RecentMap, RecentSet};
pub use room::{Room, Sequenced, Step};
pub use route::{Route, RouteKind, RouteRole};
pub use service_key::{Scope, Scopes, StoredKey};
pub use share::{Change, SharePart, Update};
pub use stream::{Fetch, Live, Replay, Streams};
pub use time::Timestamp;
pub use timings::Timings;
pub use user::{Author, DEMO_ISSUER, Identity, OWN_ISSUER, Role, User};
pub use user_update::{UpdateOutcome, UserUpdate};
pub use viewers::Viewers;
