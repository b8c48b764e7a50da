//! OpenAPI 3.1 document of the HTTP API, and the pages' addresses that serve the documents.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Answer, json as answer};
use crate::protocol::describe::{asyncapi, reference, schemas};

/// A parameter, in the path, the query or a header.
type Parameter = (&'static str, &'static str, Value, &'static str);

/// One operation of the API.
struct Operation {
    method: &'static str,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
    /// The caller who may do it.
    needs: Needs,
    parameters: Vec<Parameter>,
    /// The schema of the body, by name.
    body: Option<&'static str>,
    /// Statuses of success, with the schema by name.
    answers: Vec<(u16, &'static str, Option<&'static str>)>,
    /// Refusals besides those that any request may get.
    refusals: Vec<(u16, &'static str)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// A user's token.
    Token,
    /// A user's token, or a service key with this scope.
    TokenOrKey(&'static str),
    /// A token that may be missing.
    PerhapsToken,
}

impl Operation {
    fn new(
        method: &'static str,
        path: &'static str,
        tag: &'static str,
        summary: &'static str,
    ) -> Self {
        let is_with_id = path.contains("{id}");
        let parameters = match is_with_id {
            true => {
                vec![("id", "path", json!({ "type": "integer", "format": "int64" }), "The id.")]
            }
            false => Vec::new(),
        };
        let refusals = if is_with_id {
            vec![(404, "There is none of this id, or not for the caller.")]
        } else {
            vec![]
        };
        Self {
            method,
            path,
            tag,
            summary,
            needs: Needs::Nothing,
            parameters,
            body: None,
            answers: vec![],
            refusals,
        }
    }

    fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    fn body(mut self, schema: &'static str) -> Self {
        self.body = Some(schema);
        self
    }

    fn answers(
        mut self,
        status: u16,
        description: &'static str,
        schema: Option<&'static str>,
    ) -> Self {
        self.answers.push((status, description, schema));
        self
    }

    fn refuses(mut self, status: u16, description: &'static str) -> Self {
        self.refusals.retain(|(known, _)| *known != status);
        self.refusals.push((status, description));
        self
    }

    fn query(mut self, name: &'static str, schema: Value, description: &'static str) -> Self {
        self.parameters.push((name, "query", schema, description));
        self
    }

    /// The parameters of a page.
    fn paged(self, orders: &[&str]) -> Self {
        self.query(
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": 100 }),
            "Rows of the page.",
        )
        .query("order", json!({ "type": "string", "enum": orders }), "The direction.")
        .query("after", json!({ "type": "string" }), "`cursor.after` of the page before.")
    }

    /// A path with an id of letters.
    fn with_text_id(mut self) -> Self {
        for parameter in &mut self.parameters {
            if parameter.1 == "path" {
                parameter.2 = json!({ "type": "string" });
            }
        }
        self
    }
}

/// All operations, in the order of the document.
fn operations() -> Vec<Operation> {
    use Needs::{Nothing, PerhapsToken, Token, TokenOrKey};
    let seq = || json!({ "type": "integer", "minimum": 0 });
    let op = Operation::new;
    vec![
        op(
            "get",
            "/chats",
            "chats",
            "Lists chats, the latest activity first: all for an admin, the own ones for a customer",
        )
        .needs(TokenOrKey("chats:read"))
        .paged(&["desc", "asc"])
        .answers(200, "A page", Some("ChatPage")),
        op("post", "/chats", "chats", "Makes a group chat, or finds a customer's own")
            .needs(Token)
            .body("NewChat")
            .answers(201, "The new chat", Some("Chat"))
            .answers(200, "The chat that was there", Some("Chat"))
            .refuses(404, "One of the users does not exist."),
        op("get", "/chats/{id}", "chats", "Shows a chat").needs(TokenOrKey("chats:read")).answers(
            200,
            "The chat",
            Some("Chat"),
        ),
        op("get", "/chats/{id}/messages", "messages", "Lists a chat's messages, the newest first")
            .needs(TokenOrKey("chats:read"))
            .paged(&["desc", "asc"])
            .query("afterSeq", seq(), "Only later ones.")
            .query("beforeSeq", seq(), "Only earlier ones.")
            .answers(200, "A page", Some("MessagePage")),
        {
            let mut create = op(
                "post",
                "/chats/{id}/messages",
                "messages",
                "Stores a message: it is committed when the answer comes",
            )
            .needs(TokenOrKey("messages:write"))
            .body("NewMessage")
            .answers(201, "Stored", Some("Receipt"))
            .answers(200, "Stored before, by the same clientId", Some("Receipt"))
            .refuses(
                409,
                "The chat has moved beyond expectSeq, or the clientId stands for another text.",
            );
            let key = json!({ "type": "string", "minLength": 1, "maxLength": 64 });
            create.parameters.push(("Idempotency-Key", "header", key, "Instead of `clientId`."));
            create
        },
        op("put", "/chats/{id}/read", "messages", "Raises the own read mark")
            .needs(Token)
            .body("ReadTo")
            .answers(200, "The mark", Some("Mark")),
        op("get", "/users", "users", "Lists users, for admins")
            .needs(TokenOrKey("users:read"))
            .paged(&["asc"])
            .query(
                "q",
                json!({ "type": "string", "maxLength": 100 }),
                "A part of the nickname, the e-mail or the subject.",
            )
            .query("subject", json!({ "type": "string" }), "The whole subject.")
            .answers(200, "A page", Some("UserPage")),
        op("post", "/users", "users", "Makes a user before the first token, for admins")
            .needs(TokenOrKey("users:write"))
            .body("NewUser")
            .answers(201, "The new user", Some("User"))
            .answers(200, "The user who was there", Some("User")),
        op("get", "/users/me", "users", "Shows the caller").needs(TokenOrKey("any")).answers(
            200,
            "The user",
            Some("User"),
        ),
        op("get", "/users/{id}", "users", "Shows a user with presence, for admins")
            .needs(TokenOrKey("users:read"))
            .answers(200, "The user", Some("SeenUser")),
        op("get", "/users/{id}/chats", "users", "Lists the chats of a user, for admins")
            .needs(TokenOrKey("users:read"))
            .paged(&["desc", "asc"])
            .answers(200, "A page", Some("ChatPage")),
        op("post", "/users/{id}/block", "users", "Blocks a user: open sessions end")
            .needs(TokenOrKey("users:write"))
            .body("Block")
            .answers(200, "The user", Some("User")),
        op("post", "/users/{id}/unblock", "users", "Takes a block back")
            .needs(TokenOrKey("users:write"))
            .answers(200, "The user", Some("User")),
        op("post", "/auth/register", "accounts", "Makes a built-in account, of a customer")
            .body("SignUp")
            .answers(201, "The tokens", Some("Tokens"))
            .refuses(409, "The e-mail has an account."),
        op("post", "/auth/login", "accounts", "Logs in to a built-in account")
            .body("Credentials")
            .answers(200, "The tokens", Some("Tokens")),
        op("post", "/auth/refresh", "accounts", "Exchanges a refresh token for new tokens")
            .body("Refresh")
            .answers(200, "The tokens", Some("Tokens")),
        op(
            "post",
            "/auth/logout",
            "accounts",
            "Ends a login: of the access token, or of the refresh token",
        )
        .needs(PerhapsToken)
        .body("Logout")
        .answers(204, "Signed out", None),
        op("put", "/auth/password", "accounts", "Sets the own password; other logins end")
            .needs(Token)
            .body("PasswordChange")
            .answers(204, "Set", None),
        op("get", "/admin/keys", "operation", "Lists service keys, for admins")
            .needs(Token)
            .paged(&["asc"])
            .answers(200, "A page", Some("ServiceKeyPage")),
        op("delete", "/admin/keys/{id}", "operation", "Revokes a service key, for admins")
            .needs(Token)
            .answers(204, "Revoked", None),
        op(
            "get",
            "/admin/sessions",
            "operation",
            "Lists the live sessions of all nodes, for admins",
        )
        .needs(Token)
        .query("userId", seq(), "Of this user alone.")
        .answers(200, "The sessions", Some("SessionList")),
        op("delete", "/admin/sessions/{id}", "operation", "Ends a session, for admins")
            .needs(Token)
            .with_text_id()
            .answers(204, "Told to end", None),
        op("get", "/admin/rooms", "operation", "Lists the live rooms of all nodes, for admins")
            .needs(Token)
            .answers(200, "The rooms", Some("RoomList")),
        op("get", "/healthz", "health", "The process answers")
            .needs(Nothing)
            .answers(200, "Alive", None),
        op(
            "get",
            "/readyz",
            "health",
            "The server serves: the database answers, and it is not stopping",
        )
        .answers(200, "Ready", None),
    ]
}

/// Refusals that any request may get.
const ANY: [(u16, &str); 6] = [
    (400, "Something in the request is wrong; `errors` names it."),
    (408, "The body did not arrive in time."),
    (413, "The body, or a text in it, is too large."),
    (415, "The body has a Content-Encoding."),
    (500, "A fault of the server."),
    (503, "The database or another service is away, or something is full: try again."),
];

/// Adds a field to an object.
fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

fn responses(operation: &Operation) -> Map<String, Value> {
    let mut found = Map::new();
    for (status, description, schema) in &operation.answers {
        let mut response = json!({ "description": description });
        if let Some(schema) = schema {
            set(
                &mut response,
                "content",
                json!({ "application/json": { "schema": reference(schema) } }),
            );
        } else if *status == 200 {
            set(
                &mut response,
                "content",
                json!({ "application/json": { "schema": { "type": "object" } } }),
            );
        }
        found.insert(status.to_string(), response);
    }
    let mut refusals = ANY.to_vec();
    if operation.needs != Needs::Nothing || operation.tag == "accounts" {
        refusals.push((401, "No token, or one that is not valid (any more)."));
        refusals.push((403, "This caller may not do it, or is blocked."));
        refusals.push((429, "Too fast; Retry-After says how long to wait."));
    }
    refusals.extend(&operation.refusals);
    for (status, description) in refusals {
        let content = json!({ "application/problem+json": { "schema": reference("Problem") } });
        let mut response = json!({ "description": description, "content": content });
        if matches!(status, 429 | 503) {
            set(
                &mut response,
                "headers",
                json!({ "Retry-After": { "schema": { "type": "integer" }, "description": "Seconds." } }),
            );
        }
        found.insert(status.to_string(), response);
    }
    found
}

fn described(operation: &Operation) -> Value {
    let mut value = json!({
        "tags": [operation.tag],
        "summary": operation.summary,
        "operationId": operation_id(operation),
        "responses": responses(operation),
    });
    if !operation.parameters.is_empty() {
        let parameters = operation.parameters.iter().map(|(name, place, schema, description)| {
            json!({ "name": name, "in": place, "required": *place == "path", "schema": schema, "description": description })
        });
        set(&mut value, "parameters", parameters.collect());
    }
    if let Some(schema) = operation.body {
        let is_optional = matches!(schema, "Block" | "Logout" | "NewChat");
        set(
            &mut value,
            "requestBody",
            json!({
                "required": !is_optional,
                "content": { "application/json": { "schema": reference(schema) } },
            }),
        );
    }
    let token = json!({ "token": [] });
    let security = match operation.needs {
        Needs::Nothing => json!([]),
        Needs::Token => json!([token]),
        Needs::PerhapsToken => json!([token, {}]),
        Needs::TokenOrKey(scope) => {
            let words = format!("With a service key: scope `{scope}`.");
            set(&mut value, "description", words.into());
            json!([token, { "serviceKey": [] }])
        }
    };
    set(&mut value, "security", security);
    value
}

/// `getChatsIdMessages`, unique since methods and paths are.
fn operation_id(operation: &Operation) -> String {
    let words = operation.path.split(['/', '{', '}']).filter(|word| !word.is_empty());
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(char::to_uppercase);
        first.into_iter().flatten().chain(letters).collect::<String>()
    };
    words.fold(operation.method.to_owned(), |id, word| id + &capital(word))
}

/// The document.
#[must_use]
pub fn openapi() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        set(path, operation.method, described(&operation));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "frontdesk",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A customer-support chat backend. Clients ignore fields and codes that they do not know. \
                The WebSocket's frames are described by /asyncapi.json.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "chats" }, { "name": "messages" }, { "name": "users" }, { "name": "accounts" },
            { "name": "operation" }, { "name": "health" },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A token of the host application, or of a built-in account." },
                "serviceKey": { "type": "http", "scheme": "bearer", "bearerFormat": "fdk_…",
                    "description": "A service key, which `frontdesk key add` makes." },
            },
        },
    })
}

/// `GET /openapi.json`.
pub async fn openapi_document() -> Answer {
    document(&openapi())
}

/// `GET /asyncapi.json`.
pub async fn asyncapi_document() -> Answer {
    document(&asyncapi())
}

fn document(value: &Value) -> Answer {
    let response: HttpResponse = answer(StatusCode::OK, value, 64)?;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// `GET /chats/{id}` of each route in the table of `mod.rs`.
    fn routes() -> BTreeSet<String> {
        let source = include_str!("mod.rs");
        let (_, table) = source.split_once("let rest = web::scope(\"\")").unwrap();
        let (table, _) = table.split_once(".default_service").unwrap();
        let mut found = BTreeSet::new();
        for route in table.split(".service(at(").skip(1) {
            let path = route.split('"').nth(1).unwrap();
            for method in ["get", "post", "put", "delete"] {
                if route.contains(&format!("[{method}(")) || route.contains(&format!(" {method}("))
                {
                    found.insert(format!("{method} {path}"));
                }
            }
        }
        found
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        // For programs that read other formats.
        let others = ["get /metrics", "get /openapi.json", "get /asyncapi.json"];
        let described: BTreeSet<_> =
            operations().iter().map(|op| format!("{} {}", op.method, op.path)).collect();
        let routes: BTreeSet<_> =
            routes().into_iter().filter(|route| !others.contains(&route.as_str())).collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        for (name, document) in [("openapi", openapi()), ("asyncapi", asyncapi())] {
            let text = document.to_string();
            for reference in text.split("\"$ref\":\"#").skip(1) {
                let pointer = reference.split('"').next().unwrap();
                assert!(document.pointer(pointer).is_some(), "{name}: {pointer}");
            }
        }
    }
}
