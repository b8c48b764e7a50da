//! The published descriptions, held against all that the scenarios receive: an answer or a frame that is not
//! described fails the scenario that got it.

#![expect(clippy::disallowed_types, reason = "all scenarios of a process note what they met")]

use std::collections::{BTreeSet, HashMap};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use frontdesk::http::openapi;
use frontdesk::protocol::describe::asyncapi;
use jsonschema::Validator;
use serde_json::Value;

/// A schema in a document, compiled when it is first needed.
struct Schema {
    pointer: String,
    validator: OnceLock<Validator>,
}

impl Schema {
    fn at(pointer: String) -> Self {
        Self { pointer, validator: OnceLock::new() }
    }

    #[track_caller]
    fn check(&self, document: &Value, value: &Value, what: &str) {
        let validator = self.validator.get_or_init(|| {
            let mut schema = document.pointer(&self.pointer).expect("a schema").clone();
            schema["components"] = document["components"].clone();
            jsonschema::draft202012::options()
                .should_validate_formats(true)
                .build(&schema)
                .unwrap_or_else(|e| panic!("{}: {e}", self.pointer))
        });
        if let Err(error) = validator.validate(value) {
            panic!(
                "{what} is not as {} has it: {error} at {}: {value}",
                self.pointer,
                error.instance_path()
            );
        }
    }
}

/// An operation: its method, the words of its path, and its answers by status and media type.
struct Operation {
    method: String,
    path: Vec<String>,
    answers: HashMap<u16, HashMap<String, Schema>>,
}

static OPENAPI: LazyLock<Value> = LazyLock::new(openapi);
static ASYNCAPI: LazyLock<Value> = LazyLock::new(asyncapi);

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let escaped = |text: &str| text.replace('~', "~0").replace('/', "~1");
    let mut found = Vec::new();
    for (path, methods) in OPENAPI["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let mut answers = HashMap::new();
            for (status, response) in operation["responses"].as_object().expect("responses") {
                let contents = response["content"].as_object().into_iter().flatten();
                let schemas = contents.map(|(media, _)| {
                    let (path, media_name) = (escaped(path), escaped(media));
                    let at = format!(
                        "/paths/{path}/{method}/responses/{status}/content/{media_name}/schema"
                    );
                    (media.clone(), Schema::at(at))
                });
                answers.insert(status.parse().expect("a status"), schemas.collect());
            }
            let path = path.split('/').map(str::to_owned).collect();
            found.push(Operation { method: method.to_uppercase(), path, answers });
        }
    }
    found
});

static FRAMES: LazyLock<HashMap<String, Schema>> = LazyLock::new(|| {
    let messages = ASYNCAPI["components"]["messages"].as_object().expect("messages");
    let schema = |name: &String| Schema::at(format!("/components/messages/{name}/payload"));
    messages.keys().map(|name| (name.clone(), schema(name))).collect()
});

/// Events, codes and reasons that were met so far, in any scenario of this run.
static MET: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Events, codes and reasons of the description that nobody has met yet.
pub fn unmet() -> Vec<String> {
    let enumerated = |message: &str, field: &str| {
        let at =
            format!("/components/messages/{message}/payload/properties/data/properties/{field}");
        let words = ASYNCAPI.pointer(&at).expect("a field")["enum"].as_array().expect("words");
        words.iter().map(|word| format!("{field} {}", word.as_str().expect("a word"))).collect()
    };
    let codes: Vec<String> = enumerated("Server.exception", "code");
    let reasons: Vec<String> = enumerated("Server.goodbye", "reason");
    let met = MET.lock().unwrap_or_else(PoisonError::into_inner);
    let all = FRAMES.keys().cloned().chain(codes).chain(reasons);
    all.filter(|name| !met.contains(name)).collect()
}

/// Notes what was met.
fn meet(side: &str, frame: &Value) {
    let mut met = MET.lock().unwrap_or_else(PoisonError::into_inner);
    met.insert(format!("{side}.{}", frame["event"].as_str().unwrap_or_default()));
    for field in ["code", "reason"] {
        if let Some(word) = frame["data"][field].as_str() {
            met.insert(format!("{field} {word}"));
        }
    }
}

/// Checks a frame of the server. Events of services have names and data of their own.
#[track_caller]
pub fn check_frame(frame: &Value) {
    let event = frame["event"].as_str().expect("an event");
    if let Some(schema) = FRAMES.get(&format!("Server.{event}")) {
        schema.check(&ASYNCAPI, frame, event);
        meet("Server", frame);
    }
}

/// Checks a frame that a client sent and the server took.
#[track_caller]
pub fn check_command(frame: &Value) {
    let event = frame["event"].as_str().expect("an event");
    if let Some(schema) = FRAMES.get(&format!("Client.{event}")) {
        schema.check(&ASYNCAPI, frame, event);
        meet("Client", frame);
    }
}

/// Checks an answer over HTTP.
#[track_caller]
pub fn check_answer(method: &str, path: &str, status: u16, media: &str, body: &Value) {
    // Answers of any path, which are no operation's: a wrong method, a request that is none.
    if matches!(status, 405 | 426 | 431) {
        return;
    }
    let words: Vec<&str> = path.split('/').collect();
    let is_path = |known: &[String]| {
        let same = |(known, word): (&String, &&str)| known.starts_with('{') || known == word;
        known.len() == words.len() && known.iter().zip(&words).all(same)
    };
    // `/users/me` stands before `/users/{id}`.
    let literal = |operation: &&Operation| {
        operation.path.iter().filter(|word| !word.starts_with('{')).count()
    };
    let found =
        OPERATIONS.iter().filter(|op| op.method == method && is_path(&op.path)).max_by_key(literal);
    let Some(operation) = found else { return };
    let what = format!("the answer {status} to {method} {path}");
    let answers =
        operation.answers.get(&status).unwrap_or_else(|| panic!("{what} is not described: {body}"));
    if let Some(schema) = answers.get(media.split(';').next().unwrap_or(media)) {
        schema.check(&OPENAPI, body, &what);
    } else {
        assert!(answers.is_empty(), "{what} is {media}, which is not described");
    }
}
