//! A client socket as phoenix.js behaves, as a pure machine (protocol §19–22, §24).
//!
//! [`Socket`] holds one connection with its heartbeats and reconnects, and any number of channels with their
//! joins, rejoins and pushes. [`longpoll::LongPoll`] is the long-poll transport below it. Neither does any IO
//! nor reads a clock: facts come in through `handle_*` with the time as the last argument, intents are plain
//! verbs, and what to do comes out of four polls:
//!
//! ```
//! use std::time::Instant;
//!
//! use phoenix_proto::client::{Command, Config, Socket};
//!
//! let now = Instant::now();
//! let mut socket = Socket::new(Config::new("ws://localhost:4000/socket"));
//! let room = socket.channel("room:lobby", phoenix_proto::Payload::EMPTY);
//! socket.connect(now);
//! socket.join(room, None, now)?;
//!
//! // The driver drains the outputs after every input, in this order:
//! while let Some(transmit) = socket.poll_transmit() {
//!     // … write it to the connection
//! #   let _ = transmit;
//! }
//! while let Some(command) = socket.poll_command() {
//!     match command {
//!         Command::Connect { request, .. } => {
//!             assert_eq!(request.url, "ws://localhost:4000/socket/websocket?vsn=2.0.0");
//!         }
//!         Command::Close { .. } | Command::Abort { .. } => { /* … */ }
//!     }
//! }
//! while let Some(event) = socket.poll_event() { /* … tell the application */ drop(event) }
//! let deadline = socket.poll_timeout(); // … and waits for IO until then, at most
//! # assert!(deadline.is_some());
//! # Ok::<(), phoenix_proto::client::JoinError>(())
//! ```
//!
//! Any number of inputs may come before the outputs are drained, and spurious calls of
//! [`handle_timeout`](Socket::handle_timeout) are harmless. The output queues hold what the inputs since the
//! last drain produced; what waits longer, in [`Config::push_buffer`] and [`Config::send_buffer`], is bounded.
//!
//! # Where it is better behaved than phoenix.js
//!
//! * Q28: after a close with code 1000 `connect` connects again. Such a close is still not followed by an
//!   automatic reconnect.
//! * Q29: a WebSocket that has been healthy is never given up for long polling
//!   ([`Fallback::keep_healthy_primary`]).
//! * Q30: a leave closes the channel at once, and its outcome is what the server answers.
//! * Q31: rejected joins are retried forever, unless [`Config::refused_joins`] says otherwise.
//! * Q32: as in phoenix.js pushes in flight are not sent again (at most once); but they end as soon as no reply
//!   can come, with the reason, instead of in a timeout.
//! * Q33: when a connection has to be abandoned, its channels are errored like after any other close.
//! * A join answered with another status than `ok` counts as refused; phoenix.js joins forever then.
//! * `phx_close` and `phx_error` without a join_ref (V1) are judged by their ref, which Phoenix sets to the
//!   join_ref, so that the end of an earlier join does not end the current one.

mod backoff;
mod binary;
mod channel;
mod codec;
mod config;
mod event;
mod fallback;
mod heartbeat;
mod link;
pub mod longpoll;
mod push;
mod receive;
mod refs;
mod socket;
mod timers;
mod url;

pub use backoff::Backoff;
pub use codec::{ClientSerializer, Outgoing, Received};
pub use config::{Config, Fallback, Overflow, Source, Transport};
pub use event::{
    ChannelError, ChannelId, ChannelState, CloseCause, Closed, Command, ConnectRequest, ConnectionId,
    ConnectionState, Counters, JoinError, PingId, PushError, PushId, PushOutcome, Response, SocketEvent,
    Transmit,
};
pub use refs::RefStyle;
pub use socket::Socket;
