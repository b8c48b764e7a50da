//! JSON Schemas of values, by name. Objects are open: later versions add fields.

use serde_json::{Map, Value, json};

use crate::domain::Scope;
use crate::protocol::{Code, LIMIT_MAX};

/// The reference to a schema of [`schemas`].
#[must_use]
pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The codes of refusals over HTTP: those of the protocol, and two that only HTTP has.
#[must_use]
pub fn problem_codes() -> Vec<&'static str> {
    let own = ["not_found", "method_not_allowed"];
    Code::ALL
        .into_iter()
        .filter(|code| *code != Code::UnknownEvent)
        .map(Code::as_str)
        .chain(own)
        .collect()
}

/// An object with these fields, of which those without a `?` behind the name are required.
fn object(description: &str, fields: Value) -> Value {
    let Value::Object(fields) = fields else { return Value::Null };
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema) in fields {
        match name.strip_suffix('?') {
            Some(optional) => drop(properties.insert(optional.to_owned(), schema)),
            None => {
                required.push(name.clone());
                properties.insert(name, schema);
            }
        }
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties.into());
    if !description.is_empty() {
        schema.insert("description".to_owned(), description.into());
    }
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    schema.into()
}

/// An object with these fields, without a description of its own.
pub(super) fn described(fields: Value) -> Value {
    object("", fields)
}

/// `schema`, or null.
fn nullable(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn words(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// A text of at most `most` characters.
fn short(least: u32, most: u32) -> Value {
    json!({ "type": "string", "minLength": least, "maxLength": most })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX })
}

fn id() -> Value {
    json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time", "pattern": "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$" })
}

/// A page of a list.
fn page(of: &str) -> Value {
    object(
        "A page of a list.",
        json!({
            "data": list(reference(of)),
            "cursor": object("", json!({ "after": nullable(text()) })),
            "count": count(),
            "next": nullable(json!({ "type": "string", "description": "The address of the next page; null on the last." })),
        }),
    )
}

/// The schemas of values, by name.
#[must_use]
pub fn schemas() -> Map<String, Value> {
    let all = [values(), answers(), bodies(), of_frames()];
    let schemas = all.into_iter().filter_map(|schemas| match schemas {
        Value::Object(schemas) => Some(schemas),
        _ => None,
    });
    schemas.flatten().collect()
}

/// Values that answers and frames have in them.
fn values() -> Value {
    let roles = words(&["customer", "admin", "bot", "system"]);
    let scopes: Vec<_> = Scope::ALL.into_iter().map(Scope::as_str).collect();
    json!({
        "Author": object("Who wrote a message, in the role of that moment.", json!({
            "id": id(), "nickname": nullable(text()), "role": roles,
        })),
        "Message": object("A message. Count the `seq` of a kind that you do not know, and show nothing.", json!({
            "id": id(), "chatId": id(), "seq": count(), "kind": text(), "author": reference("Author"),
            "message": text(), "clientId": text(), "createdAt": time(),
        })),
        "Member": object("A member of a chat. The e-mail is for admins alone.", json!({
            "id": id(), "nickname": nullable(text()), "role": roles, "email?": nullable(text()),
        })),
        "Chat": object("A chat. `readSeq`, `unread` and `online` are there where one reader asks.", json!({
            "id": id(), "kind": words(&["support", "group"]), "title": nullable(text()),
            "lastSeq": count(), "readSeq?": count(), "unread?": count(), "online?": list(id()),
            "lastMessage": nullable(reference("Message")), "members": list(reference("Member")),
            "createdAt": time(), "updatedAt": time(),
        })),
        "Receipt": object("The place of a stored message.", json!({
            "id": id(), "chatId": id(), "seq": count(), "clientId": text(), "createdAt": time(),
            "duplicate": flag(),
        })),
        "Mark": object("A read mark.", json!({ "readSeq": count(), "unread": count() })),
        "User": object("A user.", json!({
            "id": id(), "issuer": text(), "subject": text(), "role": roles, "nickname": nullable(text()),
            "email": nullable(text()), "blocked": flag(), "blockReason?": text(), "createdAt": time(),
        })),
        "SeenUser": { "allOf": [reference("User"), object("", json!({
            "online": flag(), "lastSeenAt": nullable(time()),
        }))] },
        "ServiceKey": object("A key of a service, without what makes it one.", json!({
            "id": id(), "name": text(), "scopes": list(words(&scopes)), "createdAt": time(),
            "lastUsedAt": nullable(time()), "revokedAt": nullable(time()),
        })),
        "Session": object("A live session, on any node.", json!({
            "id": text(), "node": text(), "userId": id(), "role": roles, "connectedAt": time(),
            "chats": list(id()), "watches": flag(), "waitingEvents": count(), "waitingBytes": count(),
        })),
        "Room": object("A chat that is live on a node.", json!({
            "chatId": id(), "node": text(), "sessions": count(), "lastSeq": nullable(count()),
        })),
        "Tokens": object("The tokens of a login.", json!({
            "accessToken": text(), "refreshToken": text(), "tokenType": words(&["Bearer"]), "expiresIn": count(),
        })),
    })
}

/// Answers of HTTP alone.
fn answers() -> Value {
    json!({
        "ChatPage": page("Chat"), "MessagePage": page("Message"), "UserPage": page("User"),
        "ServiceKeyPage": page("ServiceKey"),
        "SessionList": object("The live sessions of all nodes that answered.", json!({
            "data": list(reference("Session")), "count": count(), "truncated": flag(),
        })),
        "RoomList": object("The live rooms of all nodes that answered.", json!({
            "data": list(reference("Room")), "count": count(), "truncated": flag(),
        })),
        "Problem": object("A refusal (RFC 9457).", json!({
            "type": text(), "title": text(), "status": { "type": "integer" }, "detail": text(),
            "code": words(&problem_codes()),
            "errors?": list(object("", json!({ "path": text(), "message": text() }))),
            "lastSeq?": count(), "retryAfterMs?": count(),
        })),
    })
}

/// Bodies of requests; those of messages and chats are also the data of frames.
fn bodies() -> Value {
    json!({
        "NewMessage": object("A message to be stored.", json!({
            "message": { "type": "string", "minLength": 1, "pattern": "\\S" },
            "clientId?": nullable(short(1, 64)), "expectSeq?": nullable(count()),
        })),
        "NewChat": object("A group chat, by an admin; a customer sends an empty object and finds the own chat.", json!({
            "userIds?": nullable(json!({ "type": "array", "items": id(), "minItems": 1 })),
            "title?": nullable(json!({ "type": "string", "minLength": 1 })),
        })),
        "ReadTo": object("Up to where a chat was read.", json!({ "seq": count() })),
        "NewUser": object("A user, before the first token.", json!({
            "subject": { "anyOf": [short(1, 255), { "type": "number" }] },
            "nickname?": nullable(short(0, 255)), "email?": nullable(short(0, 255)),
        })),
        "Block": object("A block.", json!({ "reason?": nullable(short(0, 500)) })),
        "SignUp": object("A new account.", json!({
            "email": { "type": "string", "maxLength": 254 }, "password": short(8, 1024),
            "nickname?": nullable(short(0, 255)),
        })),
        "Credentials": object("An e-mail and its password.", json!({
            "email": { "type": "string", "maxLength": 254 }, "password": short(0, 1024),
        })),
        "Refresh": object("A refresh token.", json!({ "refreshToken": text() })),
        "Logout": object("A refresh token, unless the access token is in the header.", json!({
            "refreshToken?": nullable(text()),
        })),
        "PasswordChange": object("A change of the own password.", json!({
            "password": short(0, 1024), "newPassword": short(8, 1024),
        })),
    })
}

/// Parts of frames alone.
fn of_frames() -> Value {
    json!({
        "Entry": object("A chat, and the last `seq` of it that was seen.", json!({
            "chatId": id(), "afterSeq?": nullable(count()),
        })),
        "Resume": { "type": "array", "items": reference("Entry"), "maxItems": LIMIT_MAX },
        "Entered": object("A chat that was entered.", json!({
            "chatId": id(), "lastSeq": count(), "readSeq": count(), "unread": count(), "online?": list(id()),
            "reads?": list(reference("Read")), "replayed": count(), "replayedTo": count(), "truncated": flag(),
            "reset": flag(),
        })),
        "WelcomeChat": object("A chat of the session; one of `resume` with its replay.", json!({
            "id": id(), "lastSeq": count(), "readSeq": count(), "unread": count(), "online?": list(id()),
            "reads?": list(reference("Read")), "replayed?": count(), "replayedTo?": count(),
            "truncated?": flag(), "reset?": flag(),
        })),
        "Read": object("A reader's mark.", json!({ "userId": id(), "seq": count() })),
    })
}
