use std::fmt;
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

use super::token::{ITERATIONS, pack, unpack};
use super::{MaxAge, SecretKeyBase, TokenDataError, TokenError, UnixMillis};

/// Signs data so that clients can read, but neither forge nor change it (protocol §26, FEATURES N1, N2).
///
/// A token is `SFMyNTY.<payload>.<signature>`: three parts in url-safe base64 without padding, the first the tag of
/// HMAC-SHA-256, the payload JSON. Building a signer derives keys, which is slow on purpose: keep it.
#[derive(Clone)]
pub struct Signer {
    keys: Vec<Hmac<Sha256>>,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

const SIGNED: &str = "SFMyNTY";

impl Signer {
    /// A signer whose tokens only signers of the same secret and salt accept. The salt names the purpose of the
    /// tokens, such as `"user socket"`; it is no secret.
    pub fn new(secret: &SecretKeyBase, salt: &str) -> Self {
        Self::with_iterations(secret, salt, ITERATIONS)
    }

    /// A signer that derives its key in another number of rounds of PBKDF2 than 1000.
    pub fn with_iterations(secret: &SecretKeyBase, salt: &str, iterations: NonZeroU32) -> Self {
        Self { keys: Vec::new(), salt: salt.as_bytes().to_vec(), iterations }.with_previous(secret)
    }

    /// Also accepts tokens that were signed with an older secret; new ones are still signed with the first.
    pub fn with_previous(mut self, secret: &SecretKeyBase) -> Self {
        let key = secret.derive(&self.salt, self.iterations);
        self.keys.push(Mac::new_from_slice(&key).expect("HMAC takes keys of any length"));
        self
    }

    /// Signs data at the time `now`.
    ///
    /// # Errors
    /// [`TokenDataError`] if the data has no JSON form.
    pub fn sign<T: Serialize>(
        &self,
        data: &T,
        max_age: MaxAge,
        now: UnixMillis,
    ) -> Result<String, TokenDataError> {
        let content = pack(data, max_age, now)?;
        let mut token = format!("{SIGNED}.{}", URL_SAFE_NO_PAD.encode(content));
        let signature = self.keys[0].clone().chain_update(&token).finalize().into_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The data of a token, unless it is expired at the time `now`; `max_age` overrides the one it was signed with.
    pub fn verify<T: DeserializeOwned>(
        &self,
        token: Option<&str>,
        max_age: Option<MaxAge>,
        now: UnixMillis,
    ) -> Result<T, TokenError> {
        let (signed, signature) =
            token.ok_or(TokenError::Missing)?.rsplit_once('.').ok_or(TokenError::Invalid)?;
        let content = signed.strip_prefix(SIGNED).and_then(|rest| rest.strip_prefix('.'));
        let content = content.ok_or(TokenError::Invalid)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Invalid)?;
        let by = |key: &Hmac<Sha256>| key.clone().chain_update(signed).verify_slice(&signature).is_ok();
        if !self.keys.iter().any(by) {
            return Err(TokenError::Invalid);
        }
        let content = URL_SAFE_NO_PAD.decode(content).map_err(|_| TokenError::Invalid)?;
        unpack(&content, max_age, now)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    #[test]
    fn what_was_signed_is_verified() {
        let signer = Signer::new(&secret('a'), "user");
        let token = signer.sign(&(1, "x"), MaxAge::DEFAULT, NOW).unwrap();
        assert_eq!(signer.verify(Some(&token), None, NOW), Ok((1, "x".to_owned())));
        assert_eq!(signer.verify::<u8>(None, None, NOW), Err(TokenError::Missing));
        let zero = Some(MaxAge::Limited(std::time::Duration::ZERO));
        assert_eq!(signer.verify::<(u8, String)>(Some(&token), zero, NOW), Err(TokenError::Expired));
    }

    /// Python: `hmac.new(hashlib.pbkdf2_hmac("sha256", b"a" * 64, b"user", 1000, 32), b"SFMyNTY." + payload, "sha256")`.
    #[test]
    fn the_format_is_stable() {
        let token = Signer::new(&secret('a'), "user").sign(&"id", MaxAge::DEFAULT, NOW).unwrap();
        assert_eq!(
            token,
            "SFMyNTY.WyJpZCIsMTcwMDAwMDAwMDAwMCw4NjQwMDAwMF0.A5jCOoafIG9Xj7ATO-o1tAmjWe_Yvs-Flfi5LRHyJSY"
        );
    }

    #[test]
    fn every_change_makes_it_invalid() {
        let signer = Signer::new(&secret('a'), "user");
        let token = signer.sign(&1, MaxAge::Infinite, NOW).unwrap();
        for at in 0..token.len() {
            let other = if token.as_bytes()[at] == b'A' { "Z" } else { "A" };
            let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert_eq!(signer.verify::<u8>(Some(&changed), None, NOW), Err(TokenError::Invalid), "{changed}");
        }
        for token in
            ["", ".", "..", "SFMyNTY..", "garbage", &token[..token.len() - 1], &(token.clone() + ".")]
        {
            assert_eq!(signer.verify::<u8>(Some(token), None, NOW), Err(TokenError::Invalid), "{token}");
        }
    }

    #[test]
    fn secret_salt_and_rounds_must_be_the_same() {
        let token = Signer::new(&secret('a'), "user").sign(&1, MaxAge::Infinite, NOW).unwrap();
        let other = |rounds| Signer::with_iterations(&secret('a'), "user", NonZeroU32::new(rounds).unwrap());
        assert_eq!(other(1000).verify(Some(&token), None, NOW), Ok(1));
        for signer in [Signer::new(&secret('b'), "user"), Signer::new(&secret('a'), "other"), other(999)] {
            assert_eq!(signer.verify::<u8>(Some(&token), None, NOW), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn older_secrets_still_verify() {
        let old = Signer::new(&secret('a'), "user");
        let new = Signer::new(&secret('b'), "user").with_previous(&secret('a'));
        let token = old.sign(&1, MaxAge::Infinite, NOW).unwrap();
        assert_eq!(new.verify(Some(&token), None, NOW), Ok(1));
        let token = new.sign(&1, MaxAge::Infinite, NOW).unwrap();
        assert_eq!(old.verify::<u8>(Some(&token), None, NOW), Err(TokenError::Invalid));
    }

    proptest! {
        #[test]
        fn any_text_is_no_token(token in "(SFMyNTY\\.)?[A-Za-z0-9_.=-]{0,60}|\\PC{0,20}") {
            let signer = Signer::with_iterations(&secret('a'), "user", NonZeroU32::MIN);
            prop_assert_eq!(signer.verify::<u8>(Some(&token), None, NOW), Err(TokenError::Invalid));
        }
    }

    fn secret(letter: char) -> SecretKeyBase {
        SecretKeyBase::new(letter.to_string().repeat(64)).unwrap()
    }
}
