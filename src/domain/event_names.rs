//! Reserved event names: those of the protocol.

/// The commands of clients.
pub const COMMANDS: [&str; 10] = [
    "authenticate",
    "create_chat",
    "enter_chat",
    "leave_chat",
    "ping",
    "read_message",
    "send_message",
    "typing",
    "view_chat",
    "watch_chats",
];

/// Names that a Socket.IO client keeps for itself: it sends none of them, and takes a packet with one
/// for a broken connection.
pub const SOCKETIO_EVENTS: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

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
