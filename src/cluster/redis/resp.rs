//! RESP2, the protocol of Redis: as much of it as publishing and subscribing need.

/// Bytes of a line, such as an error.
const LINE_BYTES: usize = 4_096;
/// Bytes of a string: a message, and its sender.
const STRING_BYTES: usize = 17 * 1024 * 1024;
/// Elements of an array.
const ELEMENTS: usize = 64;
/// Arrays in arrays.
const DEPTH: usize = 4;

/// A reply, or a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    Text(Vec<u8>),
    Integer(i64),
    Error(String),
    Array(Vec<Value>),
    Null,
}

/// Appends a command.
pub fn write(command: &[&[u8]], buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
    for argument in command {
        buffer.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        buffer.extend_from_slice(argument);
        buffer.extend_from_slice(b"\r\n");
    }
}

/// The first value and its length; `None` if it is incomplete.
///
/// # Errors
/// No RESP2, or more than the bounds.
pub fn read(bytes: &[u8]) -> Result<Option<(Value, usize)>, String> {
    let mut reader = Reader { bytes, at: 0 };
    let value = reader.value(DEPTH)?;
    Ok(value.map(|value| (value, reader.at)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Option<Value>, String> {
        let Some(line) = self.line()? else { return Ok(None) };
        let (kind, rest) = line.split_at_checked(1).ok_or("an empty line")?;
        Ok(match kind {
            "+" => Some(Value::Text(rest.as_bytes().to_vec())),
            "-" => Some(Value::Error(rest.to_owned())),
            ":" => Some(Value::Integer(rest.parse().map_err(|_| "no number")?)),
            "$" => match length(rest, STRING_BYTES)? {
                None => Some(Value::Null),
                Some(length) => self.string(length)?.map(Value::Text),
            },
            "*" => match length(rest, ELEMENTS)? {
                None => Some(Value::Null),
                Some(length) => self.array(length, depth)?,
            },
            _ => return Err("an unknown kind of value".to_owned()),
        })
    }

    fn array(&mut self, length: usize, depth: usize) -> Result<Option<Value>, String> {
        let depth = depth.checked_sub(1).ok_or("arrays that are too deep")?;
        let mut values = Vec::with_capacity(length);
        for _ in 0..length {
            let Some(value) = self.value(depth)? else { return Ok(None) };
            values.push(value);
        }
        Ok(Some(Value::Array(values)))
    }

    fn line(&mut self) -> Result<Option<String>, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(length) = rest.iter().take(LINE_BYTES).position(|byte| *byte == b'\n') else {
            return if rest.len() < LINE_BYTES { Ok(None) } else { Err("a long line".to_owned()) };
        };
        self.at += length + 1;
        let line = rest.get(..length).unwrap_or_default();
        let line = line.strip_suffix(b"\r").ok_or("a line without CR")?;
        Ok(Some(String::from_utf8_lossy(line).into_owned()))
    }

    fn string(&mut self, length: usize) -> Result<Option<Vec<u8>>, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (Some(text), Some(end)) = (rest.get(..length), rest.get(length..length + 2)) else {
            return Ok(None);
        };
        if end != b"\r\n" {
            return Err("a string without its end".to_owned());
        }
        self.at += length + 2;
        Ok(Some(text.to_vec()))
    }
}

/// A length; `None` for that of nothing.
fn length(text: &str, most: usize) -> Result<Option<usize>, String> {
    match text {
        "-1" => Ok(None),
        text => match text.parse() {
            Ok(length) if length <= most => Ok(Some(length)),
            _ => Err("a value that is too long".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn values_are_read_wherever_the_network_splits_them() {
        let bytes = b"*4\r\n$7\r\nmessage\r\n:-12\r\n$-1\r\n*1\r\n+OK\r\n-MOVED 1 a:2\r\n";
        let value = Value::Array(vec![
            text("message"),
            Value::Integer(-12),
            Value::Null,
            Value::Array(vec![text("OK")]),
        ]);
        let length = bytes.len() - "-MOVED 1 a:2\r\n".len();
        for end in 0..length {
            assert_eq!(read(&bytes[..end]), Ok(None), "{end}");
        }
        assert_eq!(read(bytes), Ok(Some((value, length))));
        let error = Value::Error("MOVED 1 a:2".to_owned());
        assert_eq!(read(&bytes[length..]), Ok(Some((error, 14))));
    }

    #[test]
    fn a_command_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        write(&[b"PUBLISH", b"a", b"\0\r\n"], &mut bytes);
        let value = Value::Array(vec![text("PUBLISH"), text("a"), text("\0\r\n")]);
        assert_eq!(read(&bytes), Ok(Some((value, bytes.len()))));
    }

    #[test]
    fn what_would_not_fit_is_refused_before_it_is_there() {
        for bytes in [
            "$99999999\r\n".to_owned(),
            "*65\r\n".to_owned(),
            "*-2\r\n".to_owned(),
            "*1\r\n".repeat(DEPTH + 1),
            "?\r\n".to_owned(),
            "\r\n".to_owned(),
            "+OK\n".to_owned(),
            "+".repeat(LINE_BYTES),
            "$1\r\nabc".to_owned(),
        ] {
            assert!(read(bytes.as_bytes()).is_err(), "{bytes:.20}");
        }
    }
}
