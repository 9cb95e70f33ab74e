use std::fmt;
use std::sync::Arc;

use super::ChannelId;
use crate::{DecodeError, EncodeError, Event, Payload, Ref, RouteId, Text};

/// Work for the driver. Every variant must be acted on, in order.
#[derive(Debug)]
pub enum Command {
    /// Start a channel; answer with [`accept`](super::Connection::accept),
    /// [`refuse`](super::Connection::refuse) or [`join_crashed`](super::Connection::join_crashed).
    Join(Box<JoinRequest>),
    /// Hand a message to a channel, behind what it already has.
    Message {
        /// The channel.
        channel: ChannelId,
        /// The event.
        event: Event,
        /// What a reply has to carry.
        reference: Option<Ref>,
        /// The payload.
        payload: Payload,
        /// Held until the channel is done with the message.
        credit: Credit,
    },
    /// Let a channel end in order, behind what it already has: reply `ok` to `reference`, then
    /// [`close`](super::Connection::close_channel).
    Leave {
        /// The channel.
        channel: ChannelId,
        /// What the reply has to carry.
        reference: Option<Ref>,
        /// Held until the channel is done with it.
        credit: Credit,
    },
    /// End a channel at once, without what it still has to do, and report
    /// [`ended`](super::Connection::ended): a newer join replaces it, or a message for it is beyond
    /// repair. One that is replaced but insists on cleaning up may take until [`Abandon`](Command::Abandon).
    Kill {
        /// The channel.
        channel: ChannelId,
    },
    /// The wait for a killed channel is over: drop it, whatever it does. The machine has gone on already.
    Abandon {
        /// The channel.
        channel: ChannelId,
    },
    /// Write what [`poll_transmit`](super::Connection::poll_transmit) still has, then close the connection.
    /// Nothing comes after this.
    Close(CloseReason),
}

/// What a channel is started with.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// The name of the new instance.
    pub channel: ChannelId,
    /// Which route the topic matched.
    pub route: RouteId,
    /// The topic.
    pub topic: Text,
    /// What the channel's own pushes and replies carry: the `join_ref` of the join, or its `ref` when that
    /// is null (protocol §6).
    pub join_ref: Option<Ref>,
    /// The payload of the join.
    pub payload: Payload,
}

/// The right to have one message in work, given back by dropping it.
///
/// While too many are out, [`wants_read`](super::Connection::wants_read) is false.
#[derive(Debug)]
pub struct Credit(#[expect(dead_code, reason = "its reference count is the number of credits out")] Arc<()>);

/// Where the credits of a connection come from.
#[derive(Debug, Default)]
pub(super) struct Credits(Arc<()>);

impl Credits {
    pub(super) fn take(&self) -> Credit {
        Credit(Arc::clone(&self.0))
    }

    pub(super) fn out(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// Why the server closes a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The application asked for it (protocol §13): 1001.
    Disconnected,
    /// The server drains or shuts down (protocol §14): 1012.
    Draining,
    /// Nothing was received for too long (protocol §8.1): 1002.
    Idle,
    /// A frame that is no message (protocol §8.5): 1011.
    Malformed(DecodeError),
    /// The reply to a join cannot be encoded (FINDINGS §6): 1011.
    Unencodable(EncodeError),
    /// The client takes its messages too slowly: 1013.
    TooSlow,
    /// The server itself failed: 1011.
    Internal,
}

impl CloseReason {
    /// The WebSocket close code; never 1000, after which phoenix.js would not reconnect.
    pub fn code(&self) -> CloseCode {
        match self {
            Self::Disconnected => CloseCode::GOING_AWAY,
            Self::Idle => CloseCode::PROTOCOL_ERROR,
            Self::Malformed(_) | Self::Unencodable(_) | Self::Internal => CloseCode::INTERNAL_ERROR,
            Self::Draining => CloseCode::RESTART,
            Self::TooSlow => CloseCode::TRY_AGAIN_LATER,
        }
    }
}

/// The status code of a close frame (RFC 6455 §7.4, protocol §8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose is fulfilled; phoenix.js does not reconnect.
    pub const NORMAL: Self = Self(1000);
    /// Forced disconnect.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol, or was silent for too long.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A message is not what its type promises, such as text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// A frame that is legal but pointless.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A frame or a message is over a limit.
    pub const TOO_BIG: Self = Self(1009);
    /// The connection cannot go on, as after a message that cannot be decoded.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The server is draining.
    pub const RESTART: Self = Self(1012);
    /// The client is too slow for what it subscribed to.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// A code as it stands on the wire.
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something worth a log line (FEATURES O9).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A join for a topic that is joined already; the old channel is closed.
    DuplicateJoin(Text),
    /// A message of an earlier join was dropped.
    Stale(Text),
    /// A join was refused because too many channels are joined.
    TooManyChannels(Text),
    /// A join or message for a topic that no route serves or that is not joined; its JSON text if it is no
    /// string.
    Unmatched(Text),
}

/// Why [`poll_timeout`](super::Connection::poll_timeout) wants to be called back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// The connection is idle.
    Idle,
    /// A duplicate join waits for the old channel.
    Replace,
}
