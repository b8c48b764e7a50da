//! Authentication of messages between nodes: an HMAC-SHA256 tag behind each.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::settings::Secret;

/// Separates this key from others that are made of the same secret.
const PURPOSE: &[u8] = b"frontdesk: messages between nodes";
/// Bytes of a tag: 32, in base64, so that a message of text stays text.
const TAG_BYTES: usize = 43;

/// The key of a deployment's nodes.
pub struct Seal(hmac::Key);

impl Seal {
    /// Without a secret, anybody can make the key.
    #[must_use]
    pub fn new(secret: Option<&Secret>) -> Self {
        let secret = secret.map_or(&[][..], |secret| secret.expose().as_bytes());
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), PURPOSE);
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// Appends the tag to a message.
    #[must_use]
    pub fn close(&self, mut message: Vec<u8>) -> Vec<u8> {
        let tag = hmac::sign(&self.0, &message);
        message.extend_from_slice(BASE64.encode(tag).as_bytes());
        message
    }

    /// The message without its tag; `None` if the tag is wrong.
    #[must_use]
    pub fn open<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (message, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        let tag = BASE64.decode(tag).ok()?;
        hmac::verify(&self.0, message, &tag).ok().map(|()| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secret: &str) -> Seal {
        Seal::new(Some(&Secret::from(secret.to_owned())))
    }

    #[test]
    fn a_message_is_taken_from_who_knows_the_secret_alone() {
        let ours = seal("ours");
        for message in ["", "{}", "é"] {
            let sealed = ours.close(message.into());
            assert_eq!(sealed.len(), message.len() + TAG_BYTES);
            assert_eq!(seal("ours").open(&sealed), Some(message.as_bytes()));
            assert_eq!(seal("theirs").open(&sealed), None);
            assert_eq!(Seal::new(None).open(&sealed), None);
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert_eq!(ours.open(&changed), None, "{at}");
                assert_eq!(ours.open(&sealed[at + 1..]), None, "{at}");
            }
        }
    }
}
