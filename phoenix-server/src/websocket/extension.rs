//! Negotiation of permessage-deflate (RFC 7692 §7.1).

use std::fmt;

use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};

use super::DeflateOptions;

/// The agreed parameters of compression; printed as the answer's `sec-websocket-extensions` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct DeflateParams {
    /// The server forgets its window after every message.
    pub(crate) server_no_context_takeover: bool,
    /// The client forgets its window after every message.
    pub(crate) client_no_context_takeover: bool,
    /// Base-2 logarithm of the server's window; 15 unless the client limits it.
    pub(crate) server_max_window_bits: Option<WindowBits>,
    /// Base-2 logarithm of the client's window; 15 unless the client offers less.
    pub(crate) client_max_window_bits: Option<WindowBits>,
}

impl DeflateParams {
    /// Accepts the first acceptable offer in the request, as it is. Offers of other extensions, or with unknown, repeated
    /// or invalid parameters, are passed over.
    pub(crate) fn negotiate(request: &HeaderMap) -> Option<Self> {
        request
            .get_all(SEC_WEBSOCKET_EXTENSIONS)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .find_map(Self::parse_offer)
    }

    /// What remains of an agreement with the options of the mount; a server may ask for less takeover than is offered
    /// (RFC 7692 §7.1.1).
    pub(crate) fn restrict(mut self, options: &DeflateOptions) -> Self {
        self.server_no_context_takeover |= !options.server_context_takeover;
        self.client_no_context_takeover |= !options.client_context_takeover;
        self
    }

    /// The value of the answer's `sec-websocket-extensions` header.
    pub(crate) fn answer(self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("names and numbers are visible ASCII")
    }

    fn parse_offer(offer: &str) -> Option<Self> {
        let mut elements = offer.split(';').map(str::trim);
        if elements.next() != Some(NAME) {
            return None;
        }
        let mut params = Self::default();
        for element in elements.filter(|element| !element.is_empty()) {
            let (name, value) = match element.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (element, None),
            };
            match (name, value) {
                (SERVER_NO_TAKEOVER, None) => set_flag(&mut params.server_no_context_takeover)?,
                (CLIENT_NO_TAKEOVER, None) => set_flag(&mut params.client_no_context_takeover)?,
                (SERVER_BITS, Some(bits)) => {
                    set_bits(&mut params.server_max_window_bits, WindowBits::parse(bits)?)?;
                }
                (CLIENT_BITS, Some(bits)) => {
                    set_bits(&mut params.client_max_window_bits, WindowBits::parse(bits)?)?;
                }
                (CLIENT_BITS, None) => {
                    set_bits(&mut params.client_max_window_bits, WindowBits::MAX)?;
                }
                _ => return None,
            }
        }
        Some(params)
    }
}

impl fmt::Display for DeflateParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            write!(f, ";{SERVER_NO_TAKEOVER}")?;
        }
        if self.client_no_context_takeover {
            write!(f, ";{CLIENT_NO_TAKEOVER}")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, ";{SERVER_BITS}={}", bits.0)?;
        }
        if let Some(bits) = self.client_max_window_bits {
            write!(f, ";{CLIENT_BITS}={}", bits.0)?;
        }
        Ok(())
    }
}

/// The base-2 logarithm of a window's size: 8 to 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WindowBits(u8);

impl WindowBits {
    pub(crate) const MAX: Self = Self(15);

    /// What zlib is to be told: it has no window of 8 bits, but never looks back further than 2^8 in one of 9.
    pub(crate) fn for_zlib(self) -> u8 {
        self.0.max(9)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(bits @ 8..=15) => Some(Self(bits)),
            _ => None,
        }
    }
}

/// `None` if the flag is set already.
fn set_flag(flag: &mut bool) -> Option<()> {
    let was_set = std::mem::replace(flag, true);
    (!was_set).then_some(())
}

/// `None` if the bits are set already.
fn set_bits(target: &mut Option<WindowBits>, bits: WindowBits) -> Option<()> {
    target.replace(bits).is_none().then_some(())
}

const NAME: &str = "permessage-deflate";
const SERVER_NO_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::testing::Recording;

    #[test]
    fn every_recorded_offer_gets_the_recorded_answer() {
        let mut agreed = 0;
        for exchange in Recording::load("ws_compress.v2").upgrades() {
            if exchange.path == "/socket/websocket" {
                // The one mount in this recording that does not enable compression.
                continue;
            }
            let answer = DeflateParams::negotiate(&exchange.request).map(DeflateParams::answer);
            assert_eq!(answer.as_ref(), exchange.response.get(SEC_WEBSOCKET_EXTENSIONS), "{}", exchange.note);
            agreed += usize::from(answer.is_some());
        }
        assert!(agreed > 5, "{agreed} agreements");
    }

    #[test]
    fn bad_offers_are_passed_over() {
        for offer in [
            "",
            "deflate",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=x",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        ] {
            assert_eq!(negotiate(&[offer]), None, "{offer}");
        }
    }

    #[test]
    fn offers_may_be_spread_over_headers() {
        let params = negotiate(&[
            "foo",
            "permessage-deflate; x",
            "bar, permessage-deflate;server_max_window_bits = 8",
        ]);

        assert_eq!(
            params.map(|it| it.to_string()).as_deref(),
            Some("permessage-deflate;server_max_window_bits=8")
        );
    }

    fn negotiate(offers: &[&'static str]) -> Option<DeflateParams> {
        let mut headers = HeaderMap::new();
        for offer in offers {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(offer));
        }
        DeflateParams::negotiate(&headers)
    }
}
