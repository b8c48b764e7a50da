//! Authentication of messages between nodes: an HMAC-SHA256 tag behind each.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::settings::Secret;

/// Separates this key from others that are made of the same secret.
const PURPOSE: &[u8] = b"frontdesk: messages between nodes";
/// Bytes of a tag: 32, in base64, so that a message of text stays text.
const TAG_BYTES: usize = 43;

/// The key of a deployment's nodes, and the one before it.
pub struct Seal {
    key: hmac::Key,
    previous: Option<hmac::Key>,
}

fn key(secret: &[u8]) -> hmac::Key {
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), PURPOSE);
    hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
}

impl Seal {
    /// Without a secret, anybody can make the key. Messages of nodes that still have the previous secret
    /// are taken.
    #[must_use]
    pub fn new(secret: Option<&Secret>, previous: Option<&Secret>) -> Self {
        let key_of = |secret: &Secret| key(secret.expose().as_bytes());
        let key = secret.map_or_else(|| key(&[]), key_of);
        Self { key, previous: previous.map(key_of) }
    }

    /// Appends the tag to a message.
    #[must_use]
    pub fn close(&self, mut message: Vec<u8>) -> Vec<u8> {
        let tag = hmac::sign(&self.key, &message);
        message.extend_from_slice(BASE64.encode(tag).as_bytes());
        message
    }

    /// The message without its tag; `None` if the tag is wrong.
    #[must_use]
    pub fn open<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (message, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        let tag = BASE64.decode(tag).ok()?;
        let is_of = |key: &hmac::Key| hmac::verify(key, message, &tag).is_ok();
        (is_of(&self.key) || self.previous.as_ref().is_some_and(is_of)).then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secret: &str) -> Seal {
        Seal::new(Some(&Secret::from(secret.to_owned())), None)
    }

    #[test]
    fn nodes_that_change_their_secret_one_by_one_hear_those_that_have_not() {
        let (old, new) = (Secret::from("old".to_owned()), Secret::from("new".to_owned()));
        let changed = Seal::new(Some(&new), Some(&old));
        assert!(changed.open(&seal("old").close("{}".into())).is_some());
        assert!(seal("old").open(&changed.close("{}".into())).is_none());
        assert!(seal("new").open(&changed.close("{}".into())).is_some());
    }

    #[test]
    fn a_message_is_taken_from_who_knows_the_secret_alone() {
        let ours = seal("ours");
        for message in ["", "{}", "é"] {
            let sealed = ours.close(message.into());
            assert_eq!(sealed.len(), message.len() + TAG_BYTES);
            assert_eq!(seal("ours").open(&sealed), Some(message.as_bytes()));
            assert_eq!(seal("theirs").open(&sealed), None);
            assert_eq!(Seal::new(None, None).open(&sealed), None);
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert_eq!(ours.open(&changed), None, "{at}");
                assert_eq!(ours.open(&sealed[at + 1..]), None, "{at}");
            }
        }
    }
}
