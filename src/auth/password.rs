//! Passwords: Argon2id, in the PHC string format. Each takes tens of milliseconds and 19 MiB, so one thread
//! alone hashes them ([`PasswordHasher`](crate::actors::PasswordHasher)).

use argon2::password_hash::{Ident, Output, ParamsString, PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::AuthError;

/// OWASP's parameters of 2026 for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

const ALGORITHM: Algorithm = Algorithm::Argon2id;
const VERSION: Version = Version::V0x13;

/// Argon2id and the memory it works in, which the next password uses again: 19 MiB taken from the system
/// and given back each time would hold up all threads of the process.
#[derive(Default)]
pub struct Argon2id {
    memory: Vec<Block>,
}

impl Argon2id {
    /// Hashes a password with a new salt.
    ///
    /// # Errors
    /// Only a failure of the random source.
    pub fn hash(&mut self, password: &str) -> Result<String, AuthError> {
        let mut salt = [0; SALT_BYTES];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| AuthError::Crypto)?;
        self.hash_with(password, &salt).map_err(|_| AuthError::Crypto)
    }

    fn hash_with(
        &mut self,
        password: &str,
        salt: &[u8],
    ) -> Result<String, argon2::password_hash::Error> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
        let encoded = SaltString::encode_b64(salt)?;
        let output = self.output(password, salt, VERSION, params.clone())?;
        let hash = PasswordHash {
            algorithm: Ident::new(ALGORITHM.as_str())?,
            version: Some(VERSION.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(encoded.as_salt()),
            hash: Some(output),
        };
        Ok(hash.to_string())
    }

    /// True if the hash is of this password. Without a hash the same work is done, for nothing: the time of
    /// an answer does not tell whether there is one.
    #[must_use]
    pub fn verify(&mut self, password: &str, hash: Option<&str>) -> bool {
        match hash.and_then(|hash| PasswordHash::new(hash).ok()) {
            Some(hash) => self.is_of(password, &hash).unwrap_or(false),
            None => {
                // The hash is not needed, only its time.
                drop(self.hash(password));
                false
            }
        }
    }

    /// Gives the memory back.
    pub fn release(&mut self) {
        self.memory = Vec::new();
    }

    /// Outputs are compared in a time that does not depend on what they are.
    fn is_of(
        &mut self,
        password: &str,
        hash: &PasswordHash<'_>,
    ) -> Result<bool, argon2::password_hash::Error> {
        let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else { return Ok(false) };
        if hash.algorithm != Ident::new(ALGORITHM.as_str())? {
            return Ok(false);
        }
        let version = hash.version.map_or(Ok(VERSION), Version::try_from)?;
        let mut salt_bytes = [0; argon2::password_hash::Salt::MAX_LENGTH];
        let salt = salt.decode_b64(&mut salt_bytes)?;
        Ok(self.output(password, salt, version, Params::try_from(hash)?)? == expected)
    }

    fn output(
        &mut self,
        password: &str,
        salt: &[u8],
        version: Version,
        params: Params,
    ) -> Result<Output, argon2::password_hash::Error> {
        self.memory.resize(params.block_count(), Block::default());
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let argon2 = Argon2::new(ALGORITHM, version, params);
        Output::init_with(length, |out| {
            let memory = &mut self.memory;
            Ok(argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, memory)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_alone() {
        let mut argon2 = Argon2id::default();
        let hash = argon2.hash("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(argon2.verify("correct horse", Some(&hash)));
        for (password, hash) in [
            ("correct horsf", Some(&*hash)),
            ("", Some(&hash)),
            ("correct horse", None),
            ("x", Some("x")),
        ] {
            assert!(!argon2.verify(password, hash), "{password}");
        }
        assert_ne!(argon2.hash("correct horse").unwrap(), hash, "each has a salt of its own");
    }

    #[test]
    fn memory_that_is_used_again_changes_no_hash() {
        // Made by the reference implementation: echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1
        const OF_MORE_MEMORY: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
            CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let mut argon2 = Argon2id::default();
        let own = argon2.hash("correct horse").unwrap();
        assert!(argon2.verify("password", Some(OF_MORE_MEMORY)));
        assert!(argon2.verify("correct horse", Some(&own)));
        argon2.release();
        assert!(argon2.verify("password", Some(OF_MORE_MEMORY)));
        assert!(!argon2.verify("passwort", Some(OF_MORE_MEMORY)));
    }
}
