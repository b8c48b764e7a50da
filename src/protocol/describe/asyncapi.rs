//! AsyncAPI 3 document of the WebSocket's frames.

use serde_json::{Map, Value, json};

use super::schemas::{reference, schemas};
use crate::protocol::{Code, Ending, VERSION};

/// A frame: its direction, event, schema of `data`, and description.
type Frame = (&'static str, Value, &'static str);

fn fields(fields: Value) -> Value {
    super::schemas::described(fields)
}

/// The events that clients send.
fn from_clients() -> Vec<Frame> {
    let id = || json!({ "type": "integer" });
    let ids = || json!({ "type": "array", "items": id(), "minItems": 1, "maxItems": 100 });
    let seq = || json!({ "type": "integer", "minimum": 0 });
    let flag = || json!({ "type": "boolean" });
    let entries =
        json!({ "type": "array", "items": reference("Entry"), "minItems": 1, "maxItems": 100 });
    let either = json!({ "oneOf": [
        fields(json!({ "chatIds": ids() })), fields(json!({ "chats": entries })),
    ] });
    let message = json!({ "allOf": [reference("NewMessage"), fields(json!({ "chatId?": id() }))] });
    vec![
        (
            "authenticate",
            fields(json!({ "token": { "type": "string" }, "resume?": reference("Resume") })),
            "The token of the first frame, or a fresh one of the same user. Acked with `{expiresAt}`.",
        ),
        ("enter_chat", either, "Enters chats, all or none. What was missed comes before the ack."),
        (
            "leave_chat",
            fields(json!({ "chatIds": ids() })),
            "Leaves chats, with this session alone.",
        ),
        ("create_chat", reference("NewChat"), "Makes a group chat, or finds a customer's own."),
        ("watch_chats", fields(json!({ "watch": flag() })), "News of all chats, for an admin."),
        ("send_message", message, "Stores a message; acked once it is committed."),
        (
            "typing",
            fields(json!({ "chatId": id(), "typing": flag() })),
            "Typing, or no more. Never stored.",
        ),
        (
            "read_message",
            fields(json!({ "chatId": id(), "seq": seq() })),
            "Raises the own read mark.",
        ),
        (
            "view_chat",
            fields(json!({ "chatId": { "type": ["integer", "null"] } })),
            "The chat on an admin's screen.",
        ),
        ("ping", json!({}), "Asks for the server's time."),
    ]
}

/// The events that the server sends.
fn from_server() -> Vec<Frame> {
    let id = || json!({ "type": "integer" });
    let seq = || json!({ "type": "integer", "minimum": 0 });
    let flag = || json!({ "type": "boolean" });
    let time = || json!({ "type": "string", "format": "date-time" });
    let told = Code::ALL.into_iter().filter(|code| code.is_of_sessions());
    let codes: Vec<_> = told.map(Code::as_str).collect();
    let reasons: Vec<_> = Ending::ALL.into_iter().filter_map(Ending::goodbye).collect();
    let entered = json!({ "type": "array", "items": reference("Entered") });
    let ack = json!({ "anyOf": [
        fields(json!({ "expiresAt": time() })),
        fields(json!({ "chats": entered })),
        reference("Chat"),
        reference("Receipt"),
        reference("Mark"),
        fields(json!({ "serverTime": time() })),
        { "description": "An empty object, or a service's answer." },
    ] });
    let welcome = fields(json!({
        "sessionId": { "type": "string" }, "protocol": { "const": VERSION }, "user": reference("Author"),
        "chats": { "type": "array", "items": reference("WelcomeChat") }, "serverTime": time(),
        "heartbeatMs": seq(), "tokenExpiresAt": time(),
        "limits": fields(json!({
            "frameBytes": seq(), "messageChars": seq(), "messagesPerSecond": seq(), "burst": seq(),
        })),
    }));
    let exception = fields(json!({
        "status": { "const": "error" }, "code": { "type": "string", "enum": codes },
        "message": { "type": "string" }, "event?": { "type": "string" }, "lastSeq?": seq(), "retryAfterMs?": seq(),
    }));
    let viewer = fields(json!({ "id": id(), "nickname": { "type": ["string", "null"] } }));
    vec![
        ("welcome", welcome, "The first frame of a session."),
        ("ack", ack, "The one answer to an event with an `id` that succeeded."),
        ("exception", exception, "The answer to an event that failed."),
        ("receive_message", reference("Message"), "A message in a chat that the session is in."),
        (
            "typing",
            fields(json!({ "chatId": id(), "userId": id(), "typing": flag() })),
            "Another user types.",
        ),
        (
            "message_read",
            fields(json!({ "chatId": id(), "userId": id(), "seq": seq() })),
            "A read mark rose.",
        ),
        (
            "presence",
            fields(json!({ "chatId": id(), "userId": id(), "online": flag() })),
            "A member came online or went offline.",
        ),
        (
            "viewers",
            fields(json!({ "chatId": id(), "users": { "type": "array", "items": viewer } })),
            "The admins who view a chat, for admins.",
        ),
        ("chat_created", reference("Chat"), "A new chat."),
        ("chat_updated", reference("Chat"), "A chat moved, for admins who watch."),
        (
            "recv",
            json!({ "type": "object" }),
            "What a service answers to an event of this session.",
        ),
        (
            "goodbye",
            fields(json!({
               "reason": { "type": "string", "enum": reasons }, "retryAfterMs": seq(),
            })),
            "The session is about to be closed.",
        ),
    ]
}

/// The envelope of an event.
fn message((event, data, summary): Frame, is_from_client: bool) -> Value {
    let id = json!({ "anyOf": [{ "type": "string", "maxLength": 64 }, { "type": "integer" }] });
    let mut required = vec!["event"];
    if !is_from_client || !matches!(event, "ping" | "create_chat") {
        required.push("data");
    }
    if event == "ack" {
        required.push("id");
    }
    json!({
        "name": event,
        "summary": summary,
        "contentType": "application/json",
        "payload": {
            "type": "object",
            "properties": { "event": { "const": event }, "id": id, "data": data },
            "required": required,
        },
    })
}

/// The document, for a server at this host.
#[must_use]
pub fn asyncapi() -> Value {
    let (mut messages, mut in_channel) = (Map::new(), Map::new());
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    let directions = [(from_clients(), true, "Client"), (from_server(), false, "Server")];
    for (frames, is_from_client, prefix) in directions {
        for frame in frames {
            let name = format!("{prefix}.{}", frame.0);
            in_channel
                .insert(name.clone(), json!({ "$ref": format!("#/components/messages/{name}") }));
            let listed = json!({ "$ref": format!("#/channels/session/messages/{name}") });
            if is_from_client {
                received.push(listed);
            } else {
                sent.push(listed);
            }
            messages.insert(name, message(frame, is_from_client));
        }
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "frontdesk",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The frames of a session. A client ignores events, fields, message kinds and codes that \
                it does not know. docs/PROTOCOL.md says what they mean.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "channels": { "session": {
            "address": "/ws",
            "description": "A WebSocket, one JSON object a text frame; the subprotocol is frontdesk.v1.json. \
                The token comes in the header Authorization, or in the first frame.",
            "messages": in_channel,
            "bindings": { "ws": { "method": "GET" } },
        } },
        "operations": {
            "take": { "action": "receive", "channel": { "$ref": "#/channels/session" }, "messages": received,
                "summary": "Events of clients" },
            "tell": { "action": "send", "channel": { "$ref": "#/channels/session" }, "messages": sent,
                "summary": "Events of the server" },
        },
        "components": { "messages": messages, "schemas": schemas() },
    })
}
