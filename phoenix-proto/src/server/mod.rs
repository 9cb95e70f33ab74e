//! One connection of a server, as a pure machine (protocol §9).
//!
//! The machine owns the order of everything on the wire; a driver owns the socket, the clock and the
//! channels. Channels are named by [`ChannelId`], an instance each, so that whatever a dead channel still
//! says is swallowed here without a check anywhere else.
//!
//! # Contract
//!
//! * Facts go in by `handle_*`, what channels do by plain verbs, and both may be called any number of
//!   times before the outputs are drained.
//! * Outputs come from [`poll_transmit`](Connection::poll_transmit) (frames to write, in order),
//!   [`poll_command`](Connection::poll_command) (work that must be done), [`poll_event`](Connection::poll_event)
//!   (information) and [`poll_timeout`](Connection::poll_timeout) (when to call
//!   [`handle_timeout`](Connection::handle_timeout), for which calling too early is harmless).
//! * Frames that were read together are handed over between [`begin_batch`](Connection::begin_batch) and
//!   [`end_batch`](Connection::end_batch), and the commands of each are executed before the next one is handed
//!   over: that gives the order in which Phoenix answers (protocol §9.4, FINDINGS §6, §9).
//! * `now` only ever comes from outside, and nothing a peer sends can panic.
//!
//! ```
//! use std::time::Instant;
//!
//! use phoenix_proto::server::{Command, Config, Connection};
//! use phoenix_proto::{Incoming, Payload, Routes, Serializers};
//!
//! let mut routes = Routes::default();
//! routes.add("room:*".parse()?);
//! let serializer = Serializers::default().negotiate(Some("2.0.0"))?;
//! let now = Instant::now();
//! let mut connection = Connection::new(Config::default(), routes.into(), serializer, now);
//!
//! connection.handle_incoming(Incoming::Text(r#"["1","1","room:a","phx_join",{}]"#.into()), now);
//! while let Some(command) = connection.poll_command() {
//!     match command {
//!         Command::Join(join) => connection.accept(join.channel, Payload::EMPTY, now),
//!         Command::Message { .. } | Command::Leave { .. } => { /* hand it to the channel */ }
//!         Command::Kill { channel } | Command::Abandon { channel } => connection.ended(channel, now),
//!         Command::Close(reason) => println!("close with {}", reason.code()),
//!     }
//! }
//! let reply = connection.poll_transmit().expect("the join is answered");
//! assert_eq!(reply.payload(), r#"["1","1","room:a","phx_reply",{"status":"ok","response":{}}]"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod command;
mod config;
mod connection;
mod dispatch;
mod join;
mod slot;

pub use command::{CloseCode, CloseReason, Command, Credit, JoinRequest, Notice, Timer};
pub use config::Config;
pub use connection::{ChannelInfo, ChannelStatus, Connection, Queues};
pub use slot::ChannelId;
