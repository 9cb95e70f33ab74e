use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

/// What a WebSocket does with the header `sec-websocket-protocol` (protocol §7.4, §7.5, FEATURES D20).
///
/// By default nothing: the header is ignored and the answer has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subprotocols {
    supported: Option<Vec<HeaderValue>>,
    auth_token: bool,
}

/// A name that cannot be a subprotocol: it must be a token of HTTP, such as `sip` or `v2.chat`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no name of a subprotocol")]
pub struct InvalidSubprotocol(String);

/// The outcome of an accepted offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiation {
    /// The authentication token that the client sent along, decoded.
    pub auth_token: Option<String>,
    /// The subprotocol for the header of the answer; `None` means no header.
    pub chosen: Option<HeaderValue>,
    offer: Offer,
}

/// The offer is refused: HTTP 403 with an empty body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubprotocolError {
    /// The client offers subprotocols, but none that is supported.
    #[error("none of the offered subprotocols is supported")]
    Unsupported,
    /// The authentication token is not UTF-8 in base64.
    #[error("the authentication token cannot be decoded")]
    UndecodableToken,
}

/// What is left of the first line of the header when the token is taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Offer {
    Unchanged,
    Replaced(HeaderValue),
    Dropped,
}

const TOKEN_PREFIX: &str = "base64url.bearer.phx.";
const PHOENIX: HeaderValue = HeaderValue::from_static("phoenix");

/// `btoa` leaves the padding to the caller; the url-safe letters are translated before (quirk Q19).
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Subprotocols {
    /// Accepts only clients that offer none or at least one of these; the first that the client offers is chosen.
    pub fn supporting<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidSubprotocol> {
        let parse = |name: &str| {
            // The names of headers have the syntax of a token, but are kept in lower case.
            let valid = HeaderName::from_bytes(name.as_bytes()).is_ok();
            valid
                .then(|| HeaderValue::from_str(name).ok())
                .flatten()
                .ok_or_else(|| InvalidSubprotocol(name.to_owned()))
        };
        let supported = names.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { supported: Some(supported), auth_token: false })
    }

    /// Looks for an authentication token; `phoenix` becomes the first of the supported subprotocols.
    pub fn with_auth_token(mut self) -> Self {
        if !self.auth_token {
            self.auth_token = true;
            self.supported.get_or_insert_default().insert(0, PHOENIX);
        }
        self
    }

    /// Takes the token out of the offer and chooses a subprotocol from the rest.
    ///
    /// Only the first line of the header is looked at. If it has no token or several, it is left alone.
    pub fn negotiate(&self, headers: &HeaderMap) -> Result<Negotiation, SubprotocolError> {
        let Some(supported) = &self.supported else {
            return Ok(Negotiation { auth_token: None, chosen: None, offer: Offer::Unchanged });
        };
        let Some(header) = headers.get(SEC_WEBSOCKET_PROTOCOL) else {
            return Ok(Negotiation { auth_token: None, chosen: None, offer: Offer::Unchanged });
        };
        let header = header.to_str().map_err(|_| SubprotocolError::Unsupported)?;
        let mut offered: Vec<&str> = header.split(',').map(str::trim).collect();

        let token = if self.auth_token { take_token(&mut offered)? } else { None };
        let offer = match &token {
            None => Offer::Unchanged,
            Some(_) if offered.is_empty() => Offer::Dropped,
            Some(_) => Offer::Replaced(join(&offered)),
        };
        let chosen = match offer {
            Offer::Dropped => None,
            Offer::Unchanged | Offer::Replaced(_) => {
                let chosen = supported.iter().find(|name| offered.iter().any(|offered| *offered == **name));
                Some(chosen.cloned().ok_or(SubprotocolError::Unsupported)?)
            }
        };
        Ok(Negotiation { auth_token: token, chosen, offer })
    }
}

impl Negotiation {
    /// The lines of the header `sec-websocket-protocol` as the application sees them: without the token.
    pub fn remaining_offer<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a HeaderValue> {
        let (first, skipped) = match &self.offer {
            Offer::Unchanged => (None, 0),
            Offer::Replaced(rest) => (Some(rest), 1),
            Offer::Dropped => (None, 1),
        };
        first.into_iter().chain(headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter().skip(skipped))
    }
}

/// Removes the only entry that is a token.
fn take_token(offered: &mut Vec<&str>) -> Result<Option<String>, SubprotocolError> {
    let mut tokens = offered.iter().enumerate().filter(|(_, entry)| entry.starts_with(TOKEN_PREFIX));
    let (Some((at, entry)), None) = (tokens.next(), tokens.next()) else {
        return Ok(None);
    };
    let encoded = entry[TOKEN_PREFIX.len()..].replace('-', "+").replace('_', "/");
    let decoded = BASE64.decode(encoded).map_err(|_| SubprotocolError::UndecodableToken)?;
    let token = String::from_utf8(decoded).map_err(|_| SubprotocolError::UndecodableToken)?;
    offered.remove(at);
    Ok(Some(token))
}

fn join(offered: &[&str]) -> HeaderValue {
    HeaderValue::from_str(&offered.join(", ")).expect("parts of a header make a header")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_default_the_header_is_ignored() {
        for offer in [&[][..], &["phoenix, base64url.bearer.phx.!!!"], &[""]] {
            assert_eq!(outcome(&Subprotocols::default(), offer), Ok((None, None, offer.to_vec().join("|"))));
        }
    }

    #[test]
    fn the_order_of_the_server_decides() {
        let subprotocols = Subprotocols::supporting(["foo", "bar"]).unwrap();
        let chosen = |offer: &[&str]| outcome(&subprotocols, offer).map(|(_, chosen, _)| chosen);
        assert_eq!(chosen(&[]), Ok(None));
        assert_eq!(chosen(&["foo"]), Ok(Some("foo".to_owned())));
        assert_eq!(chosen(&["bar, foo"]), Ok(Some("foo".to_owned())));
        assert_eq!(chosen(&["x,bar"]), Ok(Some("bar".to_owned())));
        assert_eq!(chosen(&["bar", "foo"]), Ok(Some("bar".to_owned())));
        for offer in ["", "mqtt", "FOO", "foobar", "base64url.bearer.phx.dA", "\u{e9}"] {
            assert_eq!(chosen(&[offer]), Err(SubprotocolError::Unsupported), "{offer}");
        }
        let none = Subprotocols::supporting([]).unwrap();
        assert_eq!(outcome(&none, &["foo"]), Err(SubprotocolError::Unsupported));
    }

    #[test]
    fn the_token_is_taken_out_of_the_offer() {
        let subprotocols = Subprotocols::supporting(["sip"]).unwrap().with_auth_token();
        for (offer, token, chosen, remaining) in [
            (&[][..], None, None, ""),
            (
                &["phoenix, base64url.bearer.phx.Z29vZCB0b2tlbg"],
                Some("good token"),
                Some("phoenix"),
                "phoenix",
            ),
            (
                &["phoenix, base64url.bearer.phx.Z29vZCB0b2tlbg=="],
                Some("good token"),
                Some("phoenix"),
                "phoenix",
            ),
            (&["phoenix,base64url.bearer.phx.w7vDv8K-fn4_Pw"], Some("ûÿ¾~~??"), Some("phoenix"), "phoenix"),
            (&["phoenix,base64url.bearer.phx.w7vDv8K+fn4/Pw"], Some("ûÿ¾~~??"), Some("phoenix"), "phoenix"),
            (&["base64url.bearer.phx.dA"], Some("t"), None, ""),
            (&["base64url.bearer.phx."], Some(""), None, ""),
            (&["phoenix"], None, Some("phoenix"), "phoenix"),
            (&["sip, base64url.bearer.phx.dA"], Some("t"), Some("sip"), "sip"),
            (&["sip,base64url.bearer.phx.dA,phoenix"], Some("t"), Some("phoenix"), "sip, phoenix"),
            (
                &["phoenix, base64url.bearer.phx.dDE, base64url.bearer.phx.dDI"],
                None,
                Some("phoenix"),
                "phoenix, base64url.bearer.phx.dDE, base64url.bearer.phx.dDI",
            ),
            (
                &["phoenix", "base64url.bearer.phx.dA"],
                None,
                Some("phoenix"),
                "phoenix|base64url.bearer.phx.dA",
            ),
        ] {
            let expected = (token.map(str::to_owned), chosen.map(str::to_owned), remaining.to_owned());
            assert_eq!(outcome(&subprotocols, offer), Ok(expected), "{offer:?}");
        }
    }

    #[test]
    fn tokens_that_cannot_be_decoded_are_refused() {
        let subprotocols = Subprotocols::default().with_auth_token();
        for token in ["!!!!", "a", "d=A", "_w", "/w=="] {
            let offer = format!("phoenix, base64url.bearer.phx.{token}");
            assert_eq!(outcome(&subprotocols, &[&offer]), Err(SubprotocolError::UndecodableToken), "{token}");
        }
        assert_eq!(
            outcome(&subprotocols, &["foo, base64url.bearer.phx.dA"]),
            Err(SubprotocolError::Unsupported)
        );
    }

    #[test]
    fn names_are_tokens() {
        for name in ["", "a b", "a,b", "\u{e9}"] {
            assert_eq!(Subprotocols::supporting([name]), Err(InvalidSubprotocol(name.to_owned())));
        }
        assert!(Subprotocols::supporting(["V2.chat"]).is_ok());
    }

    proptest! {
        #[test]
        fn any_offer_is_accepted_or_refused(offer in "(phoenix|base64url\\.bearer\\.phx\\.|[a-zA-Z+/_=-]{1,4}|,| |[!-~]){0,12}") {
            let subprotocols = Subprotocols::default().with_auth_token();
            if let Ok((_, chosen, remaining)) = outcome(&subprotocols, &[&offer]) {
                prop_assert_eq!(chosen.is_some(), !remaining.is_empty());
            }
        }
    }

    type Outcome = (Option<String>, Option<String>, String);

    /// Token, chosen subprotocol and the remaining lines joined with `|`.
    fn outcome(subprotocols: &Subprotocols, offer: &[&str]) -> Result<Outcome, SubprotocolError> {
        let lines = offer
            .iter()
            .map(|line| (SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_bytes(line.as_bytes()).unwrap()));
        let mut headers = HeaderMap::new();
        lines.for_each(|(name, value)| {
            headers.append(name, value);
        });
        let negotiation = subprotocols.negotiate(&headers)?;
        let remaining: Vec<&str> =
            negotiation.remaining_offer(&headers).map(|line| line.to_str().unwrap()).collect();
        let chosen = negotiation.chosen.as_ref().map(|name| name.to_str().unwrap().to_owned());
        Ok((negotiation.auth_token.clone(), chosen, remaining.join("|")))
    }
}
