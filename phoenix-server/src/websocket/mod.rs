//! The WebSocket layer of a connection (RFC 6455) as pure machines: bytes in, events and bytes out.

mod handshake;

#[cfg(test)]
mod testing;

pub(crate) use handshake::{UpgradeError, accept_key};
