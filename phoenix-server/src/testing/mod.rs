//! Tests channels without a network, as `Phoenix.ChannelTest` does (FEATURES M).
//!
//! A [`TestSocket`] connects to an endpoint, a [`TestChannel`] joins a topic; they are a client like any other, over a
//! transport named `channel_test` in memory. Assertions wait up to 100 ms for what they expect, which in a runtime
//! with paused time (`#[tokio::test(start_paused = true)]`) is no time at all.
//!
//! ```
//! use phoenix_server::testing::TestSocket;
//! use phoenix_server::{Channel, Context, Crash, Endpoint, Flow, JoinError, Payload, SocketOptions, Status};
//! # use phoenix_server::{ConnectInfo, Refused, Router, Socket};
//! # struct UserSocket;
//! # impl Socket for UserSocket {
//! #     async fn connect(_: ConnectInfo) -> Result<Self, Refused> { Ok(Self) }
//! #     fn channels(router: &mut Router<Self>) { router.channel::<Room>("room:*"); }
//! # }
//! use serde_json::json;
//!
//! struct Room;
//!
//! impl Channel for Room {
//!     type Socket = UserSocket;
//!     type Info = ();
//!
//!     async fn join(_params: Payload, cx: &mut Context<Self>) -> Result<(Self, Payload), JoinError> {
//!         if cx.topic() == "room:private" {
//!             return Err(JoinError::refuse(json!({"reason": "unauthorized"})));
//!         }
//!         Ok((Self, Payload::EMPTY))
//!     }
//!
//!     async fn handle_in(&mut self, event: &str, payload: Payload, cx: &mut Context<Self>) -> Result<Flow, Crash> {
//!         cx.broadcast(event, payload)?;
//!         Ok(Flow::reply(Status::OK))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = Endpoint::builder().socket::<UserSocket>("/socket", SocketOptions::new()).build()?;
//! let socket = TestSocket::connect(&endpoint, "/socket").await?;
//! assert!(socket.join("room:private", json!({})).await.is_err());
//! let (_reply, mut room) = socket.subscribe_and_join("room:lobby", json!({})).await?;
//!
//! let shout = room.push("shout", json!({"hello": "all", "n": 1}));
//! room.assert_reply(&shout, Status::OK, ()).await;
//! // A map matches when it is part of the payload; a function decides for itself.
//! room.assert_broadcast("shout", json!({"hello": "all"})).await;
//! room.assert_push("shout", |payload: &Payload| payload.len() < 100).await;
//! room.refute_push("shout", ()).await;
//! # Ok(())
//! # }
//! ```

mod channel;
mod matching;
mod request;
mod socket;
mod wire;

pub use channel::TestChannel;
pub use matching::PayloadMatch;
pub use request::TestRequest;
pub(crate) use socket::TRANSPORT;
pub use socket::{JoinRefused, TestSocket};
