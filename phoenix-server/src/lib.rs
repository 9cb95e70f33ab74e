//! Phoenix Channels server runtime on tokio: sockets, channels, PubSub.

#[allow(dead_code, unused_imports, reason = "driven by the connection driver")]
mod websocket;
