//! Messages as PostgreSQL's payloads: text, without NUL, of less than 8,000 bytes.
//!
//! A message is text as it is, or base64; a large one is split. A payload is
//! `<kind><number>,<part>,<last part>,<text>`. The number keeps two equal messages apart, of which
//! PostgreSQL would drop one. The parts of a message arrive one after the other, since they are of
//! one transaction.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

/// Bytes of text in one payload; the rest of 7,999 is for the header.
const PART_BYTES: usize = 7_900;
/// Bytes of a message's text; of a longer one the rest is ignored.
const MESSAGE_BYTES: usize = 32 * 1024 * 1024;

const TEXT: char = 't';
const BINARY: char = 'b';

/// The payloads of a message: at least one.
pub fn split(number: u64, message: &[u8]) -> Vec<String> {
    let encoded;
    let (kind, mut rest) = match str::from_utf8(message) {
        Ok(text) if !text.contains('\0') => (TEXT, text),
        _ => {
            encoded = BASE64.encode(message);
            (BINARY, encoded.as_str())
        }
    };
    let mut parts = Vec::with_capacity(rest.len() / PART_BYTES + 1);
    loop {
        let (part, others) = rest.split_at(rest.floor_char_boundary(PART_BYTES));
        parts.push(part);
        rest = others;
        if rest.is_empty() {
            break;
        }
    }
    let last = parts.len() - 1;
    let payload = |(at, part)| format!("{kind}{number:x},{at:x},{last:x},{part}");
    parts.into_iter().enumerate().map(payload).collect()
}

/// Puts payloads together again. Holds one message at most.
#[derive(Debug, Default)]
pub struct Assembly {
    /// The message that is incomplete, and its next part.
    expected: Option<(String, usize)>,
    text: String,
}

impl Assembly {
    /// Adds a payload. Returns the message with its last part, unless a part was lost.
    pub fn add(&mut self, payload: &str) -> Option<Vec<u8>> {
        let mut fields = payload.splitn(4, ',');
        let (name, at, last, part) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let (at, last) =
            (usize::from_str_radix(at, 16).ok()?, usize::from_str_radix(last, 16).ok()?);
        let expected = self.expected.take();
        if at == 0 {
            self.text.clear();
        } else if expected.is_none_or(|(known, next)| known != name || next != at) {
            return None;
        }
        if self.text.len() + part.len() > MESSAGE_BYTES {
            self.text = String::new();
            return None;
        }
        self.text.push_str(part);
        if at < last {
            self.expected = Some((name.to_owned(), at + 1));
            return None;
        }
        let text = std::mem::take(&mut self.text);
        match name.chars().next()? {
            TEXT => Some(text.into_bytes()),
            BINARY => BASE64.decode(text).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(assembly: &mut Assembly, payloads: &[String]) -> Vec<Vec<u8>> {
        payloads.iter().filter_map(|payload| assembly.add(payload)).collect()
    }

    proptest! {
        #[test]
        fn any_message_arrives_as_it_was(
            message in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..30_000),
                "[aé😀,]{0,12000}".prop_map(String::into_bytes),
            ],
        ) {
            let payloads = split(u64::MAX, &message);
            prop_assert!(payloads.iter().all(|p| p.len() < 8_000 && !p.contains('\0')));
            prop_assert_eq!(joined(&mut Assembly::default(), &payloads), [message]);
        }
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(split(10, b"{}"), ["ta,0,0,{}"]);
        assert_eq!(split(0, b""), ["t0,0,0,"]);
    }

    #[test]
    fn a_message_without_one_of_its_parts_is_dropped_and_the_next_arrives() {
        let large = split(1, &[b'x'; 3 * PART_BYTES]);
        let next = split(2, b"next");
        for lost in 0..large.len() {
            let mut payloads = large.clone();
            payloads.remove(lost);
            payloads.extend(next.clone());
            assert_eq!(joined(&mut Assembly::default(), &payloads), [b"next"], "{lost}");
        }
    }

    #[test]
    fn a_message_that_never_ends_is_dropped() {
        let mut assembly = Assembly::default();
        let part = "x".repeat(PART_BYTES);
        for at in 0..=MESSAGE_BYTES / PART_BYTES + 1 {
            assert_eq!(assembly.add(&format!("t0,{at:x},ffffff,{part}")), None);
            assert!(assembly.text.len() <= MESSAGE_BYTES);
        }
        for garbage in ["", "t", "t0,0", "t0,0,0", "t0,x,0,", "é0,0,0,", "b0,0,0,-"] {
            assert_eq!(assembly.add(garbage), None, "{garbage}");
        }
    }
}
