//! Wire protocol: the only module that knows the JSON of frames and bodies.

mod account;
mod admin;
mod body;
mod code;
mod cursor;
mod demo;
pub mod describe;
mod ending;
pub mod engine_io;
mod entry;
mod envelope;
mod lenient;
mod list;
mod object;
mod fields;
mod names;
mod new_user;
mod read;
mod server_event;
pub mod socket_io;
mod view;

pub use account::{
    Credentials, LogoutToken, PasswordChange, RefreshToken, SignUp, TokensView, WireCredentials,
    WireLogout, WirePasswordChange, WireRefreshToken, WireSignUp, new_password,
};
pub use admin::{Block, KeyView, LiveRoomView, LiveSessionView, WireBlock, block_reason};
pub(crate) use body::client_id_refused;
pub use body::{Limits, NewChat, NewMessage, Request, WireChat, WireMessage, parse_body};
pub use code::{ApiError, Code};
pub use cursor::Key;
pub use demo::{DemoSession, WireDemoSession};
pub use ending::{Ending, Return};
pub use entry::{CHATS_NAMED, Entry, WireEntry, counted, not_negative, resume_from_query};
pub use envelope::{Envelope, Rejected, RequestId};
pub use fields::{Fields, NoFields};
pub use lenient::{Number, Text};
pub use list::{Cursor, LIMIT_MAX, Order, Page, PageQuery, PageRequest};
pub use names::{Names, Translated, Used};
pub use new_user::{NewUser, storable};
pub use read::parse_data;
pub use server_event::{
    AckData, Answer, Codec, Control, EphemeralKey, Frame, Posted, Push, SERVER_EVENTS, ServerEvent,
    Shared, SharedEvent, pushed, recv,
};
pub use view::{
    ChatState, ChatView, EnteredView, Expires, MarkView, MessageView, ReceiptView, SeenUserView,
    ServerTime, UserView, VERSION, Welcome, WelcomeLimits,
};
