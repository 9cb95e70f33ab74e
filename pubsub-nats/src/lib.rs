//! NATS PubSub engine for phoenix-server.
