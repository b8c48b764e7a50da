//! Tokens as a host application signs them.

use serde::Serialize;
use testkit::tokens;

/// The secret that the servers under load are started with.
pub const SECRET: &str = "a secret of thirty-two bytes at least, for the bench alone";

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    role: &'a str,
    nickname: &'a str,
    iat: i64,
    exp: i64,
}

/// A customer's token, good for a day.
pub fn customer(sub: &str) -> String {
    sign(sub, "customer")
}

/// An admin's token, good for a day.
pub fn admin(sub: &str) -> String {
    sign(sub, "admin")
}

fn sign(sub: &str, role: &str) -> String {
    let iat = tokens::now();
    let claims = Claims { sub, role, nickname: sub, iat, exp: iat + 24 * 3600 };
    tokens::sign(&claims, SECRET)
}
