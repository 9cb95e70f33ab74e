//! The request lines of a recording.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use phoenix_proto::Text;

use super::recording::Line;

/// The token of the connection, from either transport's header.
pub(super) fn token(line: &Line) -> Option<Text> {
    if let Some(token) = line.header("x-phoenix-authtoken") {
        return Some(token.into());
    }
    let (_, encoded) = line.header("sec-websocket-protocol")?.split_once("base64url.bearer.phx.")?;
    let token = STANDARD_NO_PAD.decode(encoded).expect("base64");
    Some(Text::from_utf8(token.into()).expect("UTF-8"))
}

/// The parameters of a query with their brackets as they are: they are encoded the same way again.
pub(super) fn params(query: &str) -> serde_json::Map<String, serde_json::Value> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            if let (b'%', [high, low, tail @ ..]) = (first, tail) {
                let hex = [*high, *low];
                let hex = std::str::from_utf8(&hex).expect("ASCII");
                bytes.push(u8::from_str_radix(hex, 16).expect("hexadecimal"));
                rest = tail;
            } else {
                bytes.push(*first);
            }
        }
        String::from_utf8(bytes).expect("UTF-8")
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (decode(key), decode(value).into())).collect()
}

/// A query without the order of its parts, which is that of a JavaScript object, and without empty parts.
pub(super) fn pairs(query: &str) -> Vec<String> {
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).map(str::to_owned).collect();
    pairs.sort();
    pairs
}
