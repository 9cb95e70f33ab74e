//! What an application is told, as streams.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use phoenix_proto::client::{ChannelError, CloseCause, Closed, Transport};
use phoenix_proto::{DecodeError, Message, Payload};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::Reply;

/// What happened to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelEvent {
    /// It was joined, for the first time or again, with what the server answered.
    Joined(Payload),
    /// The server refused a join. It is tried again unless `Closed` follows.
    JoinRefused(Reply),
    /// A join was not answered in time. It is tried again.
    JoinTimedOut,
    /// It is not joined any more, and is joined again as soon as possible.
    Errored(ChannelError),
    /// It is over; nothing follows.
    Closed(CloseCause),
    /// A message came, also those of presence: `presence_state` and `presence_diff`.
    Message(Message),
    /// The stream was read too slowly, and so many events in front of the next one were dropped.
    Lagged(u64),
}

/// What happened to the connection of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// A connection opened by this transport.
    Opened(Transport),
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
    /// [`Fallback::memorized`](crate::Fallback::memorized).
    FallbackConfirmed,
    /// Something from the server could not be decoded and was dropped.
    Undecodable(DecodeError),
    /// The stream was read too slowly, and so many events in front of the next one were dropped.
    Lagged(u64),
}

/// A stream of events from the moment it was made.
///
/// It ends with its channel or socket. A reader that falls behind by more than
/// [`event_buffer`](crate::SocketBuilder::event_buffer) events loses the oldest ones and is told how many.
pub struct Events<T> {
    stream: BoxStream<'static, T>,
}

/// Events that can tell that others were lost.
pub(crate) trait Lag: Clone + Send + 'static {
    fn lagged(count: u64) -> Self;
}

/// A stream of what is received, which keeps `owner` alive.
pub(crate) fn events<T: Lag>(
    receiver: broadcast::Receiver<T>,
    owner: impl Send + Sync + 'static,
) -> Events<T> {
    let stream = stream::unfold((receiver, owner), |(mut receiver, owner)| async move {
        match receiver.recv().await {
            Ok(event) => Some((event, (receiver, owner))),
            Err(RecvError::Lagged(count)) => Some((T::lagged(count), (receiver, owner))),
            Err(RecvError::Closed) => None,
        }
    });
    Events { stream: stream.boxed() }
}

impl<T> Stream for Events<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.stream.poll_next_unpin(cx)
    }
}

impl<T> std::fmt::Debug for Events<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Lag for ChannelEvent {
    fn lagged(count: u64) -> Self {
        Self::Lagged(count)
    }
}

impl Lag for ConnectionEvent {
    fn lagged(count: u64) -> Self {
        Self::Lagged(count)
    }
}
