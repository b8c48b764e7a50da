//! Actors: each owns its state alone; typed messages join them, and no locks are shared.
//!
//! [`ChatServer`] owns room membership and user → sessions · [`RoomActor`] orders one chat ·
//! [`DbExecutor`] commits in groups · [`UserAdmission`] finds and makes users in batches ·
//! [`PageReader`] reads missed messages in batches · [`LastSeen`] writes when users were last seen ·
//! [`PasswordHasher`] hashes passwords · [`RoomDirectory`] caches rooms' addresses.

mod batch_queue;
mod catch_panic;
mod chat_server;
mod commit_feed;
mod db_executor;
mod gateway;
mod last_seen;
mod page_reader;
mod password_hasher;
mod peer_feed;
mod room_actor;
mod room_directory;
mod session_handle;
mod user_admission;

#[cfg(feature = "faults")]
pub use chat_server::CrashOf;
pub use chat_server::{
    AddWorker, Announce, ChatServer, ChatServerParts, ChatUpdated, CloseRest, CloseSessions,
    Connect, Disconnect, EndSession, FilterNew, IsAnnounced, IsWatched, Join, Learn, Leave,
    ListRooms, ListSessions, LiveSession, OnlineOf, PeerChange, PeerNews, PeerShare, Recheck,
    RoomIs, RoomRequest, Route, UserChanged, UserState, View, Watch,
};
pub use commit_feed::CommitFeed;
pub use db_executor::{BatchLimits, DbExecutor, ExecutorDied, Hints};
pub use gateway::{
    Audience, Broadcast, Forward, ForwardResponder, ForwardResult, Integrations, IsHere,
    PresenceChanged,
};
pub use last_seen::{FlushSeen, LastSeen, Seen};
pub use page_reader::PageReader;
pub use password_hasher::{HashingRefused, PasswordHasher, Passwords};
pub use peer_feed::{News, PeerFeed};
pub use room_actor::{
    AskPosition, MarkRead, Post, ReplayPage, Reply, RoomActor, RoomLimits, Typing,
};
pub use room_directory::{RoomDirectory, ToRoom};
pub use session_handle::{SessionHandle, Slot, ToSession, Told};
pub use user_admission::{
    AdmitUser, AdmittedUser, NotAdmitted, RateSettings, UserAdmission, UserRate,
};

/// Makes an actor panic, so that a test sees what that costs.
#[cfg(feature = "faults")]
#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Crash;

#[cfg(feature = "faults")]
#[expect(clippy::panic, reason = "this is what it is for")]
fn crash() {
    panic!("a test asked for it");
}
