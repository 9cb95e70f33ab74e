//! Validation of an upgrade request (RFC 6455 §4.2).

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use sha1::{Digest as _, Sha1};
use thiserror::Error;

/// Why a request is no WebSocket upgrade: a 400 whose body is the `Display` of this (protocol §7.2 step 10).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum UpgradeError {
    #[error("HTTP version {} unsupported", version_name(*.0))]
    UnsupportedHttp(Version),
    #[error("'connection' header must contain 'upgrade', got {0}")]
    ConnectionNotUpgrade(HeaderValues),
    #[error("'upgrade' header must contain 'websocket', got {0}")]
    UpgradeNotWebSocket(HeaderValues),
    #[error("'sec-websocket-key' header is absent")]
    KeyAbsent,
    #[error("'sec-websocket-version' header must equal '13', got {0}")]
    VersionNot13(HeaderValues),
}

/// The values of a header in the request, one per line; printed as Elixir prints a list of strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderValues(Vec<HeaderValue>);

/// Validates an upgrade request and returns the value of the answer's `sec-websocket-accept` header.
///
/// The method and the presence of `Host` are the concern of earlier steps. The key may be anything.
pub(crate) fn accept_key(version: Version, headers: &HeaderMap) -> Result<HeaderValue, UpgradeError> {
    if version != Version::HTTP_11 {
        return Err(UpgradeError::UnsupportedHttp(version));
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(UpgradeError::ConnectionNotUpgrade(HeaderValues::of(headers, &CONNECTION)));
    }
    if !has_token(headers, &UPGRADE, "websocket") {
        return Err(UpgradeError::UpgradeNotWebSocket(HeaderValues::of(headers, &UPGRADE)));
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
        return Err(UpgradeError::KeyAbsent);
    };
    let versions = HeaderValues::of(headers, &SEC_WEBSOCKET_VERSION);
    if versions.0 != ["13"] {
        return Err(UpgradeError::VersionNot13(versions));
    }
    Ok(derive_accept(key))
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|element| element.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

fn derive_accept(key: &HeaderValue) -> HeaderValue {
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize();
    HeaderValue::try_from(BASE64_STANDARD.encode(digest))
        .expect("base64 consists of visible ASCII characters")
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

impl HeaderValues {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Self {
        Self(headers.get_all(name).iter().cloned().collect())
    }
}

impl fmt::Display for HeaderValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, value) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            inspect(value.as_bytes(), f)?;
        }
        f.write_str("]")
    }
}

/// Writes a header value as `inspect/1` does: quoted and escaped, or as a bitstring if it is not UTF-8.
fn inspect(value: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Ok(text) = str::from_utf8(value) else {
        let bytes: Vec<String> = value.iter().map(u8::to_string).collect();
        return write!(f, "<<{}>>", bytes.join(", "));
    };
    let escaped = text.replace('\\', r"\\").replace('"', r#"\""#).replace("#{", r"\#{").replace('\t', r"\t");
    write!(f, "\"{escaped}\"")
}

const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use http::header::HOST;

    use super::*;
    use crate::websocket::testing::Recording;

    #[test]
    fn every_recorded_upgrade_gets_the_recorded_answer() {
        let mut accepted = 0;
        let mut refused = 0;
        for name in ["ws_upgrade_errors.v2", "ws_frames.v2", "ws_compress.v2", "browser_ws.v2"] {
            for exchange in Recording::load(name).upgrades() {
                let is_about_the_upgrade = exchange.method == "GET"
                    && exchange.request.contains_key(HOST)
                    && matches!(exchange.status, 101 | 400);
                if !is_about_the_upgrade {
                    continue;
                }
                match accept_key(exchange.version, &exchange.request) {
                    Ok(accept) => {
                        assert_eq!(exchange.status, 101, "{}", exchange.note);
                        assert_eq!(
                            exchange.response.get("sec-websocket-accept"),
                            Some(&accept),
                            "{}",
                            exchange.note
                        );
                        accepted += 1;
                    }
                    Err(error) => {
                        assert_eq!(exchange.status, 400, "{}", exchange.note);
                        assert_eq!(exchange.body, error.to_string(), "{}", exchange.note);
                        refused += 1;
                    }
                }
            }
        }
        assert!(accepted > 60, "{accepted} upgrades accepted");
        assert_eq!(refused, 7);
    }

    #[test]
    fn header_values_are_printed_as_elixir_prints_them() {
        let mut headers = HeaderMap::new();
        for value in [&b"a\"b"[..], b"\\", b"#{x}\t", b"\xff1"] {
            headers.append(CONNECTION, HeaderValue::from_bytes(value).unwrap());
        }

        let error = accept_key(Version::HTTP_11, &headers).unwrap_err();

        assert_eq!(
            error.to_string(),
            r#"'connection' header must contain 'upgrade', got ["a\"b", "\\", "\#{x}\t", <<255, 49>>]"#
        );
    }

    #[test]
    fn a_second_version_header_is_refused() {
        let mut headers: HeaderMap = [
            (CONNECTION, "Upgrade"),
            (UPGRADE, "websocket"),
            (SEC_WEBSOCKET_KEY, "x"),
            (SEC_WEBSOCKET_VERSION, "13"),
        ]
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .into_iter()
        .collect();
        headers.append(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("8"));

        let error = accept_key(Version::HTTP_11, &headers).unwrap_err();

        assert_eq!(error.to_string(), r#"'sec-websocket-version' header must equal '13', got ["13", "8"]"#);
    }
}
