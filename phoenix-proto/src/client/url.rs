//! The addresses a client connects to (protocol §19.3, §22).

use serde_json::Value;

use super::config::Transport;
use crate::{Json, Text};

/// The address of one connection attempt: endpoint, transport path, parameters, and `vsn` last, so that it
/// wins over a parameter of that name.
pub(super) fn connect_url(endpoint: &str, transport: Transport, params: &Json, vsn: &str) -> Text {
    let (base, query) = endpoint.split_once('?').map_or((endpoint, ""), |(base, query)| (base, query));
    let base = base.trim_end_matches('/');
    let mut url = match transport {
        Transport::WebSocket => format!("{base}/websocket"),
        Transport::LongPoll => format!("{}/longpoll", http_scheme(base)),
    };
    let mut separator = '?';
    if !query.is_empty() {
        url.push(separator);
        url.push_str(query);
        separator = '&';
    }
    if let Ok(Value::Object(members)) = params.parse() {
        for (key, value) in &members {
            append_param(&mut url, &mut separator, key, value);
        }
    }
    append_pair(&mut url, &mut separator, "vsn", vsn);
    url.into()
}

/// Adds one parameter to an address.
pub(super) fn with_param(url: &str, key: &str, value: &str) -> Text {
    let mut url = url.to_owned();
    let mut separator = if url.contains('?') { '&' } else { '?' };
    append_pair(&mut url, &mut separator, key, value);
    url.into()
}

fn http_scheme(base: &str) -> String {
    for (web_socket, http) in [("ws://", "http://"), ("wss://", "https://")] {
        if let Some(rest) = base.strip_prefix(web_socket) {
            return format!("{http}{rest}");
        }
    }
    base.to_owned()
}

/// Nested values use brackets; null and empty containers leave no trace.
fn append_param(url: &mut String, separator: &mut char, key: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (inner, value) in members {
                append_param(url, separator, &format!("{key}[{inner}]"), value);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                append_param(url, separator, &format!("{key}[{index}]"), value);
            }
        }
        Value::String(text) => append_pair(url, separator, key, text),
        Value::Bool(_) | Value::Number(_) => append_pair(url, separator, key, &value.to_string()),
    }
}

fn append_pair(url: &mut String, separator: &mut char, key: &str, value: &str) {
    url.push(*separator);
    *separator = '&';
    append_encoded(url, key);
    url.push('=');
    append_encoded(url, value);
}

/// What `encodeURIComponent` of JavaScript does.
fn append_encoded(url: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'.'
            | b'!'
            | b'~'
            | b'*'
            | b'\''
            | b'('
            | b')' => url.push(byte.into()),
            _ => {
                url.push('%');
                url.push(HEX[usize::from(byte >> 4)].into());
                url.push(HEX[usize::from(byte & 15)].into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn url(endpoint: &str, transport: Transport, params: Value) -> String {
        connect_url(endpoint, transport, &params.into(), "2.0.0").to_string()
    }

    #[test]
    fn the_version_comes_last() {
        let address = url("ws://h/socket", Transport::WebSocket, json!({}));
        assert_eq!(address, "ws://h/socket/websocket?vsn=2.0.0");
        let address = url("wss://h/socket?a=b", Transport::LongPoll, json!({"vsn": "9"}));
        assert_eq!(address, "https://h/socket/longpoll?a=b&vsn=9&vsn=2.0.0");
    }

    #[test]
    fn parameters_nest_in_brackets() {
        let params = json!({"a": {"b": 1}, "c": [1, true], "n": null, "s": "é &=(x)"});
        assert_eq!(
            url("ws://h", Transport::WebSocket, params),
            "ws://h/websocket?a%5Bb%5D=1&c%5B0%5D=1&c%5B1%5D=true&s=%C3%A9%20%26%3D(x)&vsn=2.0.0"
        );
    }

    #[test]
    fn tokens_are_added() {
        assert_eq!(
            with_param("http://h/longpoll?vsn=2.0.0", "token", "a+b"),
            "http://h/longpoll?vsn=2.0.0&token=a%2Bb"
        );
        assert_eq!(with_param("http://h/longpoll", "token", "t"), "http://h/longpoll?token=t");
    }
}
