//! Phoenix Channels as pure state machines: no IO, no clock, no tasks.
//!
//! This is the protocol of Phoenix 1.8.12 without anything around it. `phoenix-server` is what most programs
//! want; use this crate for another runtime, another language's bindings, a simulation or a test.
//!
//! # Messages
//!
//! A [`Message`] has five parts: `join_ref`, `ref`, topic, event and payload. Clients send it, servers push it; a
//! [`Reply`] answers one, a [`Broadcast`] goes to all subscribers of a topic. A [`Serializer`] translates between
//! them and frames: [`V1`] and [`V2`], or one of your own, negotiated by [`Serializers`] from the `vsn` that
//! a client asks for.
//!
//! Nothing is parsed that nobody looks at. [`Text`] and [`Json`] are validated slices of the received bytes, a
//! [`Payload`] is read into a Rust type when it is asked to, a [`Ref`] is echoed as it came. The price is that a slice
//! keeps the whole frame alive: what is to outlive it is detached ([`Text::detach`]), as the machines do.
//!
//! What is encoded is a [`Frame`]: a finished WebSocket frame in shared bytes, encoded once, sent to any number of
//! clients, with the bare message as a slice of it.
//!
//! # Machines
//!
//! | machine | is |
//! |---|---|
//! | [`server::Connection`] | one connection of a server: which topics are joined, and what goes out in which order |
//! | [`presence::Tracker`] | one node's share of a replicated list of presences |
//! | [`presence::PresenceSync`] | what a client makes of `presence_state` and `presence_diff` |
//!
//! All keep the same contract:
//!
//! * **Facts go in by `handle_*`**: what was received, that time has passed. What the application wants goes in by
//!   plain verbs (`accept`, `send`, `track`). Any number of both may come before the outputs are drained.
//! * **Outputs come from `poll_*`**, each until it returns `None`: what to send (`poll_transmit`, `poll_message`), what to do
//!   (`poll_command`), what is worth knowing (`poll_event` and others), and when to call back (`poll_timeout`). Draining early or
//!   late makes no difference to what is sent, nor to its order.
//! * **Time is an argument**, the last one, always called `now`; it must not run backwards. `poll_timeout` says when
//!   `handle_timeout` is due; calling that too early, or without need, is harmless.
//! * **Randomness is a seed** that the machine is made with.
//! * **Nothing a peer sends can panic.** What breaks the protocol is answered as Phoenix does; what comes for a channel or
//!   a node that is gone is ignored. Queues have limits; where a machine cannot refuse, it says when to stop
//!   ([`wants_read`](server::Connection::wants_read)).
//! * **A machine never blocks and never does anything by itself.** Dropping it has no effect on anybody.
//!
//! A driver is a loop around that: read, hand over, execute commands, write, wait for whatever comes first. There is one to
//! run in the documentation of [`server`], and a complete one in the module `driver` of `phoenix-server`.
//!
//! The numbers of sections in the documentation ("protocol §9.4") are those of the project's description of the protocol,
//! "FEATURES A33" is the entry of that id in its list of what Phoenix offers (`docs/coming-from-phoenix.md`).

pub mod client;
mod frame;
mod json;
pub mod longpoll;
mod message;
mod payload;
pub mod presence;
mod reference;
mod route;
mod serializer;
pub mod server;
mod text;

pub use frame::{ControlTooLong, Frame, Incoming, Opcode};
pub use json::{Json, SyntaxError};
pub use message::{Broadcast, Event, Message, Reply, Status, Topic, is_reserved_event};
pub use payload::{Payload, PayloadError};
pub use reference::Ref;
pub use route::{PatternError, RouteId, Routes, TopicPattern};
pub use serializer::{
    ChannelEnd, DecodeError, EncodeError, Requirement, RequirementError, Serializer, Serializers, V1, V2,
    VersionError,
};
pub use text::Text;
