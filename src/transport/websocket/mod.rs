//! WebSocket frames, read within limits (RFC 6455), whatever the messages hold.

mod frames;
mod messages;
mod reading;

pub use self::frames::{Fragments, Incoming};
pub use self::messages::Messages;
pub use self::reading::{FrameReader, Reading};
