//! Lenient types: values that other services write in one of two ways.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// A whole number, or its decimal text, as from languages that lose digits of large numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(pub i64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl Visitor<'_> for Written {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or its decimal text")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                i64::try_from(number).map(Number).map_err(|_| E::custom("is too large a number"))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                // `parse` alone would accept a plus sign.
                let digits = text.strip_prefix('-').unwrap_or(text);
                let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                let number = is_plain.then(|| text.parse().ok()).flatten();
                number.map(Number).ok_or_else(|| E::custom("is no whole number in decimal digits"))
            }
        }

        deserializer.deserialize_any(Written)
    }
}

/// A text, or a number as written: a subject may exceed an `f64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Box::<RawValue>::deserialize(deserializer)?;
        match written.get().as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => Ok(Self(written.get().to_owned())),
            Some(b'"') => serde_json::from_str(written.get()).map(Self).map_err(Error::custom),
            _ => Err(Error::custom("must be a text or a number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_be_written_as_a_text() {
        for (json, number) in
            [("7", 7), (r#""7""#, 7), ("-1", -1), (r#""9223372036854775807""#, i64::MAX)]
        {
            assert_eq!(serde_json::from_str::<Number>(json).expect(json), Number(number));
        }
        for json in [
            r#""""#,
            r#""+7""#,
            r#""7.0""#,
            "7.5",
            "1e3",
            "9223372036854775808",
            "true",
            "null",
            "[7]",
        ] {
            assert!(serde_json::from_str::<Number>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_text_may_be_written_as_a_number() {
        for (json, text) in [
            (r#""kim""#, "kim"),
            (r#""\u00e9""#, "é"),
            ("4711", "4711"),
            ("-1", "-1"),
            ("12345678901234567890123", "12345678901234567890123"),
        ] {
            assert_eq!(serde_json::from_str::<Text>(json).expect(json), Text(text.to_owned()));
        }
        for json in ["true", "[]", "{}", r#""\ud800""#] {
            assert!(serde_json::from_str::<Text>(json).is_err(), "{json}");
        }
    }
}
