use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;

use super::SecretKeyBase;

/// Milliseconds since 1970-01-01 UTC. Nothing here reads a clock: the caller tells the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

/// How long a token is valid after it was signed (FEATURES N5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxAge {
    /// For that long; a zero duration is always expired.
    Limited(Duration),
    /// Forever.
    Infinite,
}

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

/// Encrypts data so that clients can neither read nor forge it (FEATURES N3): XChaCha20-Poly1305 instead of HMAC,
/// otherwise like [`Signer`].
#[derive(Clone)]
pub struct Encryptor {
    keys: Vec<XChaCha20Poly1305>,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

/// A token that is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is none.
    #[error("the token is missing")]
    Missing,
    /// It is malformed, changed, made with another secret or salt, or for another type of data.
    #[error("the token is invalid")]
    Invalid,
    /// It was valid, but is too old.
    #[error("the token is expired")]
    Expired,
}

/// The data cannot be represented as JSON.
#[derive(Debug, Error)]
#[error("the data of a token cannot be encoded")]
pub struct TokenDataError(#[from] serde_json::Error);

/// What is signed or encrypted: data, time of signing in milliseconds, maximal age in milliseconds if limited.
#[derive(Serialize, Deserialize)]
struct Content<T>(T, UnixMillis, Option<u64>);

const SIGNED: &str = "SFMyNTY";
const ENCRYPTED: &str = "WEMyMFA";
const NONCE_LENGTH: usize = 24;
const ITERATIONS: NonZeroU32 = NonZeroU32::new(1000).unwrap();

impl MaxAge {
    /// One day.
    pub const DEFAULT: Self = Self::Limited(Duration::from_secs(86_400));

    fn millis(self) -> Option<u64> {
        match self {
            Self::Limited(age) => Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            Self::Infinite => None,
        }
    }
}

impl Default for MaxAge {
    fn default() -> Self {
        Self::DEFAULT
    }
}

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
        let content = serde_json::to_vec(&Content(data, now, max_age.millis()))?;
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

impl Encryptor {
    /// An encryptor whose tokens only those of the same secret and salt can open.
    pub fn new(secret: &SecretKeyBase, salt: &str) -> Self {
        Self::with_iterations(secret, salt, ITERATIONS)
    }

    /// An encryptor that derives its key in another number of rounds of PBKDF2 than 1000.
    pub fn with_iterations(secret: &SecretKeyBase, salt: &str, iterations: NonZeroU32) -> Self {
        // A signer with the same salt has another key.
        let salt = [b"encrypt:", salt.as_bytes()].concat();
        Self { keys: Vec::new(), salt, iterations }.with_previous(secret)
    }

    /// Also opens tokens that were encrypted with an older secret; new ones are still encrypted with the first.
    pub fn with_previous(mut self, secret: &SecretKeyBase) -> Self {
        let key = secret.derive(&self.salt, self.iterations);
        self.keys.push(XChaCha20Poly1305::new(&key.into()));
        self
    }

    /// Encrypts data at the time `now`. The nonce must be random; it must never be used twice.
    ///
    /// # Errors
    /// [`TokenDataError`] if the data has no JSON form.
    pub fn encrypt<T: Serialize>(
        &self,
        data: &T,
        max_age: MaxAge,
        nonce: [u8; NONCE_LENGTH],
        now: UnixMillis,
    ) -> Result<String, TokenDataError> {
        let content = serde_json::to_vec(&Content(data, now, max_age.millis()))?;
        let payload = Payload { msg: &content, aad: ENCRYPTED.as_bytes() };
        let sealed =
            self.keys[0].encrypt(&nonce.into(), payload).expect("the content is shorter than 256 GiB");
        Ok(format!("{ENCRYPTED}.{}.{}", URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// The data of a token, unless it is expired at the time `now`; `max_age` overrides the one it was made with.
    pub fn decrypt<T: DeserializeOwned>(
        &self,
        token: Option<&str>,
        max_age: Option<MaxAge>,
        now: UnixMillis,
    ) -> Result<T, TokenError> {
        let mut parts = token.ok_or(TokenError::Missing)?.split('.');
        let (Some(ENCRYPTED), Some(nonce), Some(sealed), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Invalid);
        };
        let nonce = URL_SAFE_NO_PAD.decode(nonce).map_err(|_| TokenError::Invalid)?;
        let nonce: [u8; NONCE_LENGTH] = nonce.try_into().map_err(|_| TokenError::Invalid)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| TokenError::Invalid)?;
        let open = |key: &XChaCha20Poly1305| {
            key.decrypt(&XNonce::from(nonce), Payload { msg: &sealed, aad: ENCRYPTED.as_bytes() }).ok()
        };
        let content = self.keys.iter().find_map(open).ok_or(TokenError::Invalid)?;
        unpack(&content, max_age, now)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Encryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryptor").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

fn unpack<T: DeserializeOwned>(
    content: &[u8],
    max_age: Option<MaxAge>,
    now: UnixMillis,
) -> Result<T, TokenError> {
    let Content(data, signed_at, own_max_age) =
        serde_json::from_slice(content).map_err(|_| TokenError::Invalid)?;
    let expired = match max_age.map_or(own_max_age, MaxAge::millis) {
        None => false,
        Some(0) => true,
        Some(max_age) => signed_at.0.saturating_add(max_age) < now.0,
    };
    if expired { Err(TokenError::Expired) } else { Ok(data) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
    const NONCE: [u8; NONCE_LENGTH] = [7; NONCE_LENGTH];

    #[test]
    fn what_was_signed_is_verified() {
        let signer = Signer::new(&secret('a'), "user");
        let token = signer.sign(&(1, "x"), MaxAge::DEFAULT, NOW).unwrap();
        assert_eq!(signer.verify(Some(&token), None, NOW), Ok((1, "x".to_owned())));
        assert!(token.starts_with("SFMyNTY."));
        assert_eq!(token.split('.').count(), 3);
        assert_eq!(signer.verify::<u8>(None, None, NOW), Err(TokenError::Missing));
        assert_eq!(signer.verify::<u8>(Some(&token), None, NOW), Err(TokenError::Invalid));
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
        let encryptor = Encryptor::new(&secret('a'), "user");
        let token = signer.sign(&1, MaxAge::Infinite, NOW).unwrap();
        let encrypted = encryptor.encrypt(&1, MaxAge::Infinite, NONCE, NOW).unwrap();
        for at in 0..token.len() {
            let changed = changed_at(&token, at);
            assert_eq!(signer.verify::<u8>(Some(&changed), None, NOW), Err(TokenError::Invalid), "{changed}");
        }
        for at in 0..encrypted.len() {
            let changed = changed_at(&encrypted, at);
            assert_eq!(
                encryptor.decrypt::<u8>(Some(&changed), None, NOW),
                Err(TokenError::Invalid),
                "{changed}"
            );
        }
        for token in [
            "",
            ".",
            "..",
            "SFMyNTY..",
            "WEMyMFA..",
            "garbage",
            &token[..token.len() - 1],
            &(token.clone() + "."),
        ] {
            assert_eq!(signer.verify::<u8>(Some(token), None, NOW), Err(TokenError::Invalid), "{token}");
            assert_eq!(encryptor.decrypt::<u8>(Some(token), None, NOW), Err(TokenError::Invalid), "{token}");
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

        let old = Encryptor::new(&secret('a'), "user");
        let new = Encryptor::new(&secret('b'), "user").with_previous(&secret('a'));
        let token = old.encrypt(&1, MaxAge::Infinite, NONCE, NOW).unwrap();
        assert_eq!(new.decrypt(Some(&token), None, NOW), Ok(1));
        let token = new.encrypt(&1, MaxAge::Infinite, NONCE, NOW).unwrap();
        assert_eq!(old.decrypt::<u8>(Some(&token), None, NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn tokens_expire_after_their_age() {
        let limited = |millis| MaxAge::Limited(Duration::from_millis(millis));
        let later = |millis| UnixMillis(NOW.0 + millis);
        for (own, wanted, at, valid) in [
            (limited(1500), None, later(1500), true),
            (limited(1500), None, later(1501), false),
            (limited(0), None, NOW, false),
            (limited(1500), Some(limited(0)), NOW, false),
            (limited(0), Some(limited(1)), NOW, true),
            (limited(1500), Some(MaxAge::Infinite), UnixMillis(u64::MAX), true),
            (MaxAge::Infinite, None, UnixMillis(u64::MAX), true),
            (MaxAge::Infinite, Some(limited(10)), later(11), false),
            (MaxAge::DEFAULT, None, later(86_400_000), true),
            (MaxAge::DEFAULT, None, later(86_400_001), false),
            (MaxAge::Limited(Duration::MAX), None, UnixMillis(u64::MAX), true),
            (limited(10), None, UnixMillis(0), true),
        ] {
            let expected = if valid { Ok(1) } else { Err(TokenError::Expired) };
            let signer = Signer::new(&secret('a'), "user");
            let token = signer.sign(&1, own, NOW).unwrap();
            assert_eq!(signer.verify(Some(&token), wanted, at), expected, "{own:?} {wanted:?} {at:?}");
            let encryptor = Encryptor::new(&secret('a'), "user");
            let token = encryptor.encrypt(&1, own, NONCE, NOW).unwrap();
            assert_eq!(encryptor.decrypt(Some(&token), wanted, at), expected, "{own:?} {wanted:?} {at:?}");
        }
    }

    #[test]
    fn encrypted_data_cannot_be_read() {
        let encryptor = Encryptor::new(&secret('a'), "user");
        let token = encryptor.encrypt(&"a long and secret text", MaxAge::DEFAULT, NONCE, NOW).unwrap();
        assert_eq!(encryptor.decrypt(Some(&token), None, NOW), Ok("a long and secret text".to_owned()));
        assert_eq!(encryptor.decrypt::<String>(None, None, NOW), Err(TokenError::Missing));
        for part in token.split('.') {
            let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"secret"));
        }
        let other =
            encryptor.encrypt(&"a long and secret text", MaxAge::DEFAULT, [8; NONCE_LENGTH], NOW).unwrap();
        assert_ne!(token, other);
    }

    #[test]
    fn data_without_a_json_form_is_refused() {
        let unnamed = std::collections::BTreeMap::from([((1, 2), 3)]);
        let signer = Signer::new(&secret('a'), "user");
        assert!(signer.sign(&unnamed, MaxAge::DEFAULT, NOW).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_no_token(token in "(SFMyNTY\\.|WEMyMFA\\.)?[A-Za-z0-9_.=-]{0,60}|\\PC{0,20}") {
            let signer = Signer::with_iterations(&secret('a'), "user", NonZeroU32::MIN);
            prop_assert_eq!(signer.verify::<u8>(Some(&token), None, NOW), Err(TokenError::Invalid));
            let encryptor = Encryptor::with_iterations(&secret('a'), "user", NonZeroU32::MIN);
            prop_assert_eq!(encryptor.decrypt::<u8>(Some(&token), None, NOW), Err(TokenError::Invalid));
        }
    }

    fn secret(letter: char) -> SecretKeyBase {
        SecretKeyBase::new(letter.to_string().repeat(64)).unwrap()
    }

    /// The token with one character replaced by another of the alphabet, so that every bit of it may change.
    fn changed_at(token: &str, at: usize) -> String {
        let other = if token.as_bytes()[at] == b'A' { "Z" } else { "A" };
        format!("{}{other}{}", &token[..at], &token[at + 1..])
    }
}
