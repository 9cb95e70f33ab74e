//! The two wire formats of Phoenix, and the trait by which an application adds its own.

mod binary;
mod v1;
mod v2;
mod version;

use std::fmt::Debug;

use thiserror::Error;

use crate::json::SyntaxError;
use crate::{Broadcast, Event, Frame, Incoming, Json, Message, Payload, Ref, Reply, Topic};
pub(crate) use binary::ref_text;
pub use v1::V1;
pub use v2::V2;
pub use version::{Requirement, RequirementError, Serializers, VersionError};

/// Translates between messages and frames (FEATURES F6–F13).
///
/// One serializer serves any number of connections at once, so it holds no state of a connection.
pub trait Serializer: Debug + Send + Sync + 'static {
    /// A label for logs and introspection.
    fn name(&self) -> &str;

    /// Decodes one unit from the client.
    ///
    /// # Errors
    /// A [`DecodeError`] ends the connection with close code 1011 (protocol §8.5).
    fn decode(&self, incoming: Incoming) -> Result<Message, DecodeError>;

    /// Encodes a message that goes to one client.
    ///
    /// # Errors
    /// [`EncodeError`] when the payload or a field cannot be represented.
    fn encode_push(&self, message: &Message) -> Result<Frame, EncodeError>;

    /// Encodes a reply.
    ///
    /// # Errors
    /// [`EncodeError`] when the payload or a field cannot be represented.
    fn encode_reply(&self, reply: &Reply) -> Result<Frame, EncodeError>;

    /// Encodes a broadcast once for all subscribers (the fastlane, protocol §12).
    ///
    /// # Errors
    /// [`EncodeError`] when the payload or a field cannot be represented.
    fn encode_broadcast(&self, broadcast: &Broadcast) -> Result<Frame, EncodeError>;

    /// Encodes the end of a channel: `phx_close` or `phx_error`, whose `ref` is the `join_ref`.
    ///
    /// # Errors
    /// [`EncodeError`] when a field cannot be represented.
    fn encode_end(
        &self,
        topic: &Topic,
        join_ref: Option<&Ref>,
        end: ChannelEnd,
    ) -> Result<Frame, EncodeError> {
        self.encode_push(&Message {
            join_ref: join_ref.cloned(),
            reference: join_ref.cloned(),
            topic: topic.clone(),
            event: end.event(),
            payload: end.payload(),
        })
    }
}

/// How a joined channel ended, as the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelEnd {
    /// In order: `phx_close` with `{}`.
    Closed,
    /// By a crash: `phx_error` with `{"reason":"channel_crash"}`.
    Crashed,
}

/// A frame that is no message of the negotiated format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The text is not JSON, or not of the required shape.
    #[error("malformed message: {0}")]
    Syntax(#[from] SyntaxError),
    /// A V1 message lacks a key.
    #[error("missing key {0:?}")]
    MissingKey(&'static str),
    /// Binary data that should hold JSON text is not UTF-8.
    #[error("the message is not UTF-8")]
    NotUtf8,
    /// A binary message starts with another kind than 0.
    #[error("unknown kind of binary message: {0}")]
    UnknownKind(u8),
    /// A binary message is shorter than its header says.
    #[error("truncated binary message")]
    Truncated,
    /// A field of a binary header is not UTF-8.
    #[error("{field} is not UTF-8")]
    FieldNotUtf8 {
        /// The name of the field.
        field: &'static str,
        /// The topic of the message, if that is intact, and its join_ref.
        channel: Option<(Topic, Option<Ref>)>,
    },
    /// A serializer of the application refused the frame.
    #[error("{0}")]
    Custom(&'static str),
}

/// A message that the negotiated format cannot represent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A header field of a binary message is longer than 255 bytes (FEATURES F12).
    #[error("{field} has {len} bytes, a binary message allows 255")]
    FieldTooLong {
        /// The name of the field.
        field: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// A reference of a binary message is an array or an object, which its header cannot hold.
    #[error("{field} is an array or an object, which a binary message cannot hold")]
    CompoundRef {
        /// The name of the field.
        field: &'static str,
    },
    /// A push or broadcast whose payload is JSON, but not an object.
    #[error("the payload of a push or broadcast must be a JSON object or binary")]
    NotAnObject,
    /// The format has no representation for binary payloads.
    #[error("the {0} serializer has no binary payloads")]
    BinaryUnsupported(&'static str),
    /// The message is binary, and the transport of the client, long polling, carries none (quirk Q16).
    #[error("binary messages do not reach clients over long polling")]
    TextOnly,
    /// A serializer of the application refused the message.
    #[error("{0}")]
    Custom(&'static str),
}

impl ChannelEnd {
    fn event(self) -> Event {
        match self {
            Self::Closed => Event::CLOSE,
            Self::Crashed => Event::ERROR,
        }
    }

    fn payload(self) -> Payload {
        match self {
            Self::Closed => Payload::EMPTY,
            Self::Crashed => Json::constant("{\"reason\":\"channel_crash\"}").into(),
        }
    }
}
