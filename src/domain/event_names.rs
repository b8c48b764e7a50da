//! Reserved event names: those of the protocol.

/// The events of the protocol, from clients and from the server; `recv` carries a service's answer.
pub const PROTOCOL_EVENTS: [&str; 21] = [
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
    "view_chat",
    "viewers",
    "watch_chats",
    "welcome",
];
