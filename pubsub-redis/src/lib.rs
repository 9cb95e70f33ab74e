//! A PubSub engine for [phoenix-server](phoenix_server) that connects nodes by way of a [Redis](https://redis.io) server, or
//! one that is compatible, such as Valkey.
//!
//! [`RedisEngine`] is all of it. Redis moves the broadcasts of [`phoenix_server::PubSub`]; no keys are read or written. The
//! server has to speak RESP3, as Redis does since version 6.
//!
//! # What it promises
//!
//! * A broadcast reaches every node that has subscribers of its topic at most once, and those of one node arrive in
//!   the order in which they were made, whatever their topics.
//! * A node is sent only topics that somebody on it has subscribed to, and what is for it alone
//!   ([`direct_broadcast`](phoenix_server::PubSub::direct_broadcast)). Its own broadcasts come back to it if it has
//!   subscribed to their topic, as Redis has no way to leave them out; they are ignored.
//! * When the connection is lost it comes back by itself. Until then broadcasting is refused with
//!   [`PublishError::Disconnected`](phoenix_server::PublishError), and nobody gets the broadcast, on this node neither.
//!   [`PubSubStats`](phoenix_server::PubSubStats) counts what may have been missed.
//! * A node that is too slow to read is disconnected by Redis (`client-output-buffer-limit pubsub`), which counts as such
//!   a gap.
//!
//! # Channels
//!
//! Topic `room:1` is the channel `phx:topic:room:1`, node `web-1` is `phx:node:web-1`, with the
//! [prefix](RedisEngine::prefix) `phx`. Messages of other programs are ignored and counted.
//!
//! # Features
//!
//! * `tls`: `rediss://` URLs and certificates, by rustls. Not on by default.

mod channel;
mod connection;
mod engine;
mod server;

pub use engine::{ConfigError, RedisEngine};
