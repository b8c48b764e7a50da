//! Keys of the demo, made at each start and kept nowhere.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jsonwebtoken::DecodingKey;

use super::secret::random_hex;
use super::{AuthError, Signer};
use crate::domain::{DEMO_ISSUER, Identity, Role, Timestamp};
use crate::settings::Secret;

/// Random bytes of the key in the demo's address.
const ADDRESS_BYTES: usize = 16;
/// Random bytes of the key that signs the demo's tokens.
const SIGNING_BYTES: usize = 32;

/// A person who takes part in the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoPerson {
    /// The subject of the tokens.
    pub subject: &'static str,
    pub nickname: &'static str,
    pub role: Role,
}

/// The two keys of a demo: one opens its page, the other signs its tokens. Neither is derived from
/// `auth.secret`, so they end with the process.
pub struct DemoKeys {
    address: Secret,
    signing: Secret,
    signer: Signer,
}

impl DemoKeys {
    /// Makes new keys.
    ///
    /// # Errors
    /// Only a failure of the random source.
    pub fn random() -> Result<Self, AuthError> {
        let signing = random_hex::<SIGNING_BYTES>()?;
        let signer = Signer::of_demo(signing.as_bytes());
        let address = Secret::from(random_hex::<ADDRESS_BYTES>()?);
        Ok(Self { address, signing: Secret::from(signing), signer })
    }

    /// The key for the printed address, and for nothing else: whoever has it is an admin of the demo.
    #[must_use]
    pub fn address_key(&self) -> &Secret {
        &self.address
    }

    /// True for the key of the address. Takes the same time for each wrong key of its length.
    #[must_use]
    pub fn opens(&self, key: &str) -> bool {
        verify_slices_are_equal(self.address.expose().as_bytes(), key.as_bytes()).is_ok()
    }

    /// Signs a token of this person.
    ///
    /// # Errors
    /// Only a failure of the signing itself.
    pub fn sign(
        &self,
        person: DemoPerson,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<String, AuthError> {
        let identity = Identity {
            issuer: DEMO_ISSUER.to_owned(),
            subject: person.subject.to_owned(),
            role: Some(person.role),
            nickname: Some(person.nickname.to_owned()),
            email: None,
            issued_at: Some(now.seconds()),
        };
        self.signer.sign(&identity, expires_at)
    }

    pub(super) fn verifying(&self) -> DecodingKey {
        DecodingKey::from_secret(self.signing.expose().as_bytes())
    }
}
