//! How the connection ends: what its socket is told, and what is still written.

use std::collections::VecDeque;
use std::task::{Context, Waker};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use phoenix_proto::server::{CloseCode, CloseReason};
use tracing::Instrument;

use super::{Phase, RawDriver, State};
use crate::End;
use crate::driver::closing::end_of;
use crate::raw::Close;
use crate::transport::{Disconnect, Transport};

impl<T: Transport> RawDriver<T> {
    pub(super) fn disconnect(&mut self, disconnect: Disconnect, now: Instant) {
        self.end(disconnect.end, disconnect.peer_code);
        match disconnect.code {
            Some(code) => self.begin_closing(code.into(), now),
            None => self.state = State::Closed,
        }
    }

    pub(super) fn close(&mut self, reason: &CloseReason, now: Instant) {
        tracing::info!(?reason, dropped = self.inbox.dropped(), "closing the connection");
        self.end(end_of(reason), None);
        self.begin_closing(reason.code().into(), now);
    }

    pub(super) fn begin_closing(&mut self, close: Close, now: Instant) {
        self.state = State::Closing { close, deadline: now + self.timeouts.close };
    }

    /// The connection is over for the socket: it finishes the callback it is in, then runs its last one, before the client
    /// is told unless one of them waits.
    pub(super) fn end(&mut self, end: End, code: Option<CloseCode>) {
        let mut last_callbacks = self.last_callbacks(end, code);
        // The task polls it again, with a waker.
        if last_callbacks.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.run_apart(last_callbacks);
        }
    }

    fn last_callbacks(&mut self, end: End, code: Option<CloseCode>) -> BoxFuture<'static, ()> {
        self.inbox.close();
        self.queue = VecDeque::new();
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Idle(runner) => runner.terminate(end, code),
            Phase::Running { callback, .. } => {
                async move { callback.await.0.terminate(end, code).await }.boxed()
            }
            Phase::Over => std::future::ready(()).boxed(),
        }
    }

    fn run_apart(&self, last_callbacks: BoxFuture<'static, ()>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let grace = self.timeouts.terminate;
        let in_time = async move {
            if tokio::time::timeout(grace, last_callbacks).await.is_err() {
                tracing::warn!("the socket did not terminate in time");
            }
        };
        runtime.spawn(in_time.instrument(self.span.clone()));
    }
}

impl<T: Transport> Drop for RawDriver<T> {
    fn drop(&mut self) {
        if matches!(self.state, State::Open) {
            // Its runtime may be about to end, in which the socket should not be called.
            let last_callbacks = self.last_callbacks(End::PeerClosed, None);
            self.run_apart(last_callbacks);
        }
    }
}
