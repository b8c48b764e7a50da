//! Authentication. The only user of `jsonwebtoken`.
//!
//! A [`Verifier`] alone makes [`Claims`] of a token, and claims with their user become an
//! [`AuthenticatedUser`], which is proof of verification.

mod claims;
mod demo;
pub mod secret;
#[cfg(test)]
mod tests;
mod tokens;
mod user;

use std::io;
use std::path::PathBuf;

pub use claims::{Claims, TokenError};
pub use demo::{DemoKeys, DemoPerson};
pub use tokens::{Signer, Verifier, bearer};
pub use user::{AdmitError, AuthenticatedUser};

use crate::settings::SettingsError;

/// Failure to set up checking or signing of tokens. One sentence for the operator, without any key
/// in it. It has no `source`, whose text would be printed twice.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("There is no key to check tokens with: set auth.secret or auth.public_key_file.")]
    NoKey,
    #[error(
        "Tokens are checked with auth.public_key_file, so only who has its private half, your \
         application, can sign one."
    )]
    ForeignKey,
    #[error("auth.public_key_file {}: {error}.", path.display())]
    KeyFile { path: PathBuf, error: io::Error },
    #[error("auth.public_key_file {}: {problem}.", path.display())]
    Key { path: PathBuf, problem: &'static str },
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
