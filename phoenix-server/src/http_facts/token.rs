use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

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

/// Rounds of PBKDF2 when a key is derived (FEATURES N7).
pub(super) const ITERATIONS: NonZeroU32 = NonZeroU32::new(1000).unwrap();

/// What is signed or encrypted: data, time of signing in milliseconds, maximal age in milliseconds if limited.
#[derive(Serialize, Deserialize)]
struct Content<T>(T, UnixMillis, Option<u64>);

impl MaxAge {
    /// One day.
    pub const DEFAULT: Self = Self::Limited(Duration::from_secs(86_400));

    /// Whether what was signed at one time is too old at another.
    pub fn is_over(self, signed_at: UnixMillis, now: UnixMillis) -> bool {
        is_over(self.millis(), signed_at, now)
    }

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

pub(super) fn pack<T: Serialize>(
    data: &T,
    max_age: MaxAge,
    now: UnixMillis,
) -> Result<Vec<u8>, TokenDataError> {
    Ok(serde_json::to_vec(&Content(data, now, max_age.millis()))?)
}

pub(super) fn unpack<T: DeserializeOwned>(
    content: &[u8],
    max_age: Option<MaxAge>,
    now: UnixMillis,
) -> Result<T, TokenError> {
    let Content(data, signed_at, own_max_age) =
        serde_json::from_slice(content).map_err(|_| TokenError::Invalid)?;
    let max_age = max_age.map_or(own_max_age, MaxAge::millis);
    if is_over(max_age, signed_at, now) { Err(TokenError::Expired) } else { Ok(data) }
}

fn is_over(max_age: Option<u64>, signed_at: UnixMillis, now: UnixMillis) -> bool {
    match max_age {
        None => false,
        Some(0) => true,
        Some(max_age) => signed_at.0.saturating_add(max_age) < now.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    #[test]
    fn content_expires_after_its_age() {
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
            (MaxAge::default(), None, later(86_400_000), true),
            (MaxAge::default(), None, later(86_400_001), false),
            (MaxAge::Limited(Duration::MAX), None, UnixMillis(u64::MAX), true),
            (limited(10), None, UnixMillis(0), true),
        ] {
            let expected = if valid { Ok(1) } else { Err(TokenError::Expired) };
            let content = pack(&1, own, NOW).unwrap();
            assert_eq!(unpack(&content, wanted, at), expected, "{own:?} {wanted:?} {at:?}");
            assert_eq!(wanted.unwrap_or(own).is_over(NOW, at), !valid, "{own:?} {wanted:?} {at:?}");
        }
    }

    #[test]
    fn other_content_is_invalid() {
        let content = pack(&1, MaxAge::Infinite, NOW).unwrap();
        assert_eq!(unpack::<String>(&content, None, NOW), Err(TokenError::Invalid));
        for content in [&b""[..], b"[1]", b"[1,-1,null]", b"[1,1,null,1]", b"\xff"] {
            assert_eq!(unpack::<u8>(content, None, NOW), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn data_without_a_json_form_is_refused() {
        let unnamed = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(pack(&unnamed, MaxAge::Infinite, NOW).is_err());
    }
}
