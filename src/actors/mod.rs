//! Moves. Each actor owns what it has alone; typed messages join them, and no locks are shared.
//!
//! [`WsSession`] frames and a position · [`ChatServer`] who is where · [`RoomActor`] one chat's
//! order · [`DbExecutor`] group commit · [`UserAdmission`] who comes in · [`PageReader`] who missed what.

mod batch_queue;
mod caught;
mod chat_server;
mod db_executor;
mod delivery;
mod gateway;
mod page_reader;
mod reply;
mod room_actor;
mod room_directory;
mod user_admission;
mod ws_session;

#[cfg(feature = "faults")]
pub use chat_server::CrashOf;
pub use chat_server::{
    AddWorker, Announce, ChatServer, ChatServerParts, EndAll, ExecutorDied, Hints, Interest,
    Interests, RoomIs, RoomRequest, Route, Unannounced, Updated, UserChanged,
};
pub use db_executor::{BatchLimits, DbExecutor};
pub use gateway::{
    Asker, Audience, Broadcast, Forward, Forwarded, IsHere, Outside, PresenceChanged,
};
pub use page_reader::PageReader;
pub use reply::Reply;
pub use room_actor::{MarkRead, Post, PostOutcome, RoomActor, RoomLimits};
pub use room_directory::{RoomDirectory, ToRoom};
pub use user_admission::{AdmitUser, RateSettings, UserAdmission, UserRate};
pub use ws_session::{Beginning, WsSession};

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
