//! The published descriptions of the API: what clients were promised is still there.
//!
//! `docs/openapi.json` and `docs/asyncapi.json` are the last published ones. What only adds is written into them
//! by `frontdesk openapi > docs/openapi.json`, with the change itself.

use serde_json::Value;

use super::{empty_dir, printed};

#[test]
fn the_http_api_keeps_what_was_published() {
    compare("openapi", include_str!("../../docs/openapi.json"));
}

#[test]
fn the_frames_keep_what_was_published() {
    compare("asyncapi", include_str!("../../docs/asyncapi.json"));
}

#[track_caller]
fn compare(command: &str, published: &str) {
    let published: Value = serde_json::from_str(published).unwrap();
    let now: Value = serde_json::from_str(&printed(&empty_dir(), &[command], &[])).unwrap();
    let mut broken = Vec::new();
    breaks(&published, &now, command, &mut broken);
    assert!(broken.is_empty(), "clients that rely on it break:\n  {}", broken.join("\n  "));
}

/// Words for people, and lists whose order says nothing.
const WORDS: [&str; 5] = ["description", "summary", "title", "version", "info"];

/// Collects what `before` has and `after` has not, or has in another way. More is no break; a field that a
/// request must have now is one, and so is one that an answer need not have any more.
fn breaks(before: &Value, after: &Value, at: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before.iter().filter(|(key, _)| !WORDS.contains(&key.as_str())) {
                let at = format!("{at}/{key}");
                match after.get(key) {
                    None => found.push(format!("{at} is gone")),
                    Some(now) if key == "required" && value.is_array() => {
                        let sorted = |value: &Value| {
                            let mut names: Vec<_> =
                                value.as_array().unwrap().iter().map(Value::to_string).collect();
                            names.sort();
                            names
                        };
                        if sorted(value) != sorted(now) {
                            found.push(format!("{at} was {value}, and is {now}"));
                        }
                    }
                    Some(now) => breaks(value, now, &at, found),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for (n, value) in before.iter().enumerate() {
                let is_kept = after.iter().any(|now| {
                    let mut broken = Vec::new();
                    breaks(value, now, at, &mut broken);
                    broken.is_empty()
                });
                if !is_kept {
                    found.push(format!("{at}/{n} is gone: {value}"));
                }
            }
        }
        _ if before != after => found.push(format!("{at} was {before}, and is {after}")),
        _ => {}
    }
}

#[test]
fn a_field_that_is_gone_breaks_and_one_that_is_new_does_not() {
    use serde_json::json;
    let broken = |before: Value, after: Value| {
        let mut found = Vec::new();
        breaks(&before, &after, "", &mut found);
        found.len()
    };
    let before =
        json!({"properties": {"a": {"type": "string"}}, "required": ["a"], "enum": ["x", "y"]});
    let more = json!({"properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"], "enum": ["x", "z", "y"]});
    assert_eq!(broken(before.clone(), more), 0);
    assert_eq!(
        broken(
            before.clone(),
            json!({"properties": {"b": {}}, "required": ["a"], "enum": ["x", "y"]})
        ),
        1
    );
    assert_eq!(
        broken(
            before.clone(),
            json!({"properties": {"a": {"type": "integer"}}, "required": [], "enum": ["x"]})
        ),
        3
    );
    assert_eq!(broken(json!({"description": "old"}), json!({"description": "new"})), 0);
}
