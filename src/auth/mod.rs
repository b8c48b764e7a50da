//! Authentication. The only user of `jsonwebtoken`.
//!
//! A [`Verifier`] alone makes [`Claims`] of a token, and claims with their user become an
//! [`AuthenticatedUser`], which is proof of verification.

mod accounts;
mod claims;
mod demo;
mod key_set;
pub mod password;
pub mod secret;
mod service_key;
#[cfg(test)]
mod tests;
mod tokens;
mod user;

use std::io;
use std::path::PathBuf;

pub use accounts::AccountKeys;
pub use claims::{Claims, TokenError};
pub use demo::{DemoKeys, DemoPerson};
pub use key_set::{KeySet, KeySetReader};
pub use service_key::ServiceKey;
pub use tokens::{Signer, Verifier, bearer};
pub use user::{AdmitError, AuthenticatedUser};

use crate::settings::SettingsError;

/// Failure to set up checking or signing of tokens. One sentence for the operator, without any key
/// in it. It has no `source`, whose text would be printed twice.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(
        "There is no key to check tokens with: set auth.secret, auth.public_key_file, auth.jwks_file or \
         auth.jwks_url."
    )]
    NoKey,
    #[error(
        "Tokens are checked with a public key (auth.public_key_file, auth.jwks_file or auth.jwks_url), so \
         only who has its private half, your application, can sign one."
    )]
    ForeignKey,
    #[error("auth.public_key_file {}: {error}.", path.display())]
    KeyFile { path: PathBuf, error: io::Error },
    #[error("auth.public_key_file {}: {problem}.", path.display())]
    Key { path: PathBuf, problem: &'static str },
    #[error("auth.jwks_file {}: {problem}.", path.display())]
    KeySet { path: PathBuf, problem: String },
    #[error("The secret file {}: {error}.", path.display())]
    SecretFile { path: PathBuf, error: io::Error },
    #[error(
        "There is no secret file {}: the server makes it at its first start. Use the settings and the \
         folder that it was started with, or set auth.secret.", path.display()
    )]
    NoSecretFile { path: PathBuf },
    #[error(
        "Others than its owner may read the secret file {0}, so they could sign tokens: \
         chmod 600 {0}", path.display()
    )]
    Exposed { path: PathBuf },
    #[error(
        "The secret file {} holds no secret: remove it, and the next start makes one.",
        path.display()
    )]
    NoSecret { path: PathBuf },
    #[error("The random source or the signature failed.")]
    Crypto,
}
