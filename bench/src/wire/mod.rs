//! The two layers both ends of a benchmark speak: WebSocket frames and V2 JSON messages.
//!
//! Written by hand so that neither the load nor the limit server pays for a library's buffers or checks.

pub(crate) mod frame;
pub(crate) mod message;
