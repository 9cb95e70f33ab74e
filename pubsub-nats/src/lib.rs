//! A PubSub engine for [phoenix-server](phoenix_server) that connects nodes by way of [NATS](https://nats.io) servers.
//!
//! [`NatsEngine`] is all of it. NATS moves the broadcasts of [`phoenix_server::PubSub`]; nothing is stored, and JetStream
//! is not needed.
//!
//! # What it promises
//!
//! * A broadcast reaches every node that has subscribers of its topic at most once, and those of one node arrive in
//!   the order in which they were made, whatever their topics.
//! * A node is sent only topics that somebody on it has subscribed to, and what is for it alone
//!   ([`direct_broadcast`](phoenix_server::PubSub::direct_broadcast)).
//! * When the connection is lost it comes back by itself. Until then broadcasting is refused with
//!   [`PublishError::Disconnected`](phoenix_server::PublishError), and nobody gets the broadcast, on this node neither.
//!   [`PubSubStats`](phoenix_server::PubSubStats) counts what may have been missed.
//! * A broadcast that is larger than what the servers take (1 MiB unless configured otherwise) is refused with
//!   [`PublishError::TooLarge`](phoenix_server::PublishError).
//!
//! # What it costs
//!
//! A topic that has subscribers on a node takes about 6 KiB of memory there, for the queue of its subscription.
//!
//! # Subjects
//!
//! Topic `room:1` is the subject `phx.t:room:1`, node `web-1` is `phx.n:web-1`, with the [prefix](NatsEngine::prefix)
//! `phx`. What cannot be in a subject is escaped by percents; longer names than 512 bytes are replaced by a hash.
//! The number of a publication travels as its reply subject. Messages of other programs are ignored and counted.
//!
//! # Features
//!
//! * `tls`: `tls://` URLs and certificates, by rustls.
//! * `nkeys`: log in with keys or credentials.
//!
//! Neither is on by default.

mod connection;
mod engine;
mod order;
mod subject;
mod subscriptions;

pub use engine::{NatsEngine, NatsError};
