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
use super::{AuthError, Claims, DemoKeys, TokenError};
use crate::domain::{DEMO_ISSUER, Identity, Timestamp};
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

/// Verifies the host application's tokens, with one key and one algorithm; and the demo's.
pub struct Verifier {
    host: Check,
    demo: Option<Check>,
}

/// A key, with all that a token must be to be accepted by it.
struct Check {
    key: DecodingKey,
    validation: Validation,
    rules: Rules,
}

impl Verifier {
    /// Uses the public key if it is configured, else the secret.
    ///
    /// # Errors
    /// No key, or a key file that does not fit the configured algorithm.
    pub fn new(auth: &Auth, limits: &Limits, secret: Option<&Secret>) -> Result<Self, AuthError> {
        let key = match (&auth.public_key_file, secret) {
            (Some(path), _) => public_key(path, auth.algorithm)?,
            (None, Some(secret)) if auth.algorithm == Algorithm::HS256 => {
                DecodingKey::from_secret(secret.expose().as_bytes())
            }
            (None, _) => return Err(AuthError::NoKey),
        };
        let rules = Rules {
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            leeway: Leeway::of(limits.leeway()),
        };
        Ok(Self { host: Check::new(key, auth.algorithm, rules), demo: None })
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
        let check = Check::new(demo.verifying(), Algorithm::HS256, rules);
        Self { demo: Some(check), ..self }
    }

    /// Verifies the token's signature and its claims, at `now`.
    ///
    /// # Errors
    /// [`TokenError::Expired`] for a valid token after its end, [`TokenError::Invalid`] for all
    /// else, including one over 8 KiB.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES {
            return Err(TokenError::invalid(format!("it is longer than {TOKEN_BYTES} bytes")));
        }
        // The keys differ, so a token has the signature of one of them at most.
        if let Some(demo) = &self.demo
            && let Ok(token) = demo.decode(token)
        {
            return token.claims.validate(&demo.rules, now);
        }
        let token = self.host.decode(token)?;
        // Critical extensions are not supported (RFC 7515, 4.1.11).
        if token.header.crit.is_some() {
            return Err(TokenError::invalid("its header has crit"));
        }
        token.claims.validate(&self.host.rules, now)
    }
}

impl Check {
    fn new(key: DecodingKey, signed: Algorithm, rules: Rules) -> Self {
        // Here is the signature; `RawClaims::validate` checks the claims, at the caller's time.
        let mut validation = Validation::new(algorithm(signed));
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self { key, validation, rules }
    }

    fn decode(&self, token: &str) -> Result<TokenData<RawClaims>, TokenError> {
        jsonwebtoken::decode(token, &self.key, &self.validation)
            .map_err(|error| TokenError::invalid(problem(error.kind())))
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
            _ if auth.public_key_file.is_some() => Err(AuthError::ForeignKey),
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

    /// Signs the claims of `identity`, until `expires_at`. A configured issuer takes precedence.
    ///
    /// # Errors
    /// Only a failure of the signing itself.
    pub fn sign(&self, identity: &Identity, expires_at: Timestamp) -> Result<String, AuthError> {
        let own_issuer = Some(identity.issuer.as_str()).filter(|issuer| !issuer.is_empty());
        let claims = TokenClaims {
            iss: self.issuer.as_deref().or(own_issuer),
            aud: self.audience.as_deref(),
            sub: &identity.subject,
            role: identity.role.map(|role| role.as_str()),
            nickname: identity.nickname.as_deref(),
            email: identity.email.as_deref(),
            iat: identity.issued_at,
            exp: expires_at.seconds(),
        };
        let header = Header::new(algorithm(Algorithm::HS256));
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| AuthError::Crypto)
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
    iat: Option<i64>,
    exp: i64,
}

fn algorithm(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::HS256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
    }
}

/// Reads the key and tries it: a key of another curve would load, and then verify nothing.
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
    let (key, verification): (_, &'static dyn VerificationAlgorithm) = match algorithm {
        Algorithm::HS256 => {
            return Err(problem("auth.algorithm is HS256, which has no public key"));
        }
        Algorithm::RS256 => (DecodingKey::from_rsa_pem(pem), &RSA_PKCS1_2048_8192_SHA256),
        Algorithm::ES256 => (DecodingKey::from_ec_pem(pem), &ECDSA_P256_SHA256_FIXED),
        Algorithm::EdDSA => (DecodingKey::from_ed_pem(pem), &ED25519),
    };
    let fits = |key: &DecodingKey| {
        key.try_get_as_bytes().is_ok_and(|key| {
            ParsedPublicKey::new(verification, key).is_ok()
                && (algorithm != Algorithm::RS256 || is_long_enough(key))
        })
    };
    key.ok().filter(fits).ok_or_else(|| {
        problem(
            "it holds no PEM public key of the kind that auth.algorithm needs: RSA of at least \
             2048 bits for RS256, P-256 for ES256, Ed25519 for EdDSA",
        )
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
