//! People, and the tokens that the host application would sign for them.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

/// `auth.secret` of every app under test.
pub const SECRET: &str = "the-host-application's-secret-of-the-scenarios";

/// Somebody whom the host application vouches for.
#[derive(Debug, Clone)]
pub struct Person {
    pub subject: String,
    pub role: &'static str,
    pub nickname: String,
}

/// A customer called `name`.
pub fn customer(name: &str) -> Person {
    Person { subject: name.into(), role: "customer", nickname: nickname(name) }
}

/// An admin called `name`.
pub fn admin(name: &str) -> Person {
    Person { subject: name.into(), role: "admin", nickname: nickname(name) }
}

/// `kim` is called Kim.
fn nickname(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

impl Person {
    /// The claims of a token of one hour, from now on.
    pub fn claims(&self) -> Value {
        json!({
            "sub": self.subject,
            "role": self.role,
            "nickname": self.nickname,
            "email": self.email(),
            "iat": now(),
            "exp": now() + 3600,
        })
    }

    pub fn email(&self) -> String {
        format!("{}@example.org", self.subject)
    }

    /// A good token.
    pub fn token(&self) -> String {
        sign(&self.claims())
    }

    /// A token with some claims other than they would be; `null` leaves a claim out.
    pub fn token_with(&self, other: &Value) -> String {
        let mut claims = self.claims();
        let fields = claims.as_object_mut().expect("claims are an object");
        for (name, value) in other.as_object().expect("claims are an object") {
            if value.is_null() {
                fields.remove(name);
            } else {
                fields.insert(name.clone(), value.clone());
            }
        }
        sign(&claims)
    }
}

/// Signs `claims` with the host application's secret.
pub fn sign(claims: &Value) -> String {
    sign_with(claims, SECRET)
}

/// Signs `claims` with any secret.
pub fn sign_with(claims: &Value, secret: &str) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("claims can be signed")
}

/// Seconds since the epoch.
pub fn now() -> i64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(time.as_secs()).expect("a clock before the year 292,277,026,596")
}
