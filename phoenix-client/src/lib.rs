//! Phoenix Channels client on tokio, exact as phoenix.js.
