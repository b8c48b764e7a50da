//! The wire's JSON: the only module that knows how frames and bodies look.

mod code;
mod command;
mod cursor;
mod envelope;
mod lenient;
mod list;
mod object;
mod event;
mod fields;
mod new_user;
mod read;
mod view;

pub use code::{ApiError, Code};
pub(crate) use command::client_id_refused;
pub use command::{
    Command, Entry, Limits, NewChat, Outgoing, ReadMark, Request, parse_body, resume_from_query,
};
pub use cursor::Key;
pub use envelope::{Envelope, Rejected, RequestId};
pub use event::{
    Frame, ack, ack_entered, chat_created, chat_updated, exception, goodbye, pushed,
    receive_message, recv, welcome,
};
pub use fields::{Fields, NoFields};
pub use lenient::{Number, Text};
pub use list::{Asked, Cursor, LIMIT_MAX, List, Order, Page};
pub use new_user::{NewUser, storable};
pub use read::parse_data;
pub use view::{
    ChatState, ChatView, EnteredView, Expires, MarkView, MessageView, ReceiptView, ServerTime,
    UserView, Welcome, WelcomeLimits,
};
