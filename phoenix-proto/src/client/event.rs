//! What goes into and comes out of a client socket.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use thiserror::Error;

use super::codec::Outgoing;
use super::config::Transport;
use crate::{DecodeError, EncodeError, Message, Payload, Ref, Status, Text};

/// Names one connection attempt of a socket; facts about an earlier one are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u64);

/// Names one channel of a socket; never used again for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub(super) u64);

/// Names one push or leave of a socket; it ends in exactly one [`SocketEvent::PushEnded`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PushId(pub(super) u64);

/// Names one ping of a socket; it ends in exactly one [`SocketEvent::Pong`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PingId(pub(super) u64);

/// The state of the connection (protocol §19.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// No connection.
    #[default]
    Closed,
    /// A connection is being made.
    Connecting,
    /// Messages can be sent.
    Open,
    /// The connection is being closed by this side.
    Closing,
}

/// The state of a channel (protocol §20.1).
///
/// There is no `leaving`: a leave closes the channel at once, and what the server says to it is the outcome
/// of the leave (quirk Q30).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ChannelState {
    /// Not joined yet, or over for good.
    #[default]
    Closed,
    /// A join is on its way.
    Joining,
    /// Joined.
    Joined,
    /// Not joined, to be joined again.
    Errored,
}

/// How a connection ended, as the transport saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The close code; 1006 when there was no close frame, 1005 when it had no code.
    pub code: u16,
    /// The reason of the close frame.
    pub reason: Text,
    /// Whether it failed, rather than ended with a close frame; a refused connection has failed.
    pub failed: bool,
    /// The HTTP status with which the server refused the connection.
    pub http_status: Option<u16>,
}

impl Closed {
    /// A connection that ended with a close frame.
    pub fn by_frame(code: Option<u16>, reason: impl Into<Text>) -> Self {
        Self { code: code.unwrap_or(1005), reason: reason.into(), failed: false, http_status: None }
    }

    /// A connection that broke, or could not be made.
    pub fn failed() -> Self {
        Self { code: 1006, reason: Text::default(), failed: true, http_status: None }
    }

    /// A connection that the server refused with an HTTP status.
    pub fn refused(http_status: u16) -> Self {
        Self { http_status: Some(http_status), ..Self::failed() }
    }
}

/// What the driver has to do; every command concerns the connection it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make a connection, then report `handle_open` or `handle_closed`.
    Connect {
        /// The name of the new connection.
        connection: ConnectionId,
        /// By which transport.
        transport: Transport,
        /// Where to, and with which token.
        request: ConnectRequest,
    },
    /// Send what was polled before, close with this code (a close frame without one for `None`), then report
    /// `handle_closed`. When that takes too long, `Abort` follows.
    Close {
        /// The connection.
        connection: ConnectionId,
        /// The close code.
        code: Option<u16>,
        /// The reason.
        reason: Text,
    },
    /// Drop the connection at once; nothing more needs to be reported about it.
    Abort {
        /// The connection.
        connection: ConnectionId,
    },
}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// The complete address, of scheme `ws(s)` or `http(s)`.
    pub url: Text,
    /// The authentication token, as the application gave it.
    pub auth_token: Option<Text>,
}

impl ConnectRequest {
    /// The subprotocols of a WebSocket that carry the token, `None` without one.
    ///
    /// The token is in standard base64 without padding (quirk Q19), which is what real Phoenix decodes.
    pub fn subprotocols(&self) -> Option<[String; 2]> {
        let token = self.auth_token.as_ref()?;
        let encoded = STANDARD_NO_PAD.encode(token.as_bytes());
        Some(["phoenix".to_owned(), format!("base64url.bearer.phx.{encoded}")])
    }
}

/// A message for the transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// The connection it is for.
    pub connection: ConnectionId,
    /// The message.
    pub data: Outgoing,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketEvent {
    /// A connection opened.
    Opened {
        /// By which transport.
        transport: Transport,
    },
    /// A connection ended, or could not be made.
    Closed {
        /// How.
        closed: Closed,
        /// Whether another attempt is scheduled.
        reconnecting: bool,
    },
    /// The socket gave up on WebSockets and uses long polling.
    FellBack,
    /// Long polling opened where no WebSocket ever answered; worth remembering in
    /// [`Fallback::memorized`](super::Fallback::memorized).
    FallbackConfirmed,
    /// A unit from the server could not be decoded and was dropped.
    Undecodable(DecodeError),
    /// A channel was joined, for the first time or again.
    Joined {
        /// The channel.
        channel: ChannelId,
        /// What the server answered.
        response: Payload,
    },
    /// The server refused a join; it is tried again unless `ChannelClosed` follows.
    JoinRefused {
        /// The channel.
        channel: ChannelId,
        /// What the server answered.
        response: Response,
    },
    /// A join was not answered in time; it is tried again.
    JoinTimedOut {
        /// The channel.
        channel: ChannelId,
    },
    /// A channel is not joined any more; it is joined again as soon as possible.
    ChannelErrored {
        /// The channel.
        channel: ChannelId,
        /// Why.
        cause: ChannelError,
    },
    /// A channel is over; its name is not valid any more.
    ChannelClosed {
        /// The channel.
        channel: ChannelId,
        /// Why.
        cause: CloseCause,
    },
    /// A message for a channel.
    Message {
        /// The channel.
        channel: ChannelId,
        /// The reference of the channel's join at that moment, which the message itself may lack; what a
        /// [`PresenceSync`](crate::presence::PresenceSync) wants to know.
        join_ref: Option<Ref>,
        /// The message.
        message: Message,
    },
    /// A push or leave ended.
    PushEnded {
        /// The push.
        push: PushId,
        /// How.
        outcome: PushOutcome,
    },
    /// A ping ended.
    Pong {
        /// The ping.
        ping: PingId,
        /// How long the answer took; `None` when the connection ended before.
        rtt: Option<Duration>,
    },
}

/// The answer of a server to a join, push or leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// How it went.
    pub status: Status,
    /// Any JSON value, or raw bytes.
    pub payload: Payload,
}

/// How a push or leave ended.
///
/// phoenix.js lets everything but a reply end in a timeout; here it ends as soon as no reply can come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushOutcome {
    /// The server answered, with whatever status.
    Replied(Response),
    /// No answer came in time. It may still have been handled.
    TimedOut,
    /// The channel crashed on the server before it answered; the push may have been the reason.
    ChannelErrored,
    /// The connection ended before the answer. Whether it was handled is unknown; it is not sent again
    /// (quirk Q32).
    ConnectionLost,
    /// The channel was left or closed by the server before it answered.
    ChannelClosed,
    /// It was never sent, because newer pushes needed its place ([`Overflow::DropOldest`](super::Overflow)).
    Discarded,
    /// It was never sent, because the wire format cannot represent it.
    Unencodable(EncodeError),
}

/// Why a channel is not joined any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelError {
    /// The server said `phx_error`: the channel crashed there.
    Crashed(Payload),
    /// The connection was closed.
    ConnectionClosed,
    /// The connection failed.
    ConnectionFailed,
    /// A heartbeat was not answered.
    HeartbeatTimeout,
    /// The wire format cannot represent the join.
    Unencodable(EncodeError),
}

/// Why a channel is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCause {
    /// It was left.
    Left,
    /// Another channel object of this socket joined its topic.
    Replaced,
    /// The server said `phx_close`.
    ByServer,
    /// The server refused it too often ([`Config::refused_joins`](super::Config::refused_joins)).
    Refused,
}

/// A join that cannot even be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// `join` was called before: a channel joins once, and rejoins by itself.
    #[error("the channel has been joined before")]
    JoinedBefore,
    /// The channel is over.
    #[error("the channel is closed")]
    Closed,
}

/// A push that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// `join` has not been called.
    #[error("tried to push before joining")]
    NotJoined,
    /// The channel is over.
    #[error("the channel is closed")]
    Closed,
    /// The event name belongs to the protocol.
    #[error("the event name {0:?} belongs to the protocol")]
    ReservedEvent(Text),
    /// The buffer for pushes is full.
    #[error("{0} messages are waiting already")]
    Full(usize),
    /// The wire format cannot represent the message.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// How often something was dropped since the socket was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages with the join_ref of an earlier join.
    pub stale: u64,
    /// Messages for no channel of this socket, and replies that nobody waits for.
    pub unmatched: u64,
    /// Units that could not be decoded.
    pub undecodable: u64,
    /// Pushes discarded by [`Overflow::DropOldest`](super::Overflow).
    pub discarded_pushes: u64,
    /// Joins and leaves dropped from a full send buffer without a connection.
    pub dropped_sends: u64,
}
