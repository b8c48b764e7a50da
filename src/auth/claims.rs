//! Token claims, and the rules that make them valid.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::{DEMO_ISSUER, Identity, LoginId, OWN_ISSUER, Role, Timestamp};

/// The longest text of a claim, in characters.
const CLAIM_CHARS: usize = 255;

/// Times from here on are milliseconds: as seconds they would be the year 5138.
const MILLISECONDS: f64 = 1e11;

/// Rejection of a token. Contains no part of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token has expired")]
    Expired,
    /// The reason, for the token's issuer.
    #[error("the token is not valid: {0}")]
    Invalid(String),
    /// Its `kid` names none of the keys that are known.
    #[error("the token is not valid: its kid names no key of the issuer")]
    UnknownKey,
    /// There is no key yet to verify it with.
    #[error("the issuer's keys are not known yet, try again")]
    NoKeys,
}

impl TokenError {
    pub(super) fn invalid(problem: impl Into<String>) -> Self {
        Self::Invalid(problem.into())
    }
}

/// Claims of a verified token. Only a [`Verifier`](super::Verifier) makes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    identity: Identity,
    /// Of a built-in account's token.
    login: Option<LoginId>,
    expires_at: Timestamp,
    leeway: Leeway,
}

impl Claims {
    /// The bearer's identity.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The login that a built-in account's token is of.
    #[must_use]
    pub fn login(&self) -> Option<LoginId> {
        self.login
    }

    /// The token's end, without leeway.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The tolerance that the token was verified with.
    pub(super) fn leeway(&self) -> Leeway {
        self.leeway
    }
}

/// Tolerated difference of clocks, in whole seconds: each session keeps one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leeway(u16);

impl Leeway {
    /// A longer one than an hour, the most that can be configured, is cut.
    pub(super) fn of(leeway: Duration) -> Self {
        Self(u16::try_from(leeway.as_secs()).unwrap_or(u16::MAX))
    }

    pub(super) fn after(self, time: Timestamp) -> Timestamp {
        time.after(Duration::from_secs(self.0.into()))
    }
}

/// The operator's rules for claims.
pub(super) struct Rules {
    pub issuer: Option<String>,
    pub audience: Vec<String>,
    pub leeway: Leeway,
}

/// The signed claims. A null claim counts as missing.
#[derive(Deserialize)]
pub(super) struct RawClaims {
    /// As written: a subject may be a number beyond an `f64`.
    sub: Option<Box<RawValue>>,
    exp: Option<Value>,
    nbf: Option<Value>,
    iat: Option<Value>,
    iss: Option<Value>,
    aud: Option<Value>,
    role: Option<Value>,
    nickname: Option<Value>,
    name: Option<Value>,
    email: Option<Value>,
    sid: Option<Value>,
}

impl RawClaims {
    /// Validates the signed claims at this time.
    pub(super) fn validate(self, rules: &Rules, now: Timestamp) -> Result<Claims, TokenError> {
        let expires_at =
            time("exp", self.exp)?.ok_or_else(|| TokenError::invalid("exp is missing"))?;
        let not_before = time("nbf", self.nbf)?;
        let issued_at = time("iat", self.iat)?;
        let leeway = rules.leeway;
        if leeway.after(expires_at) <= now {
            return Err(TokenError::Expired);
        }
        if not_before.is_some_and(|start| start > leeway.after(now)) {
            return Err(TokenError::invalid("nbf is still to come"));
        }
        if issued_at.is_some_and(|issued| issued > leeway.after(now)) {
            return Err(TokenError::invalid("iat is still to come"));
        }
        let issuer = text("iss", self.iss)?.unwrap_or_default();
        // Only their own rules require one of these.
        if issuer == OWN_ISSUER && rules.issuer.as_deref() != Some(OWN_ISSUER) {
            return Err(TokenError::invalid("iss is reserved for the built-in accounts"));
        }
        if issuer == DEMO_ISSUER && rules.issuer.as_deref() != Some(DEMO_ISSUER) {
            return Err(TokenError::invalid("iss is reserved for the demo"));
        }
        if rules.issuer.as_ref().is_some_and(|required| *required != issuer) {
            return Err(TokenError::invalid("iss is not the one that is configured"));
        }
        if !rules.audience.is_empty() && !is_for(&rules.audience, self.aud.as_ref()) {
            return Err(TokenError::invalid("aud has none of those that are configured"));
        }
        let nickname = match text("nickname", self.nickname)? {
            Some(nickname) => Some(nickname),
            None => text("name", self.name)?,
        };
        let login = match issuer == OWN_ISSUER {
            true => Some(login(self.sid)?),
            false => None,
        };
        let identity = Identity {
            issuer,
            subject: subject(self.sub)?,
            role: role(self.role)?,
            nickname,
            email: text("email", self.email)?,
            // Of an account the stored values count, whatever a token's age.
            issued_at: issued_at.map(Timestamp::seconds).filter(|_| login.is_none()),
        };
        Ok(Claims { identity, login, expires_at, leeway })
    }
}

/// A string, or a number as written.
fn subject(claim: Option<Box<RawValue>>) -> Result<String, TokenError> {
    let claim = claim.ok_or_else(|| TokenError::invalid("sub is missing"))?;
    let written = claim.get();
    let value = match written.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => Value::String(written.to_owned()),
        _ => serde_json::from_str(written)
            .map_err(|_| TokenError::invalid("sub is not valid Unicode"))?,
    };
    match text("sub", Some(value)) {
        Ok(Some(subject)) if !subject.is_empty() => Ok(subject),
        Ok(_) => Err(TokenError::invalid("sub is empty")),
        Err(error) => Err(error),
    }
}

fn login(claim: Option<Value>) -> Result<LoginId, TokenError> {
    let login = text("sid", claim)?.and_then(|text| LoginId::parse(&text));
    login.ok_or_else(|| TokenError::invalid("sid is missing"))
}

fn role(claim: Option<Value>) -> Result<Option<Role>, TokenError> {
    match claim {
        None => Ok(None),
        Some(claim) => match claim.as_str().and_then(Role::parse) {
            Some(role) => Ok(Some(role)),
            None => Err(TokenError::invalid("role is neither customer nor admin")),
        },
    }
}

fn text(name: &str, claim: Option<Value>) -> Result<Option<String>, TokenError> {
    match claim {
        None => Ok(None),
        Some(Value::String(text)) if text.chars().count() > CLAIM_CHARS => {
            Err(TokenError::invalid(format!("{name} is longer than {CLAIM_CHARS} characters")))
        }
        Some(Value::String(text)) if text.contains('\0') => {
            Err(TokenError::invalid(format!("{name} has U+0000 in it")))
        }
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::invalid(format!("{name} is of the wrong type"))),
    }
}

/// Seconds since the epoch, with or without a fraction.
fn time(name: &str, claim: Option<Value>) -> Result<Option<Timestamp>, TokenError> {
    let Some(claim) = claim else { return Ok(None) };
    match claim.as_f64() {
        None => Err(TokenError::invalid(format!("{name} is no number"))),
        Some(seconds) if seconds >= MILLISECONDS => {
            Err(TokenError::invalid(format!("{name} is in milliseconds, but must be in seconds")))
        }
        Some(seconds) => Ok(Some(match claim.as_i64() {
            Some(whole) => Timestamp::from_seconds(whole.max(0)),
            None => Timestamp((seconds.max(0.0) * 1e6) as i64),
        })),
    }
}

/// True if an accepted audience is among the token's.
fn is_for(accepted: &[String], audience: Option<&Value>) -> bool {
    let accepts =
        |value: &Value| value.as_str().is_some_and(|aud| accepted.iter().any(|a| a == aud));
    match audience {
        Some(Value::Array(values)) => values.iter().any(accepts),
        Some(value) => accepts(value),
        None => false,
    }
}
