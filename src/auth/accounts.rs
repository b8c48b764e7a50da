//! Tokens of the built-in accounts: access tokens, and refresh tokens.
//!
//! Their keys are derived from `auth.secret` and not equal to it: who signs for the host application cannot
//! sign for an account. A refresh token is a number in its login's chain, signed; nothing of it is stored.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::DecodingKey;

use super::{AuthError, Signer, Verifier};
use crate::domain::{LoginId, Timestamp, UserId};
use crate::settings::Secret;

/// Prefix of a refresh token, by which those who scan for leaked secrets find it.
const PREFIX: &str = "fdr_";
const ACCESS: &[u8] = b"frontdesk access tokens of built-in accounts, version 1";
const REFRESH: &[u8] = b"frontdesk refresh tokens of built-in accounts, version 1";
/// Bytes of a login's id, and of a refresh token's number.
const NUMBER: usize = 8;

/// The keys of the built-in accounts.
pub struct AccountKeys {
    signer: Signer,
    /// The newest first: it signs; the others only verify.
    keys: Vec<DerivedKeys>,
}

struct DerivedKeys {
    access: hmac::Tag,
    refresh: hmac::Key,
}

impl DerivedKeys {
    fn of(secret: &Secret) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        let refresh = hmac::sign(&secret, REFRESH);
        Self {
            access: hmac::sign(&secret, ACCESS),
            refresh: hmac::Key::new(hmac::HMAC_SHA256, refresh.as_ref()),
        }
    }
}

impl AccountKeys {
    /// Derives the keys. Tokens of the previous secret are accepted too.
    #[must_use]
    pub fn new(secret: &Secret, previous: Option<&Secret>) -> Self {
        let keys: Vec<_> =
            [Some(secret), previous].into_iter().flatten().map(DerivedKeys::of).collect();
        let signing = keys.first().map(|keys| keys.access.as_ref()).unwrap_or_default();
        Self { signer: Signer::of_accounts(signing), keys }
    }

    /// Signs an access token. It has no role: the stored one counts.
    ///
    /// # Errors
    /// Only a failure of the signing itself.
    pub fn access_token(
        &self,
        user: UserId,
        login: LoginId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<String, AuthError> {
        self.signer.sign_login(user, login, now, expires_at)
    }

    /// The refresh token number `generation` of a login.
    #[must_use]
    pub fn refresh_token(&self, login: LoginId, generation: i64) -> String {
        let mut token = [login.0.to_be_bytes(), generation.to_be_bytes()].concat();
        if let Some(keys) = self.keys.first() {
            let tag = hmac::sign(&keys.refresh, &token);
            token.extend_from_slice(tag.as_ref());
        }
        format!("{PREFIX}{}", BASE64.encode(token))
    }

    /// The login and the number of a refresh token that was signed here.
    #[must_use]
    pub fn open_refresh_token(&self, token: &str) -> Option<(LoginId, i64)> {
        let bytes = BASE64.decode(token.strip_prefix(PREFIX)?).ok()?;
        let (signed, tag) = bytes.split_at_checked(2 * NUMBER)?;
        let is_ours = |keys: &DerivedKeys| hmac::verify(&keys.refresh, signed, tag).is_ok();
        self.keys.iter().any(is_ours).then_some(())?;
        let (login, generation) = signed.split_first_chunk::<NUMBER>()?;
        let generation = generation.first_chunk::<NUMBER>()?;
        Some((LoginId(i64::from_be_bytes(*login)), i64::from_be_bytes(*generation)))
    }

    /// Has a verifier accept these access tokens too.
    #[must_use]
    pub fn accepted_by(&self, verifier: Verifier) -> Verifier {
        let key = |keys: &DerivedKeys| DecodingKey::from_secret(keys.access.as_ref());
        verifier.with_accounts(self.keys.iter().map(key).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secret: &str, previous: Option<&str>) -> AccountKeys {
        let [secret, previous] =
            [Some(secret), previous].map(|text| text.map(|text| Secret::from(text.to_owned())));
        AccountKeys::new(&secret.unwrap(), previous.as_ref())
    }

    #[test]
    fn a_refresh_token_is_read_by_its_own_key_and_by_nobody_elses() {
        let token = keys("one", None).refresh_token(LoginId(7), 3);
        assert_eq!(keys("one", None).open_refresh_token(&token), Some((LoginId(7), 3)));
        assert_eq!(keys("two", None).open_refresh_token(&token), None);
        // A change of the secret signs nobody out.
        assert_eq!(keys("two", Some("one")).open_refresh_token(&token), Some((LoginId(7), 3)));
    }

    #[test]
    fn a_changed_refresh_token_is_none() {
        let keys = keys("one", None);
        let token = keys.refresh_token(LoginId(7), 3);
        let other = keys.refresh_token(LoginId(7), 4);
        // The number of one, and the signature of the other.
        let ((number, _), (_, signature)) = (other.split_at(26), token.split_at(26));
        let mixed = format!("{number}{signature}");
        let (short, _) = token.split_at(token.len() - 2);
        for wrong in ["", "fdr_", "fdr_AAAA", token.split_at(1).1, short, &mixed] {
            assert_eq!(keys.open_refresh_token(wrong), None, "{wrong}");
        }
    }
}
