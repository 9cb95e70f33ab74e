//! What `connect` was told, as the clients of the recordings get to see it.

use phoenix_server::{ConnectInfo, ConnectInfoKey, ConnectUri, PeerData};
use serde_json::{Map, Value, json};

/// The parts that the mount has selected.
pub(super) fn to_json(info: &ConnectInfo) -> Value {
    let mut fields = info.custom.clone();
    let mut add = |key, name: &str, value: Value| {
        if info.has(key) {
            fields.insert(name.to_owned(), value);
        }
    };
    add(ConnectInfoKey::PeerData, "peer_data", info.peer_data.as_ref().map_or(Value::Null, peer));
    add(ConnectInfoKey::XHeaders, "x_headers", json!(info.x_headers));
    add(ConnectInfoKey::TraceContextHeaders, "trace_context_headers", json!(info.trace_context_headers));
    add(ConnectInfoKey::SecWebsocketHeaders, "sec_websocket_headers", json!(info.sec_websocket_headers));
    add(ConnectInfoKey::Uri, "uri", info.uri.as_ref().map_or(Value::Null, uri));
    add(ConnectInfoKey::UserAgent, "user_agent", json!(info.user_agent));
    add(ConnectInfoKey::Session, "session", json!(info.session));
    add(ConnectInfoKey::AuthToken, "auth_token", json!(info.auth_token));
    Value::Object(fields)
}

fn peer(peer: &PeerData) -> Value {
    json!({
        "address": peer.address.map(|address| address.ip().to_string()),
        "port": peer.address.map(|address| address.port()),
        "ssl_cert": peer.tls_certificate.as_ref().map_or("nil", |_| "certificate"),
    })
}

/// With the fields that a URI has in Elixir.
fn uri(uri: &ConnectUri) -> Value {
    let mut fields = match json!(uri) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    fields.insert("userinfo".to_owned(), Value::Null);
    fields.insert("fragment".to_owned(), Value::Null);
    Value::Object(fields)
}
