use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The secret of a session that protects it against requests forged by other sites (protocol §7.6): 24 characters.
///
/// The session keeps the state. Pages get a [masked](Self::mask) form of it, another one each time, and send it back as
/// parameter `_csrf_token`.
#[derive(Clone, PartialEq, Eq)]
pub struct CsrfState(String);

/// What a session holds is no state: it has not 24 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a CSRF state has {STATE_LENGTH} bytes")]
pub struct InvalidCsrfState;

const STATE_LENGTH: usize = 24;
const RANDOM_LENGTH: usize = 18;

impl CsrfState {
    /// A new state from random bytes.
    pub fn new(random: [u8; RANDOM_LENGTH]) -> Self {
        Self(URL_SAFE.encode(random))
    }

    /// The form that the session keeps.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A token for a page, 56 characters: the state under a mask made of the random bytes, and the mask.
    pub fn mask(&self, random: [u8; RANDOM_LENGTH]) -> String {
        let mask = URL_SAFE.encode(random);
        let mut token = URL_SAFE.encode(self.masked(mask.as_bytes()));
        token.push_str(&mask);
        token
    }

    /// Whether the token was made from this state; the time it takes does not tell how much of it is right.
    pub fn accepts(&self, token: &str) -> bool {
        const MASKED_LENGTH: usize = STATE_LENGTH.div_ceil(3) * 4;
        let Some((masked, mask)) = token.as_bytes().split_at_checked(MASKED_LENGTH) else {
            return false;
        };
        match URL_SAFE.decode(masked) {
            Ok(masked) if mask.len() == STATE_LENGTH => self.masked(mask).ct_eq(&masked).into(),
            _ => false,
        }
    }

    fn masked(&self, mask: &[u8]) -> Vec<u8> {
        self.0.bytes().zip(mask).map(|(state, mask)| state ^ mask).collect()
    }
}

impl FromStr for CsrfState {
    type Err = InvalidCsrfState;

    fn from_str(state: &str) -> Result<Self, InvalidCsrfState> {
        if state.len() == STATE_LENGTH { Ok(Self(state.to_owned())) } else { Err(InvalidCsrfState) }
    }
}

impl std::fmt::Debug for CsrfState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CsrfState(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// State and mask are 18 bytes in base64; the first 32 characters are base64 of the exclusive or of both texts.
    #[test]
    fn tokens_have_the_known_shape() {
        let state = CsrfState::new([1; 18]);
        assert_eq!(state.as_str(), "AQEBAQEBAQEBAQEBAQEBAQEB");
        assert_eq!(state.mask([2; 18]), "ADYMAQA2DAEANgwBADYMAQA2DAEANgwBAgICAgICAgICAgICAgICAgIC");
        assert_eq!(state.mask([2; 18]).len(), 56);
    }

    #[test]
    fn only_tokens_of_the_same_state_are_accepted() {
        let state = CsrfState::new([1; 18]);
        let token = state.mask([9; 18]);
        assert!(state.accepts(&token));
        assert!(state.accepts(&state.mask([3; 18])));
        assert!(state.as_str().parse::<CsrfState>().unwrap().accepts(&token));
        assert!(!CsrfState::new([2; 18]).accepts(&token));
        for token in
            ["", "x", &token[1..], &token[..55], &(token.clone() + "A"), state.as_str(), &"é".repeat(28)]
        {
            assert!(!state.accepts(token), "{token}");
        }
    }

    #[test]
    fn a_state_has_24_bytes() {
        assert_eq!("short".parse::<CsrfState>(), Err(InvalidCsrfState));
        assert_eq!("x".repeat(25).parse::<CsrfState>(), Err(InvalidCsrfState));
    }

    proptest! {
        #[test]
        fn any_mask_works_and_no_other_text(random: [u8; 18], mask: [u8; 18], text in "[A-Za-z0-9_-]{56}|\\PC{0,60}") {
            let state = CsrfState::new(random);
            prop_assert!(state.accepts(&state.mask(mask)));
            prop_assert!(!state.accepts(&text));
        }
    }
}
