//! Patterns: by what a service names an event or a request, and how two of them are found to be the
//! same.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Number, Value};

/// Objects in objects that are looked into.
const MOST_LEVELS: usize = 5;
/// Keys of one object that are looked at.
const MOST_KEYS: usize = 20;

/// A pattern as NestJS looks for a handler by it: a plain name as it is, the text of an object with
/// its keys in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(String);

impl Pattern {
    /// Of a pattern as it stands in a body.
    #[must_use]
    pub fn of(pattern: &RawValue) -> Self {
        match serde_json::from_str(pattern.get()) {
            Ok(Value::String(text)) => Self::of_text(&text),
            Ok(value) => Self::of_value(&value),
            // Nested too deep to be read, and so to be one that is known.
            Err(_) => Self(pattern.get().to_owned()),
        }
    }

    /// Of a plain name, or of a JSON text, which is looked into once.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        serde_json::from_str(text).map_or_else(|_| Self(text.to_owned()), |v| Self::of_value(&v))
    }

    fn of_value(value: &Value) -> Self {
        Self(match value {
            Value::String(text) => text.clone(),
            _ => {
                let mut text = String::new();
                write_value(&mut text, value, 0);
                text
            }
        })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A pattern as a service is told it: the text of a JSON object stays one, with its keys as they are
/// written; anything else is a plain name.
///
/// # Errors
/// None that a text could cause.
pub fn to_wire(text: &str) -> serde_json::Result<Box<RawValue>> {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(_) => RawValue::from_string(text.trim().to_owned()),
        Err(_) => to_raw_value(text),
    }
}

fn write_value(route: &mut String, value: &Value, level: usize) {
    match value {
        Value::Null => route.push_str("null"),
        Value::Bool(true) => route.push_str("true"),
        Value::Bool(false) => route.push_str("false"),
        Value::Number(number) => write_number(route, number),
        Value::String(text) => write_quoted(route, text),
        Value::Array(items) => {
            let keys: Vec<String> = (0..items.len()).map(|at| at.to_string()).collect();
            write_fields(route, keys.iter().map(String::as_str).zip(items).collect(), level);
        }
        Value::Object(fields) => {
            write_fields(route, fields.iter().map(|(key, v)| (key.as_str(), v)).collect(), level);
        }
    }
}

fn write_fields(route: &mut String, mut fields: Vec<(&str, &Value)>, level: usize) {
    if level > MOST_LEVELS {
        return route.push_str("[MAX_DEPTH_REACHED]");
    }
    if fields.len() > MOST_KEYS {
        return route.push_str("[TOO_MANY_KEYS]");
    }
    fields.sort_by(|(a, _), (b, _)| compare(a, b));
    route.push('{');
    for (at, (key, value)) in fields.into_iter().enumerate() {
        if at > 0 {
            route.push(',');
        }
        write_quoted(route, key);
        route.push(':');
        write_value(route, value, level + 1);
    }
    route.push('}');
}

fn write_quoted(route: &mut String, text: &str) {
    route.push('"');
    for character in text.chars() {
        if matches!(character, '\\' | '"') {
            route.push('\\');
        }
        route.push(character);
    }
    route.push('"');
}

/// As JavaScript shows a number: with an exponent beyond 21 digits, and behind 6 zeros.
fn write_number(route: &mut String, number: &Number) {
    let value = number.as_f64().unwrap_or(f64::NAN);
    let size = value.abs();
    // Writing to a string does not fail.
    let _ = if size == 0.0 {
        write!(route, "0")
    } else if size >= 1e21 {
        write!(route, "{}", format!("{value:e}").replace('e', "e+"))
    } else if size < 1e-6 {
        write!(route, "{value:e}")
    } else {
        write!(route, "{value}")
    };
}

/// What JavaScript's `localeCompare` puts before the digits, in its order.
const MARKS: &str = "\t\n\u{b}\u{c}\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";

/// Orders keys as JavaScript's `localeCompare` does, to the letter in ASCII: marks, digits, letters,
/// and only where these are the same small before capital ones. Other characters come last, by their
/// number, where it would put an accented letter beside its plain one.
fn compare(a: &str, b: &str) -> Ordering {
    let capitals = |text: &'_ str| -> Vec<bool> {
        text.chars().filter(|&c| weight(c).is_some()).map(|c| c.is_ascii_uppercase()).collect()
    };
    let weights = a.chars().filter_map(weight).cmp(b.chars().filter_map(weight));
    weights.then_with(|| capitals(a).cmp(&capitals(b))).then_with(|| a.cmp(b))
}

/// A character's place among others; none for control characters, which are looked over.
fn weight(character: char) -> Option<u32> {
    if let Some(at) = MARKS.chars().position(|mark| mark == character) {
        return u32::try_from(at).ok();
    }
    match character {
        '0'..='9' | 'a'..='z' => Some(u32::from(character)),
        'A'..='Z' => Some(u32::from(character.to_ascii_lowercase())),
        _ if character.is_ascii() => None,
        _ => Some(u32::from(character)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(pattern: &str) -> String {
        let raw: &RawValue = serde_json::from_str(pattern).expect("a JSON text");
        Pattern::of(raw).0
    }

    fn nested(levels: usize) -> String {
        format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
    }

    /// What NestJS 12.1.1 itself makes of each.
    #[test]
    fn a_pattern_is_normalised_as_nestjs_does_it() {
        for (pattern, expected) in [
            (r#""user_created""#, "user_created"),
            (r#""7""#, "7"),
            ("7", "7"),
            (r#""""#, ""),
            (r#"{"cmd":"send"}"#, r#"{"cmd":"send"}"#),
            (r#"{"z":1,"a":{"d":"x","c":true}}"#, r#"{"a":{"c":true,"d":"x"},"z":1}"#),
            (r#"{"v":1,"cmd":"get_user"}"#, r#"{"cmd":"get_user","v":1}"#),
            (r#""{\"cmd\":\"get_user\",\"v\":1}""#, r#"{"cmd":"get_user","v":1}"#),
            (r#"" { \"cmd\" : \"x\" } ""#, r#"{"cmd":"x"}"#),
            // A JSON text in a JSON text is looked into once.
            (r#""\"7\"""#, "7"),
            (r#""\"{ \\\"a\\\": 1 }\"""#, r#"{ "a": 1 }"#),
            (r#"{"a":null,"b":false,"B":1,"A":2}"#, r#"{"a":null,"A":2,"b":false,"B":1}"#),
            (r#"[1,"x",{"y":2}]"#, r#"{"0":1,"1":"x","2":{"y":2}}"#),
            (r#"{"l":[1,[2,"3"]]}"#, r#"{"l":{"0":1,"1":{"0":2,"1":"3"}}}"#),
            (r#"{"q\"k\\":"v\"\\"}"#, r#"{"q\"k\\":"v\"\\"}"#),
            ("{}", "{}"),
            ("[]", "{}"),
            (
                r#"{"_x":1,"-x":2,"x":3," x":4,"$x":5,"1":6,"X":7,"xy":8,"Xa":9}"#,
                r#"{" x":4,"_x":1,"-x":2,"$x":5,"1":6,"x":3,"X":7,"Xa":9,"xy":8}"#,
            ),
            (r#"{"ab":1,"Aa":2,"aB":3,"Ab":4}"#, r#"{"Aa":2,"ab":1,"aB":3,"Ab":4}"#),
            (r#"{"n":1e3,"m":0.1,"e":-1.5e-9}"#, r#"{"e":-1.5e-9,"m":0.1,"n":1000}"#),
            ("1.50", "1.5"),
            ("-0", "0"),
            ("1e21", "1e+21"),
            ("1e-7", "1e-7"),
            ("100000000000000000000", "100000000000000000000"),
            (
                "[0,1,2,3,4,5,6,7,8,9,10,11]",
                r#"{"0":0,"1":1,"10":10,"11":11,"2":2,"3":3,"4":4,"5":5,"6":6,"7":7,"8":8,"9":9}"#,
            ),
        ] {
            assert_eq!(route(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_is_looked_into_five_levels_deep() {
        assert_eq!(route(&nested(6)), nested(6));
        assert_eq!(route(&nested(7)), nested(6).replace('1', "[MAX_DEPTH_REACHED]"));
        let deepest = r#"{"a":{"a":{"a":{"a":{"a":{"a":"s"}}}}}}"#;
        assert_eq!(route(deepest), deepest);
        // Beyond what a parser takes it is a pattern that nobody has.
        assert_eq!(route(&nested(1_000)), nested(1_000));
    }

    #[test]
    fn of_an_object_twenty_keys_are_looked_at() {
        let object = |keys: usize| {
            let fields: Vec<_> = (10..10 + keys).map(|at| format!(r#""k{at}":{at}"#)).collect();
            format!("{{{}}}", fields.join(","))
        };
        assert_eq!(route(&object(20)), object(20));
        assert_eq!(route(&object(21)), "[TOO_MANY_KEYS]");
        assert_eq!(route(&format!(r#"{{"a":{}}}"#, object(21))), r#"{"a":[TOO_MANY_KEYS]}"#);
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_one_counts() {
        assert_eq!(route(r#"{"cmd":"a","cmd":"b"}"#), r#"{"cmd":"b"}"#);
    }

    #[test]
    fn a_pattern_leaves_as_it_was_written() {
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
            assert_eq!(route(wire), Pattern::of_text(text).0, "{text}");
        }
    }
}
