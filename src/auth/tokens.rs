//! Verification and signing of tokens.

use std::fs;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    VerificationAlgorithm,
};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, TokenData, Validation};
use serde::Serialize;

use super::claims::{Leeway, RawClaims, Rules};
use super::{AuthError, Claims, DemoKeys, KeySet, TokenError};
use crate::domain::{DEMO_ISSUER, Identity, LoginId, OWN_ISSUER, Timestamp, UserId};
use crate::settings::{Algorithm, Auth, Limits, Secret};

/// The longest accepted token, in bytes.
const TOKEN_BYTES: usize = 8192;

/// The token in the value of an `Authorization` header.
#[must_use]
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Verifies the host application's tokens, with its keys and one algorithm; those of the built-in accounts;
/// and the demo's.
pub struct Verifier {
    host: Check,
    accounts: Option<Check>,
    demo: Option<Check>,
}

/// Keys, with all that a token must be to be accepted by one of them.
struct Check {
    keys: Keys,
    validation: Validation,
    rules: Rules,
}

/// The keys of an issuer.
enum Keys {
    /// These, tried in their order.
    Fixed(Vec<DecodingKey>),
    /// Those of a key set that changes; a token's `kid` chooses.
    Set(KeySet),
}

impl Verifier {
    /// Uses the key set if there is one, or the public key if it is configured, else the secret and the
    /// previous one.
    ///
    /// # Errors
    /// No key, or a key file that does not fit the configured algorithm.
    pub fn new(
        auth: &Auth,
        limits: &Limits,
        secret: Option<&Secret>,
        key_set: Option<KeySet>,
    ) -> Result<Self, AuthError> {
        let keys = match (key_set, &auth.public_key_file, secret) {
            (Some(set), ..) => Keys::Set(set),
            (None, Some(path), _) => Keys::Fixed(vec![public_key(path, auth.algorithm)?]),
            (None, None, Some(secret)) if auth.algorithm == Algorithm::HS256 => {
                let secrets = [Some(secret), auth.previous_secret.as_ref()].into_iter().flatten();
                Keys::Fixed(
                    secrets
                        .map(|secret| DecodingKey::from_secret(secret.expose().as_bytes()))
                        .collect(),
                )
            }
            (None, None, _) => return Err(AuthError::NoKey),
        };
        let rules = Rules {
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            leeway: Leeway::of(limits.leeway()),
        };
        Ok(Self { host: Check::new(keys, auth.algorithm, rules), accounts: None, demo: None })
    }

    /// Accepts the tokens of the built-in accounts too, whatever issuer and audience are configured.
    pub(super) fn with_accounts(self, keys: Vec<DecodingKey>) -> Self {
        let rules = Rules {
            issuer: Some(OWN_ISSUER.to_owned()),
            audience: Vec::new(),
            leeway: self.host.rules.leeway,
        };
        let check = Check::new(Keys::Fixed(keys), Algorithm::HS256, rules);
        Self { accounts: Some(check), ..self }
    }

    /// Accepts the demo's tokens too, whatever issuer and audience are configured. They have no
    /// leeway.
    #[must_use]
    pub fn with_demo(self, demo: &DemoKeys) -> Self {
        let rules = Rules {
            issuer: Some(DEMO_ISSUER.to_owned()),
            audience: Vec::new(),
            leeway: Leeway::of(Duration::ZERO),
        };
        let check = Check::new(Keys::Fixed(vec![demo.verifying()]), Algorithm::HS256, rules);
        Self { demo: Some(check), ..self }
    }

    /// The issuer's key set, if its keys change.
    #[must_use]
    pub fn key_set(&self) -> Option<&KeySet> {
        match &self.host.keys {
            Keys::Set(set) => Some(set),
            Keys::Fixed(_) => None,
        }
    }

    /// Verifies the token's signature and its claims, at `now`.
    ///
    /// # Errors
    /// [`TokenError::Expired`] for a valid token after its end, [`TokenError::UnknownKey`] and
    /// [`TokenError::NoKeys`] where other keys may verify it, [`TokenError::Invalid`] for all else,
    /// including one over 8 KiB.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES {
            return Err(TokenError::invalid(format!("it is longer than {TOKEN_BYTES} bytes")));
        }
        // All keys differ, so a token has the signature of one of them at most.
        let refused = match self.host.decode(token) {
            Ok(token) => return self.host.validate(token, now),
            Err(refused) => refused,
        };
        for check in [&self.accounts, &self.demo].into_iter().flatten() {
            if let Ok(token) = check.decode(token) {
                return check.validate(token, now);
            }
        }
        Err(refused)
    }
}

impl Check {
    fn new(keys: Keys, signed: Algorithm, rules: Rules) -> Self {
        // Here is the signature; `RawClaims::validate` checks the claims, at the caller's time.
        let mut validation = Validation::new(algorithm(signed));
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self { keys, validation, rules }
    }

    fn decode(&self, token: &str) -> Result<TokenData<RawClaims>, TokenError> {
        let decode = |key: &DecodingKey| {
            jsonwebtoken::decode(token, key, &self.validation)
                .map_err(|error| TokenError::invalid(problem(error.kind())))
        };
        match &self.keys {
            Keys::Fixed(keys) => {
                let mut refused = TokenError::NoKeys;
                for key in keys {
                    match decode(key) {
                        Ok(token) => return Ok(token),
                        Err(error) => refused = error,
                    }
                }
                Err(refused)
            }
            Keys::Set(set) => {
                let header = jsonwebtoken::decode_header(token)
                    .map_err(|error| TokenError::invalid(problem(error.kind())))?;
                let key = set.key(header.kid.as_deref())?;
                decode(&key)
            }
        }
    }

    fn validate(&self, token: TokenData<RawClaims>, now: Timestamp) -> Result<Claims, TokenError> {
        // Critical extensions are not supported (RFC 7515, 4.1.11).
        if token.header.crit.is_some() {
            return Err(TokenError::invalid("its header has crit"));
        }
        token.claims.validate(&self.rules, now)
    }
}

/// Signs tokens as the host application does, for trials: HS256, with `auth.secret`.
pub struct Signer {
    key: EncodingKey,
    issuer: Option<String>,
    audience: Option<String>,
}

impl Signer {
    /// Uses the secret; `iss` and `aud` are those that `auth` requires.
    ///
    /// # Errors
    /// No secret, or a public key, which alone verifies tokens then.
    pub fn new(auth: &Auth, secret: Option<&Secret>) -> Result<Self, AuthError> {
        match secret {
            _ if auth.has_foreign_keys() => Err(AuthError::ForeignKey),
            None => Err(AuthError::NoKey),
            Some(secret) => Ok(Self {
                key: EncodingKey::from_secret(secret.expose().as_bytes()),
                issuer: auth.issuer.clone(),
                audience: auth.audience.first().cloned(),
            }),
        }
    }

    /// Signs as the demo does, with its key.
    pub(super) fn of_demo(key: &[u8]) -> Self {
        let key = EncodingKey::from_secret(key);
        Self { key, issuer: Some(DEMO_ISSUER.to_owned()), audience: None }
    }

    /// Signs as the built-in accounts do, with their key.
    pub(super) fn of_accounts(key: &[u8]) -> Self {
        let key = EncodingKey::from_secret(key);
        Self { key, issuer: Some(OWN_ISSUER.to_owned()), audience: None }
    }

    /// Signs an access token of a login, without a role.
    pub(super) fn sign_login(
        &self,
        user: UserId,
        login: LoginId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<String, AuthError> {
        let (subject, sid) = (user.to_string(), login.to_string());
        self.encode(&TokenClaims {
            iss: self.issuer.as_deref(),
            aud: None,
            sub: &subject,
            role: None,
            nickname: None,
            email: None,
            sid: Some(&sid),
            iat: Some(now.seconds()),
            exp: expires_at.seconds(),
        })
    }

    /// Signs the claims of `identity`, until `expires_at`. A configured issuer takes precedence.
    ///
    /// # Errors
    /// Only a failure of the signing itself.
    pub fn sign(&self, identity: &Identity, expires_at: Timestamp) -> Result<String, AuthError> {
        let own_issuer = Some(identity.issuer.as_str()).filter(|issuer| !issuer.is_empty());
        self.encode(&TokenClaims {
            iss: self.issuer.as_deref().or(own_issuer),
            aud: self.audience.as_deref(),
            sub: &identity.subject,
            role: identity.role.map(|role| role.as_str()),
            nickname: identity.nickname.as_deref(),
            email: identity.email.as_deref(),
            sid: None,
            iat: identity.issued_at,
            exp: expires_at.seconds(),
        })
    }

    fn encode(&self, claims: &TokenClaims<'_>) -> Result<String, AuthError> {
        let header = Header::new(algorithm(Algorithm::HS256));
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|_| AuthError::Crypto)
    }
}

#[derive(Serialize)]
struct TokenClaims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    exp: i64,
}

pub(super) fn algorithm(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::HS256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
    }
}

/// Reads the key and tries it.
fn public_key(path: &Path, algorithm: Algorithm) -> Result<DecodingKey, AuthError> {
    let pem = fs::read_to_string(path)
        .map_err(|error| AuthError::KeyFile { path: path.to_owned(), error })?;
    let problem = |problem| AuthError::Key { path: path.to_owned(), problem };
    if pem.contains("PRIVATE KEY-----") {
        return Err(problem("it holds a private key; only its public half belongs here"));
    }
    if pem.contains("CERTIFICATE-----") {
        return Err(problem(
            "it holds a certificate; `openssl x509 -pubkey -noout` prints the key in it",
        ));
    }
    if pem.matches("-----BEGIN ").count() > 1 {
        return Err(problem(
            "it holds more than one key; tokens are checked with one, so leave only that",
        ));
    }
    let pem = pem.as_bytes();
    let key = match algorithm {
        Algorithm::HS256 => {
            return Err(problem("auth.algorithm is HS256, which has no public key"));
        }
        Algorithm::RS256 => DecodingKey::from_rsa_pem(pem),
        Algorithm::ES256 => DecodingKey::from_ec_pem(pem),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
    };
    key.ok().filter(|key| fits(key, algorithm)).ok_or_else(|| {
        problem(
            "it holds no PEM public key of the kind that auth.algorithm needs: RSA of at least \
             2048 bits for RS256, P-256 for ES256, Ed25519 for EdDSA",
        )
    })
}

/// True if a public key is of the algorithm's kind and strong enough: one of another curve would load, and
/// then verify nothing.
pub(super) fn fits(key: &DecodingKey, algorithm: Algorithm) -> bool {
    let verification: &'static dyn VerificationAlgorithm = match algorithm {
        Algorithm::HS256 => return false,
        Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::EdDSA => &ED25519,
    };
    key.try_get_as_bytes().is_ok_and(|key| {
        ParsedPublicKey::new(verification, key).is_ok()
            && (algorithm != Algorithm::RS256 || is_long_enough(key))
    })
}

/// True if verification accepts an RSA key; a shorter one still loads.
fn is_long_enough(key: &[u8]) -> bool {
    RsaParameters::public_modulus_len(key)
        .is_ok_and(|bits| bits >= RSA_PKCS1_2048_8192_SHA256.min_modulus_len())
}

/// Reason for an unreadable token, without a part of it.
fn problem(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => {
            "it is not signed with the configured algorithm"
        }
        ErrorKind::InvalidSignature => "its signature does not fit",
        _ => "it is no JWT that can be read",
    }
}
