//! How connections end, with channels or without.

use std::task::{Context, Poll, ready};
use std::time::Instant;

use phoenix_proto::server::CloseReason;

use super::timer::{Timer, now};
use crate::End;
use crate::transport::{Outgoing, Transport};

/// What those are told whose connection the server closes.
pub(super) fn end_of(reason: &CloseReason) -> End {
    match reason {
        CloseReason::Disconnected => End::Disconnected,
        CloseReason::Draining => End::Draining,
        CloseReason::Idle => End::IdleTimeout,
        CloseReason::Malformed(_) => End::ProtocolError,
        CloseReason::TooSlow => End::TooSlow,
        _ => End::Internal,
    }
}

/// Writes what is left, then closes; ready when that is done, or at the deadline.
pub(super) fn poll_good_bye<T: Transport>(
    transport: &mut T,
    outgoing: &mut Outgoing,
    timer: &mut Timer,
    deadline: Instant,
    cx: &mut Context<'_>,
    close: impl FnOnce(&mut T, &mut Context<'_>) -> Poll<()>,
) -> Poll<()> {
    let closed = match transport.poll_send(cx, outgoing) {
        Poll::Ready(Ok(())) => close(transport, cx),
        Poll::Ready(Err(_)) => Poll::Ready(()),
        Poll::Pending => Poll::Pending,
    };
    if closed.is_pending() {
        timer.disarm();
        ready!(timer.poll(Some(deadline), now(), cx));
        if now() < deadline {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
    }
    Poll::Ready(())
}
