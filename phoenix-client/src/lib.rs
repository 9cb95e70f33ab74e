//! A client for Phoenix Channels that connects, joins, pushes and re-establishes everything by itself, exactly as
//! phoenix.js does.
//!
//! ```no_run
#![doc = include_str!("../examples/echo.rs")]
//! ```
//!
//! A [`Socket`] is one connection; [`Socket::channel`] makes [`Channel`]s on it. What is pushed while a channel is
//! not joined waits for the join; what was pushed before a connection broke is never sent twice. Events come as
//! [streams](Channel::events) or to [callbacks](Channel::on). [`Channel::presence`] tells who is there.
//!
//! The behaviour is that of the machine in [`phoenix_proto::client`], where the differences from phoenix.js are
//! listed; this crate adds the tasks and the IO: WebSockets, [long polling](Transport::LongPoll), the
//! [fallback](SocketBuilder::fallback) between them, TLS, and a place for proxies
//! ([`SocketBuilder::connector`]).
//!
//! # Cancellation and dropping
//!
//! `join`, `push`, `leave`, `connect` and `disconnect` do what they say when they are *called*; their futures only
//! wait for the outcome, and dropping them has no effect. Dropping the last handle of a [`Channel`] leaves it,
//! dropping the last handle of a [`Socket`] and all its channels disconnects. A stream of events counts as a
//! handle, and so does a [`Presence`]; callbacks do not.
//!
//! # Features
//!
//! * `rustls` (default): TLS with the root certificates of Mozilla.
//! * `native-tls`: TLS by the operating system's library.
//! * `cli`: the command-line client `phx`.

mod builder;
mod channel;
mod connector;
mod driver;
mod error;
mod events;
mod outcome;
mod params;
mod presence;
mod shared;
mod socket;
mod transport;
mod wire;

pub use builder::SocketBuilder;
pub use channel::Channel;
pub use connector::{ByteStream, Connect, Connecting, Direct, Target, encrypt};
pub use error::{BuildError, ConnectError, JoinError, PingError, PushError};
pub use events::{ChannelEvent, ConnectionEvent, Events};
pub use outcome::Outcome;
pub use params::Params;
pub use phoenix_proto::client::{
    Backoff, ChannelError, ChannelState, ClientSerializer, CloseCause, Closed, Config, ConnectionId,
    ConnectionState, Counters, Fallback, Outgoing, Overflow, Received, RefStyle, Response as Reply, Source,
    Transport,
};
pub use phoenix_proto::presence::{
    Meta, Presence as KeyPresence, PresenceEvent, PresencePayloadError, PresenceSyncConfig, Presences,
    sync_diff, sync_state,
};
pub use phoenix_proto::{
    DecodeError, EncodeError, Event, Incoming, Json, Message, Payload, PayloadError, Ref, Status, Text,
    Topic, V1, V2,
};
pub use presence::{Presence, PresenceChange};
pub use shared::CallbackId;
pub use socket::Socket;
pub use wire::{Direction, Observe, WireEvent};

/// The example of the README has to compile too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
