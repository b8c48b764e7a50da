//! Key set of an issuer (JWKS, RFC 7517): kept in memory, and read anew from its file or address.
//!
//! One task reads; verifications take the newest set. A set that cannot be read leaves the last one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::tokens::{algorithm, fits};
use super::{AuthError, TokenError};
use crate::retry::LogOnce;
use crate::settings::{Algorithm, Auth};

/// Keys that are kept of one set.
const MOST_KEYS: usize = 64;
/// Bytes of a set.
const MOST_BYTES: usize = 256 * 1024;
/// Bytes of an RSA modulus: 2048 bits.
const RSA_BYTES: usize = 256;
/// Deadline for reading a set.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// The least time between two readings, however many tokens name unknown keys.
const COOLDOWN: Duration = Duration::from_secs(5);
/// Pause after a reading that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// Deadline of a verification that waits for a reading.
const WAIT: Duration = Duration::from_secs(3);
/// Verifications that may wait for a reading; more are refused at once.
const MOST_WAITING: usize = 256;

type Key = (Option<String>, Arc<DecodingKey>);

/// A handle to the keys.
#[derive(Clone)]
pub struct KeySet {
    /// `None` until the first reading.
    keys: watch::Receiver<Option<Arc<[Key]>>>,
    asks: mpsc::Sender<oneshot::Sender<()>>,
}

/// The task that reads the keys.
pub struct KeySetReader {
    source: Source,
    algorithm: Algorithm,
    every: Duration,
    keys: watch::Sender<Option<Arc<[Key]>>>,
    asks: mpsc::Receiver<oneshot::Sender<()>>,
    log_once: LogOnce,
}

enum Source {
    File(PathBuf),
    Url { client: reqwest::Client, url: String },
}

impl KeySet {
    /// The key that a token's `kid` names; without one, the only key.
    ///
    /// # Errors
    /// `UnknownKey`, `NoKeys` before the first reading, `Invalid` without a `kid` among several keys.
    pub(super) fn key(&self, kid: Option<&str>) -> Result<Arc<DecodingKey>, TokenError> {
        let keys = self.keys.borrow();
        let keys = keys.as_deref().ok_or(TokenError::NoKeys)?;
        match (kid, keys) {
            (Some(kid), keys) => {
                let found = keys.iter().find(|(known, _)| known.as_deref() == Some(kid));
                found.map(|(_, key)| Arc::clone(key)).ok_or(TokenError::UnknownKey)
            }
            (None, [(_, key)]) => Ok(Arc::clone(key)),
            (None, _) => {
                Err(TokenError::invalid("its header has no kid, and there are several keys"))
            }
        }
    }

    /// Asks for a reading, and waits for it, for 3 s at most. One that was just made is not made again.
    pub async fn read_again(&self) {
        let (reply, answer) = oneshot::channel();
        if self.asks.try_send(reply).is_ok() {
            // Late or lost, the token is verified with what is known.
            let _ = timeout(WAIT, answer).await;
        }
    }

    /// True once the keys were read.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.keys.borrow().is_some()
    }
}

impl KeySetReader {
    /// A reader of the configured set; `None` if none is configured. A file is read at once.
    ///
    /// # Errors
    /// A file that holds no usable key set, or a TLS configuration that cannot be made.
    pub fn new(auth: &Auth) -> Result<Option<(KeySet, Self)>, AuthError> {
        let Some(source) = Source::of(auth)? else { return Ok(None) };
        let known = match &source {
            Source::File(path) => {
                let keys = read_file(path).and_then(|text| parse(&text, auth.algorithm));
                let keys =
                    keys.map_err(|problem| AuthError::KeySet { path: path.clone(), problem })?;
                Some(keys)
            }
            Source::Url { .. } => None,
        };
        let ((keys, seen), (ask, asks)) = (watch::channel(known), mpsc::channel(MOST_WAITING));
        let reader = Self {
            source,
            algorithm: auth.algorithm,
            every: Duration::from_secs(auth.jwks_refresh_seconds),
            keys,
            asks,
            log_once: LogOnce::default(),
        };
        Ok(Some((KeySet { keys: seen, asks: ask }, reader)))
    }

    /// Reads the set again and again, until nobody uses it.
    pub async fn run(mut self) {
        let mut next = Instant::now();
        let mut last: Option<Instant> = None;
        if self.keys.borrow().is_some() {
            next += self.every;
        }
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                () = sleep_until(next) => {}
                asked = self.asks.recv_many(&mut waiting, MOST_WAITING) => {
                    if asked == 0 {
                        return;
                    }
                }
            }
            if last.is_none_or(|last| last.elapsed() >= COOLDOWN) || next <= Instant::now() {
                let is_read = self.read().await;
                last = Some(Instant::now());
                next = Instant::now()
                    + if is_read { self.every } else { AFTER_FAILURE.min(self.every) };
            }
            // Those that gave up are not told.
            for reply in waiting.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    async fn read(&mut self) -> bool {
        let name = self.source.name();
        match self.source.keys(self.algorithm).await {
            Ok(keys) => {
                self.log_once.recovered("reads the issuer's keys again");
                let kids =
                    |keys: &[Key]| keys.iter().map(|(kid, _)| kid.clone()).collect::<Vec<_>>();
                let is_new = self.keys.borrow().as_deref().map(kids) != Some(kids(&keys));
                if is_new {
                    let named: Vec<_> = keys.iter().filter_map(|(kid, _)| kid.as_deref()).collect();
                    log::info!("{} keys of {name}: {named:?}", keys.len());
                }
                self.keys.send_replace(Some(keys));
                true
            }
            Err(problem) => {
                self.log_once.warn(&format!(
                    "cannot read the keys of {name}, and keeps those known: {problem}"
                ));
                false
            }
        }
    }

    /// Reads the set once, for an operator: its name, or what is wrong. `None` if none is configured.
    pub async fn try_once(auth: &Auth) -> Option<Result<String, String>> {
        let source = match Source::of(auth) {
            Ok(source) => source?,
            Err(error) => return Some(Err(error.to_string())),
        };
        let name = source.name();
        let read = source.keys(auth.algorithm).await;
        Some(
            read.map(|keys| format!("{} keys of {name}", keys.len()))
                .map_err(|e| format!("{name}: {e}")),
        )
    }
}

impl Source {
    fn of(auth: &Auth) -> Result<Option<Self>, AuthError> {
        Ok(match (&auth.jwks_file, &auth.jwks_url) {
            (Some(path), _) => Some(Self::File(path.clone())),
            (None, Some(url)) => Some(Self::Url { client: client()?, url: url.clone() }),
            (None, None) => None,
        })
    }

    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Url { url, .. } => url.clone(),
        }
    }

    async fn keys(&self, signed: Algorithm) -> Result<Arc<[Key]>, String> {
        let text = match self {
            Self::File(path) => read_file(path),
            Self::Url { client, url } => timeout(READ_TIMEOUT, fetch(client, url))
                .await
                .unwrap_or_else(|_| Err("no answer came in time".to_owned())),
        };
        parse(&text?, signed)
    }
}

fn client() -> Result<reqwest::Client, AuthError> {
    let tls = crate::tls::client_config(None).map_err(|_| AuthError::Crypto)?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(READ_TIMEOUT)
        .build()
        .map_err(|_| AuthError::Crypto)
}

/// The body of a 200, up to the limit.
async fn fetch(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, String> {
    // The text of an error may name the address, but no header and no body.
    let answer = client.get(url).send().await.map_err(|error| error.without_url().to_string())?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("the answer's status is {}", answer.status()));
    }
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(|error| error.without_url().to_string())?);
        if body.len() > MOST_BYTES {
            return Err(format!("it is longer than {MOST_BYTES} bytes"));
        }
    }
    Ok(body)
}

fn read_file(path: &std::path::Path) -> Result<Vec<u8>, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    if text.len() > MOST_BYTES {
        return Err(format!("it is longer than {MOST_BYTES} bytes"));
    }
    Ok(text)
}

/// The keys of the algorithm's kind; others, for other purposes, are skipped.
fn parse(text: &[u8], signed: Algorithm) -> Result<Arc<[Key]>, String> {
    let set: JwkSet =
        serde_json::from_slice(text).map_err(|_| "it is no key set: {\"keys\":[…]}".to_owned())?;
    let usable = set.keys.iter().filter(|jwk| is_for(jwk, signed)).take(MOST_KEYS);
    let keys: Vec<Key> = usable
        .filter_map(|jwk| {
            let key = DecodingKey::from_jwk(jwk).ok()?;
            // RSA has no single text of bytes; `is_for` has measured it.
            let is_rsa = signed == Algorithm::RS256;
            (is_rsa || fits(&key, signed)).then(|| (jwk.common.key_id.clone(), Arc::new(key)))
        })
        .collect();
    if keys.is_empty() {
        return Err(format!("it has no key for {signed:?} (auth.algorithm)"));
    }
    Ok(keys.into())
}

fn is_for(jwk: &Jwk, signed: Algorithm) -> bool {
    let is_of_kind = match (&jwk.algorithm, signed) {
        (AlgorithmParameters::RSA(rsa), Algorithm::RS256) => {
            let bytes = rsa.n.trim_end_matches('=').len() * 3 / 4;
            bytes >= RSA_BYTES
        }
        (AlgorithmParameters::EllipticCurve(ec), Algorithm::ES256) => {
            ec.curve == EllipticCurve::P256
        }
        (AlgorithmParameters::OctetKeyPair(okp), Algorithm::EdDSA) => {
            okp.curve == EllipticCurve::Ed25519
        }
        _ => false,
    };
    let is_named = jwk
        .common
        .key_algorithm
        .is_none_or(|named| named.to_string() == format!("{:?}", algorithm(signed)));
    let signs =
        jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    is_of_kind && is_named && signs
}
