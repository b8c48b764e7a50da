//! Tokens as a host application signs them.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

/// The secret that the servers under load are started with.
pub const SECRET: &str = "a secret of thirty-two bytes at least, for the bench alone";

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    role: &'a str,
    nickname: &'a str,
    iat: u64,
    exp: u64,
}

/// A customer's token, good for a day.
pub fn customer(sub: &str) -> Result<String> {
    sign(sub, "customer")
}

/// An admin's token, good for a day.
pub fn admin(sub: &str) -> Result<String> {
    sign(sub, "admin")
}

fn sign(sub: &str, role: &str) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = Claims { sub, role, nickname: sub, iat: now, exp: now + 24 * 3600 };
    Ok(jsonwebtoken::encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )?)
}
