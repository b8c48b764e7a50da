//! The names of the protocol's events: nobody else's events may have them.

/// Every event that a client or the server sends by the protocol's own meaning, `recv` included, which
/// carries what a service answered.
pub const PROTOCOL_EVENTS: [&str; 19] = [
    "ack",
    "authenticate",
    "chat_created",
    "chat_updated",
    "create_chat",
    "enter_chat",
    "exception",
    "goodbye",
    "leave_chat",
    "message_read",
    "ping",
    "presence",
    "read_message",
    "receive_message",
    "recv",
    "send_message",
    "typing",
    "watch_chats",
    "welcome",
];
