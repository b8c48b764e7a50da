//! Tokens as a host application signs them.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;

/// Signs `claims` with a secret.
pub fn sign(claims: &impl Serialize, secret: &str) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("claims can be signed")
}

/// Seconds since the epoch.
pub fn now() -> i64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(time.as_secs()).expect("a clock before the year 292,277,026,596")
}
