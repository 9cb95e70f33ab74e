//! Phoenix Channels as pure state machines: no IO, no clock, no tasks.

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

pub use frame::{Frame, Incoming, Opcode};
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
