//! Redis PubSub engine for phoenix-server.
