//! How a connection ends: what its channels are told, and what is still written.

use std::task::{Context, Poll, ready};
use std::time::Instant;

use phoenix_proto::server::{CloseCode, CloseReason};

use super::{Driver, State, now};
use crate::End;
use crate::transport::{Disconnect, Transport};

impl<T: Transport> Driver<T> {
    pub(super) fn disconnect(&mut self, disconnect: Disconnect, now: Instant) {
        self.end(disconnect.end);
        self.state = match disconnect.code {
            None => State::Closed,
            code => State::Closing { code, deadline: now + self.parts.timeouts.close },
        };
    }

    pub(super) fn close(&mut self, reason: &CloseReason, now: Instant) {
        tracing::info!(?reason, dropped = self.parts.inbox.dropped(), "closing the connection");
        self.end(match reason {
            CloseReason::Disconnected => End::Disconnected,
            CloseReason::Draining => End::Draining,
            CloseReason::Idle => End::IdleTimeout,
            CloseReason::Malformed(_) => End::ProtocolError,
            CloseReason::TooSlow => End::TooSlow,
            _ => End::Internal,
        });
        self.state = State::Closing { code: Some(reason.code()), deadline: now + self.parts.timeouts.close };
    }

    /// The connection is over for the channels.
    pub(super) fn end(&mut self, end: End) {
        self.parts.inbox.close();
        std::mem::take(&mut self.channels).wind_down(end, self.parts.timeouts.terminate);
    }

    pub(super) fn poll_closing(
        &mut self,
        code: Option<CloseCode>,
        deadline: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        while let Some(frame) = self.machine.poll_transmit() {
            self.outgoing.push(frame);
        }
        let closed = match self.transport.poll_send(cx, &mut self.outgoing) {
            Poll::Ready(Ok(())) => self.transport.poll_close(cx, code),
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        };
        if closed.is_pending() {
            self.timer.disarm();
            ready!(self.timer.poll(Some(deadline), cx));
            if now() < deadline {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}
