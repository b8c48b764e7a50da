//! Verbatim fields of a JSON object, for forwarding.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of an object in their order, unchanged: numbers keep their digits, texts their
/// escapes.
///
/// Names are compared unescaped, so `"met\u0061data"` is `metadata`.
#[derive(Debug)]
pub struct Fields<'a>(Vec<Field<'a>>);

#[derive(Debug)]
struct Field<'a> {
    name: Cow<'a, str>,
    /// The name with its quotes and escapes.
    written: &'a RawValue,
    value: &'a RawValue,
}

/// Not an object, or an object with a name that is not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an object")]
pub struct NoFields;

impl<'a> Fields<'a> {
    /// Parses an object, one level deep.
    ///
    /// # Errors
    /// Anything but a JSON object.
    pub fn parse(object: &'a str) -> Result<Self, NoFields> {
        serde_json::from_str(object).map_err(|_| NoFields)
    }

    /// Removes a field, and returns its last value, as most readers do.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let taken = self.0.extract_if(.., |field| field.name == name);
        taken.last().map(|field| field.value)
    }

    /// Each field: its name, the name as it was written, with its quotes, and its value.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a str, &'a RawValue)> {
        self.0.iter().map(|field| (&*field.name, field.written.get(), field.value))
    }

    /// A field's last value, and whether the name is repeated.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<(&'a RawValue, bool)> {
        let mut found = self.0.iter().rev().filter(|field| field.name == name);
        let last = found.next()?;
        Some((last.value, found.next().is_some()))
    }
}

/// `"a":1,"b":2`
impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Field { written, value, .. }) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}:{}", written.get(), value.get())?;
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        /// A name, with or without escapes.
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        impl<'de> Visitor<'de> for Read {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((written, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    let Name(name) =
                        serde_json::from_str(written.get()).map_err(serde::de::Error::custom)?;
                    fields.push(Field { name, written, value });
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_metadata(object: &str) -> String {
        let mut fields = Fields::parse(object).expect("an object");
        fields.take("metadata");
        fields.to_string()
    }

    #[test]
    fn what_is_handed_on_is_what_was_written() {
        for fields in [
            r#""n":123456789012345678901234567890,"f":1.10,"e":-0.0E+400"#,
            r#""text":"\u0041\ud83d\ude00 é","sur":"\ud800""#,
            r#""deep":{"metadata":{"a":[{}]}},"":null,"list":[1, 2 , 3]"#,
            r#""a":1,"a":2,"k\u0065y":true"#,
            "",
        ] {
            assert_eq!(without_metadata(&format!("{{{fields}}}")), fields);
        }
    }

    #[test]
    fn metadata_is_taken_however_it_is_written() {
        for object in [
            r#"{"metadata":1,"a":1}"#,
            r#"{"a":1,"metadata":{"socket_id":"x"}}"#,
            r#"{"metadata":1,"a":1,"metadata":2}"#,
            r#"{"met\u0061data":1,"a":1,"\u006d\u0065tadata":{}}"#,
            " {\n\t\"metadata\" : [\"}\\\"\"] ,\r\n \"a\"\n:\n1 } ",
        ] {
            assert_eq!(without_metadata(object), r#""a":1"#, "{object}");
        }
        let others = r#""Metadata":1,"metadata ":2,"meta":3,"metadata\u0000":4"#;
        assert_eq!(without_metadata(&format!("{{{others}}}")), others);
    }

    #[test]
    fn the_last_of_several_counts() {
        let mut fields = Fields::parse(r#"{"a":1,"\u0061":2,"b":3}"#).expect("an object");
        let (value, twice) = fields.get("a").expect("it is there");
        assert_eq!((value.get(), twice), ("2", true));
        assert!(fields.get("b").is_some_and(|(_, twice)| !twice) && fields.get("c").is_none());
        assert_eq!(fields.take("a").map(RawValue::get), Some("2"));
        assert!(fields.get("a").is_none());
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for text in ["", "[]", "null", "1", "\"{}\"", "{", "{}{}", "{\"a\"}", r#"{"\ud800":1}"#] {
            assert_eq!(Fields::parse(text).err(), Some(NoFields), "{text}");
        }
    }
}
