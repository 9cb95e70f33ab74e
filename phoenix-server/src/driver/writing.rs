use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::transport::{Outgoing, Transport};

/// Writes what goes without waiting. `deadline` is until when something has to go, while the transport is blocked.
#[inline]
pub(super) fn write<T: Transport>(
    transport: &mut T,
    outgoing: &mut Outgoing,
    deadline: &mut Option<Instant>,
    timeout: Duration,
    now: Instant,
    cx: &mut Context<'_>,
) -> io::Result<()> {
    let before = outgoing.load();
    match transport.poll_send(cx, outgoing) {
        Poll::Ready(Ok(())) => *deadline = None,
        Poll::Ready(Err(error)) => {
            tracing::debug!(%error, "write failed");
            return Err(error);
        }
        Poll::Pending => {
            if deadline.is_none() || outgoing.load() != before {
                *deadline = Some(now + timeout);
            }
        }
    }
    Ok(())
}
