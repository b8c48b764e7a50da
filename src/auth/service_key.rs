//! Keys of services: 32 random bytes, of which only the hash is stored.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use super::AuthError;

/// Prefix of a key, which tells it from a token, and by which those who scan for secrets find it.
const PREFIX: &str = "fdk_";
const KEY_BYTES: usize = 32;
/// Digits of a key, in base64.
const DIGITS: usize = 43;

/// A key as its service has it. Without `Debug`: nothing prints it by accident.
pub struct ServiceKey(String);

impl ServiceKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// Only a failure of the random source.
    pub fn random() -> Result<Self, AuthError> {
        let mut bytes = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AuthError::Crypto)?;
        Ok(Self(format!("{PREFIX}{}", BASE64.encode(bytes))))
    }

    /// The key in a Bearer token's place; `None` for what cannot be one.
    #[must_use]
    pub fn parse(bearer: &str) -> Option<Self> {
        bearer.starts_with(PREFIX).then(|| Self(bearer.to_owned()))
    }

    /// True if it can be one; any other is known by nobody.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let digits = self.0.strip_prefix(PREFIX).unwrap_or_default();
        digits.len() == DIGITS && digits.bytes().all(is_digit)
    }

    /// The key, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256, in hexadecimal digits. A key has too many random bits to be found from it, so that no slow
    /// hash is needed.
    #[must_use]
    pub fn hash(&self) -> String {
        let digest = digest(&SHA256, self.0.as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_from_a_token_and_known_by_its_hash() {
        let key = ServiceKey::random().unwrap();
        assert!(key.expose().starts_with("fdk_"));
        assert_eq!(ServiceKey::parse(key.expose()).unwrap().hash(), key.hash());
        assert_ne!(ServiceKey::random().unwrap().hash(), key.hash());
        assert!(key.is_whole());
        for other in ["", "eyJhbGciOiJIUzI1NiJ9.e30.x"] {
            assert!(ServiceKey::parse(other).is_none(), "{other}");
        }
        for broken in ["fdk_", "fdk_x", &format!("{}x", key.expose())] {
            assert!(!ServiceKey::parse(broken).unwrap().is_whole(), "{broken}");
        }
    }
}
