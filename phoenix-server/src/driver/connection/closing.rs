//! How a connection ends: what its channels are told, and what is still written.

use std::task::{Context, Poll};
use std::time::Instant;

use phoenix_proto::server::{CloseCode, CloseReason};

use super::{ChannelDriver, State};
use crate::End;
use crate::driver::closing::{end_of, poll_good_bye};
use crate::transport::{Disconnect, Transport};

impl<T: Transport> ChannelDriver<T> {
    pub(super) fn disconnect(&mut self, disconnect: Disconnect, now: Instant) {
        self.end(disconnect.end);
        self.state = match disconnect.code {
            None => State::Closed,
            code => State::Closing { code, deadline: now + self.parts.timeouts.close },
        };
    }

    pub(super) fn close(&mut self, reason: &CloseReason, now: Instant) {
        tracing::info!(?reason, dropped = self.parts.inbox.dropped(), "closing the connection");
        self.end(end_of(reason));
        self.state = State::Closing { code: Some(reason.code()), deadline: now + self.parts.timeouts.close };
    }

    /// The connection is over for the channels.
    pub(super) fn end(&mut self, end: End) {
        self.wind_down(end, true);
    }

    /// The same for one that is dropped: its runtime may be about to end, in which channels should not be called.
    pub(super) fn cut(&mut self, end: End) {
        self.wind_down(end, false);
    }

    fn wind_down(&mut self, end: End, at_once: bool) {
        self.parts.inbox.close();
        std::mem::take(&mut self.channels).wind_down(end, self.parts.timeouts.terminate, at_once);
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
        let (transport, outgoing) = (&mut self.transport, &mut self.outgoing);
        poll_good_bye(transport, outgoing, &mut self.timer, deadline, cx, |transport, cx| {
            transport.poll_close(cx, code)
        })
    }
}
