use std::fmt;
use std::num::NonZeroU32;

use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;
use thiserror::Error;

/// The secret of an endpoint from which the keys of tokens and sessions are derived (FEATURES E12).
///
/// It is never shown, not even in debug output.
#[derive(Clone)]
pub struct SecretKeyBase(Vec<u8>);

/// The secret is shorter than [`SecretKeyBase::MIN_LENGTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the secret key base has {length} bytes, but needs at least {min}", min = SecretKeyBase::MIN_LENGTH)]
pub struct SecretTooShort {
    length: usize,
}

impl SecretKeyBase {
    /// The least length in bytes.
    pub const MIN_LENGTH: usize = 64;

    /// Takes the bytes of the secret as they are.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, SecretTooShort> {
        let secret = secret.into();
        if secret.len() < Self::MIN_LENGTH {
            Err(SecretTooShort { length: secret.len() })
        } else {
            Ok(Self(secret))
        }
    }

    /// A secret that nobody else has, from the operating system.
    ///
    /// # Panics
    /// If that has no random numbers.
    pub fn random() -> Self {
        let mut secret = vec![0; Self::MIN_LENGTH];
        getrandom::fill(&mut secret).expect("the operating system has random numbers");
        Self(secret)
    }

    /// PBKDF2 with HMAC-SHA-256 (protocol §26).
    pub(super) fn derive(&self, salt: &[u8], iterations: NonZeroU32) -> [u8; 32] {
        let mut key = [0; 32];
        pbkdf2_hmac::<Sha256>(&self.0, salt, iterations.get(), &mut key);
        key
    }
}

impl fmt::Debug for SecretKeyBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKeyBase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_a_least_length_and_stay_secret() {
        assert_eq!(SecretKeyBase::new("x".repeat(63)).unwrap_err(), SecretTooShort { length: 63 });
        let secret = SecretKeyBase::new("x".repeat(64)).unwrap();
        assert!(!format!("{secret:?}").contains('x'));
    }

    #[test]
    fn random_secrets_differ() {
        assert_ne!(SecretKeyBase::random().0, SecretKeyBase::random().0);
    }
}
