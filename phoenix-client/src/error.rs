//! What can go wrong, by operation.

use phoenix_proto::client::{ChannelError, CloseCause, Closed};
use phoenix_proto::{EncodeError, PayloadError, Text};
use thiserror::Error;

use crate::Reply;

/// A socket that cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The address is none of a WebSocket: `ws://host[:port]/path` or `wss://…`.
    #[error("not the address of a WebSocket: {0:?}")]
    Address(Text),
}

/// A connection that did not open. The socket goes on trying, unless it was disconnected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server refused it.
    #[error("the server refused the connection with HTTP status {0}")]
    Refused(u16),
    /// It could not be made, or ended before it was of use.
    #[error("the connection failed (close code {})", .0.code)]
    Failed(Closed),
    /// The socket was disconnected meanwhile.
    #[error("the socket is disconnected")]
    Disconnected,
}

/// A join without success. Unless the channel is closed, it goes on trying.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The server refused.
    #[error("the join was refused: {:?}", .0.payload)]
    Refused(Reply),
    /// No answer came in time, for whatever reason.
    #[error("the join was not answered in time")]
    Timeout,
    /// The channel is over.
    #[error("the channel is closed: {0:?}")]
    Closed(CloseCause),
    /// The channel failed in another way than by its connection.
    #[error("the channel failed: {0:?}")]
    Channel(ChannelError),
    /// `join` was called before.
    #[error("the channel has been joined before")]
    JoinedBefore,
}

/// A push without success.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PushError {
    /// The server answered with status `error`.
    #[error("the push was refused: {:?}", .0.payload)]
    Refused(Reply),
    /// No answer came in time. It may still have been handled.
    #[error("the push was not answered in time")]
    Timeout,
    /// The channel crashed on the server before it answered.
    #[error("the channel crashed")]
    Channel,
    /// The connection ended before the answer. Whether the push was handled is unknown; it is not sent again.
    #[error("the connection was lost")]
    ConnectionLost,
    /// The channel is over.
    #[error("the channel is closed")]
    Closed,
    /// `join` has not been called; nothing was sent.
    #[error("tried to push before joining")]
    NotJoined,
    /// The event name belongs to the protocol; nothing was sent.
    #[error("the event name {0:?} belongs to the protocol")]
    ReservedEvent(Text),
    /// So many messages are waiting already that there is no room for one more; nothing was sent, or the
    /// push was discarded in favour of newer ones.
    #[error("too many messages are waiting")]
    Full,
    /// The wire format cannot represent the push; nothing was sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The payload cannot be serialized; nothing was sent.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// A ping that cannot be answered, because no connection is open any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no connection is open")]
pub struct PingError;
