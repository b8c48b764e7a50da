//! Keyset pagination: a cursor is the sealed key of the last row shown.
//!
//! The seal is a checksum, not a secret: it detects guessed cursors, and those of another list.
//! Access is checked for every page anyway.

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::ApiError;

/// The format's version; cursors of other versions are refused.
const VERSION: &[u8] = b"frontdesk cursor 1\0";
const SEAL_BYTES: usize = 8;
const KEY_BYTES: usize = 16;

/// The key of a row in its list's order: the sort column, and a tie-breaker.
pub type Key = (i64, i64);

/// Seals `key` for the list, order and filters of `scope`.
#[must_use]
pub fn seal(scope: &str, key: Key) -> String {
    let key = to_bytes(key);
    let mut sealed = Vec::with_capacity(KEY_BYTES + SEAL_BYTES);
    sealed.extend_from_slice(&key);
    sealed.extend_from_slice(&checksum(scope, &key));
    URL_SAFE_NO_PAD.encode(sealed)
}

/// Opens a cursor of [`seal`] for the same `scope`.
///
/// # Errors
/// Anything else: `bad_request` at `after`.
pub fn open(scope: &str, text: &str) -> Result<Key, ApiError> {
    let refused = || ApiError::bad_request("after", "is no cursor of this list");
    let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    let (key, seal) = sealed.split_first_chunk::<KEY_BYTES>().ok_or_else(refused)?;
    if *seal != checksum(scope, key) {
        return Err(refused());
    }
    Ok(from_bytes(*key))
}

fn checksum(scope: &str, key: &[u8; KEY_BYTES]) -> [u8; SEAL_BYTES] {
    let mut context = Context::new(&SHA256);
    context.update(VERSION);
    context.update(key);
    context.update(scope.as_bytes());
    let digest = context.finish();
    std::array::from_fn(|index| digest.as_ref().get(index).copied().unwrap_or_default())
}

fn to_bytes((first, second): Key) -> [u8; KEY_BYTES] {
    let [first, second] = [first, second].map(|part| u128::from(part.cast_unsigned()));
    (first << 64 | second).to_be_bytes()
}

fn from_bytes(bytes: [u8; KEY_BYTES]) -> Key {
    let both = u128::from_be_bytes(bytes);
    // Each takes its own half, bit by bit.
    ((both >> 64) as i64, both as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Code;

    const SCOPE: &str = "/chats?order=desc";

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for key in [(0, 0), (1_795_168_800_123_456, 10), (i64::MAX, i64::MIN), (-1, -2)] {
            assert_eq!(open(SCOPE, &seal(SCOPE, key)), Ok(key));
        }
    }

    #[test]
    fn a_cursor_fits_into_a_url_as_it_is() {
        let text = seal(SCOPE, (-1, i64::MAX));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_eq!(text.len(), 32);
    }

    #[test]
    fn a_cursor_of_another_list_or_order_is_refused() {
        let text = seal(SCOPE, (1, 2));
        for scope in ["/chats?order=asc", "/chats/1/messages?order=desc", "/users?order=asc"] {
            let exception = open(scope, &text).expect_err(scope);
            assert_eq!(exception.code, Code::BadRequest);
            assert_eq!(exception.path.as_deref(), Some("after"));
        }
    }

    #[test]
    fn a_cursor_that_was_tampered_with_is_refused() {
        let text = seal(SCOPE, (1_795_168_800_123_456, 10));
        for index in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(bytes).expect("ASCII");
            assert!(open(SCOPE, &tampered).is_err(), "{tampered}");
        }
        let longer = format!("{text}AAAA");
        let shorter: String = text.chars().skip(4).collect();
        let huge = "A".repeat(9999);
        for text in ["", "1", "AAAA", "é", "%00", &longer, &shorter, &huge] {
            assert!(open(SCOPE, text).is_err(), "{text}");
        }
    }
}
