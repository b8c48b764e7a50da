//! Patterns: the names of events and requests on NestJS's wire.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// A pattern, as far as it can match one that is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// `"name"`
    Name(String),
    /// `{"cmd":"name"}`
    Cmd(String),
    /// Any other, which has no handler here.
    Other,
}

impl Pattern {
    /// Reads a pattern as NestJS does: a text that is JSON itself is parsed, once.
    #[must_use]
    pub fn read(pattern: &RawValue) -> Self {
        match serde_json::from_str(pattern.get()) {
            Ok(Value::String(text)) => {
                serde_json::from_str(&text).map_or(Self::Name(text), Self::from_value)
            }
            Ok(value) => Self::from_value(value),
            // Nested too deep.
            Err(_) => Self::Other,
        }
    }

    fn from_value(value: Value) -> Self {
        match value {
            Value::String(name) => Self::Name(name),
            Value::Object(mut fields) if fields.len() == 1 => match fields.remove("cmd") {
                Some(Value::String(name)) => Self::Cmd(name),
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }

    /// The name, in either form.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) | Self::Cmd(name) => Some(name),
            Self::Other => None,
        }
    }

    /// The name of an event, which has no `cmd`.
    #[must_use]
    pub fn plain_name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Cmd(_) | Self::Other => None,
        }
    }
}

/// A configured pattern on the wire: the text of a JSON object stays one, with its keys in their
/// order; anything else is a plain name.
///
/// # Errors
/// None that a text could cause.
pub fn to_wire(text: &str) -> serde_json::Result<Box<RawValue>> {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(_) => RawValue::from_string(text.trim().to_owned()),
        Err(_) => to_raw_value(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str) -> Pattern {
        Pattern::read(serde_json::from_str(pattern).expect("a JSON text"))
    }

    #[test]
    fn a_known_pattern_is_found_in_every_form_in_which_nestjs_finds_it() {
        let name = |name: &str| Pattern::Name(name.to_owned());
        let cmd = |name: &str| Pattern::Cmd(name.to_owned());
        for (pattern, expected) in [
            (r#""user_created""#, name("user_created")),
            (r#"{"cmd":"send"}"#, cmd("send")),
            (r#" { "cmd" : "s\u0065nd" } "#, cmd("send")),
            (r#""{\"cmd\":\"send\"}""#, cmd("send")),
            (r#"" { \"cmd\" : \"x\" } ""#, cmd("x")),
            (r#""\"send\"""#, name("send")),
            // A JSON text in a JSON text is parsed once.
            (r#""\"{ \\\"cmd\\\": \\\"x\\\" }\"""#, name(r#"{ "cmd": "x" }"#)),
            // The last of equal keys counts.
            (r#"{"cmd":"a","cmd":"b"}"#, cmd("b")),
            (r#""say \"hi\"""#, name(r#"say "hi""#)),
            (r#""""#, name("")),
        ] {
            assert_eq!(read(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_no_handler_has_is_another() {
        let deep = format!("{}1{}", r#"{"cmd":"#.repeat(1_000), "}".repeat(1_000));
        for pattern in [
            "7",
            r#""7""#,
            "null",
            "[]",
            "{}",
            r#"["send"]"#,
            r#"{"cmd":7}"#,
            r#"{"cmd":{"cmd":"x"}}"#,
            r#"{"do":"send"}"#,
            r#"{"v":1,"cmd":"send"}"#,
            r#""{\"cmd\":\"send\",\"v\":1}""#,
            &deep,
        ] {
            assert_eq!(read(pattern), Pattern::Other, "{pattern:.80}");
        }
    }

    #[test]
    fn a_configured_pattern_leaves_as_it_was_written() {
        for (text, wire) in [
            ("send", r#""send""#),
            ("7", r#""7""#),
            (r#"{"cmd":"send"}"#, r#"{"cmd":"send"}"#),
            ("{\"v\":1, \"cmd\":\"x\"}\n", r#"{"v":1, "cmd":"x"}"#),
            (r#"say "hi""#, r#""say \"hi\"""#),
            ("[1]", r#""[1]""#),
            ("{", r#""{""#),
        ] {
            assert_eq!(to_wire(text).expect("JSON").get(), wire, "{text}");
        }
    }
}
