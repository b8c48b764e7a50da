//! Passwords: Argon2id, in the PHC string format. Each takes tens of milliseconds and 19 MiB, so one thread
//! alone runs these functions ([`PasswordHasher`](crate::actors::PasswordHasher)).

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use super::AuthError;

/// OWASP's parameters of 2026 for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

fn argon2() -> Result<Argon2<'static>, AuthError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| AuthError::Crypto)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes a password with a new salt.
///
/// # Errors
/// Only a failure of the random source.
pub fn hash(password: &str) -> Result<String, AuthError> {
    let mut salt = [0; SALT_BYTES];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| AuthError::Crypto)?;
    let salt = SaltString::encode_b64(&salt).map_err(|_| AuthError::Crypto)?;
    let hash =
        argon2()?.hash_password(password.as_bytes(), &salt).map_err(|_| AuthError::Crypto)?;
    Ok(hash.to_string())
}

/// True if the hash is of this password. Without a hash the same work is done, for nothing: the time of an
/// answer does not tell whether there is one.
#[must_use]
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    match hash.and_then(|hash| PasswordHash::new(hash).ok()) {
        Some(hash) => {
            argon2().is_ok_and(|argon2| argon2.verify_password(password.as_bytes(), &hash).is_ok())
        }
        None => {
            // The hash is not needed, only its time.
            drop(self::hash(password));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_alone() {
        let hash = hash("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify("correct horse", Some(&hash)));
        for (password, hash) in [
            ("correct horsf", Some(&*hash)),
            ("", Some(&hash)),
            ("correct horse", None),
            ("x", Some("x")),
        ] {
            assert!(!verify(password, hash), "{password}");
        }
        assert_ne!(super::hash("correct horse").unwrap(), hash, "each has a salt of its own");
    }
}
