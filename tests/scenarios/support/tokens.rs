//! People, and the tokens that the host application would sign for them.

use serde_json::{Value, json};
pub use testkit::tokens::{now, sign as sign_with};

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
