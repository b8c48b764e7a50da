//! Socket.IO transport: an actor for each Engine.IO session, which hosts one session for each namespace.
//!
//! A client comes by long-polling, by a WebSocket, or by the first and then the other (the upgrade):
//! whatever it is, packets go out of one `Outbox`, a batch at a time, and come in one by one.

mod config;
mod connection;
mod delivery;
mod directory;
mod inbound;
mod namespace;
mod outbox;
mod polling;
mod recoveries;
mod recovery;
mod request;
mod sid;
mod socket;
mod taking;
mod transports;

pub use self::config::SocketIoConfig;
pub use self::connection::{ConnectionParts, SocketIoConnection};
pub use self::directory::{Add, Directory, Find};
pub use self::inbound::{POST, Packets, Received};
pub use self::polling::{Poll, PollBody, Posting, Waiting};
pub use self::recoveries::Recoveries;
pub use self::sid::{Sid, new_sid};
pub use self::socket::SocketEnds;
pub use self::transports::Upgrade;
