use std::fmt;
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::token::{ITERATIONS, pack, unpack};
use super::{MaxAge, SecretKeyBase, TokenDataError, TokenError, UnixMillis};

/// Encrypts data so that clients can neither read nor forge it (FEATURES N3): XChaCha20-Poly1305 instead of HMAC,
/// otherwise like [`Signer`](super::Signer).
///
/// A token is `WEMyMFA.<nonce>.<sealed>`: three parts in url-safe base64 without padding, the first the tag of the cipher.
#[derive(Clone)]
pub struct Encryptor {
    keys: Vec<XChaCha20Poly1305>,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

const ENCRYPTED: &str = "WEMyMFA";
const NONCE_LENGTH: usize = 24;

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
        let content = pack(data, max_age, now)?;
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

impl fmt::Debug for Encryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryptor").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
    const NONCE: [u8; NONCE_LENGTH] = [7; NONCE_LENGTH];

    #[test]
    fn encrypted_data_cannot_be_read() {
        let encryptor = Encryptor::new(&secret('a'), "user");
        let token = encryptor.encrypt(&"a long and secret text", MaxAge::DEFAULT, NONCE, NOW).unwrap();
        assert_eq!(encryptor.decrypt(Some(&token), None, NOW), Ok("a long and secret text".to_owned()));
        assert_eq!(encryptor.decrypt::<String>(None, None, NOW), Err(TokenError::Missing));
        let zero = Some(MaxAge::Limited(std::time::Duration::ZERO));
        assert_eq!(encryptor.decrypt::<String>(Some(&token), zero, NOW), Err(TokenError::Expired));
        for part in token.split('.') {
            let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"secret"));
        }
        let other =
            encryptor.encrypt(&"a long and secret text", MaxAge::DEFAULT, [8; NONCE_LENGTH], NOW).unwrap();
        assert_ne!(token, other);
    }

    #[test]
    fn every_change_makes_it_invalid() {
        let encryptor = Encryptor::new(&secret('a'), "user");
        let token = encryptor.encrypt(&1, MaxAge::Infinite, NONCE, NOW).unwrap();
        for at in 0..token.len() {
            let other = if token.as_bytes()[at] == b'A' { "Z" } else { "A" };
            let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert_eq!(
                encryptor.decrypt::<u8>(Some(&changed), None, NOW),
                Err(TokenError::Invalid),
                "{changed}"
            );
        }
        for token in
            ["", ".", "..", "WEMyMFA..", "garbage", &token[..token.len() - 1], &(token.clone() + ".")]
        {
            assert_eq!(encryptor.decrypt::<u8>(Some(token), None, NOW), Err(TokenError::Invalid), "{token}");
        }
    }

    #[test]
    fn secret_salt_and_rounds_must_be_the_same() {
        let token = Encryptor::new(&secret('a'), "user").encrypt(&1, MaxAge::Infinite, NONCE, NOW).unwrap();
        let other =
            |rounds| Encryptor::with_iterations(&secret('a'), "user", NonZeroU32::new(rounds).unwrap());
        assert_eq!(other(1000).decrypt(Some(&token), None, NOW), Ok(1));
        for encryptor in
            [Encryptor::new(&secret('b'), "user"), Encryptor::new(&secret('a'), "other"), other(999)]
        {
            assert_eq!(encryptor.decrypt::<u8>(Some(&token), None, NOW), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn older_secrets_still_open() {
        let old = Encryptor::new(&secret('a'), "user");
        let new = Encryptor::new(&secret('b'), "user").with_previous(&secret('a'));
        let token = old.encrypt(&1, MaxAge::Infinite, NONCE, NOW).unwrap();
        assert_eq!(new.decrypt(Some(&token), None, NOW), Ok(1));
        let token = new.encrypt(&1, MaxAge::Infinite, NONCE, NOW).unwrap();
        assert_eq!(old.decrypt::<u8>(Some(&token), None, NOW), Err(TokenError::Invalid));
    }

    proptest! {
        #[test]
        fn any_text_is_no_token(token in "(WEMyMFA\\.)?[A-Za-z0-9_.=-]{0,60}|\\PC{0,20}") {
            let encryptor = Encryptor::with_iterations(&secret('a'), "user", NonZeroU32::MIN);
            prop_assert_eq!(encryptor.decrypt::<u8>(Some(&token), None, NOW), Err(TokenError::Invalid));
        }
    }

    fn secret(letter: char) -> SecretKeyBase {
        SecretKeyBase::new(letter.to_string().repeat(64)).unwrap()
    }
}
