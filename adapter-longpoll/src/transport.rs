//! A session as the transport of a connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use phoenix_proto::longpoll::Ended;
use phoenix_server::{CloseCode, Disconnect, End, Incoming, Outgoing, Transport};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::session::{Live, Session};
use crate::sessions::Entry;

/// The end of a session that its connection holds. With the connection the session is over.
pub(crate) struct SessionTransport {
    session: Arc<Session>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The session can be found as long as this is held.
    _entry: Entry,
}

impl SessionTransport {
    pub(crate) fn new(session: Arc<Session>, entry: Entry) -> Self {
        Self { session, timer: None, _entry: entry }
    }

    /// Whether the session is over, and why; otherwise the task is woken when it may be.
    fn check(live: &mut Live, timer: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> Option<End> {
        loop {
            if let Some(end) = ended(live) {
                return Some(end);
            }
            let deadline = Instant::from_std(live.machine().poll_timeout()?);
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            // A deadline that moved away is looked at when the one before it comes.
            if timer.deadline() > deadline || timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return None;
            }
            live.handle_timeout();
        }
    }
}

fn ended(live: &mut Live) -> Option<End> {
    live.machine().ended().map(|ended| match ended {
        Ended::Inactive => End::Inactive,
        Ended::Overflow => End::TooSlow,
    })
}

impl Transport for SessionTransport {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        incoming: &mut Vec<Incoming>,
    ) -> Poll<Result<(), Disconnect>> {
        let timer = &mut self.timer;
        let received = self.session.with(|live| {
            live.set_connection(cx.waker());
            // What was taken before is dealt with, or nothing more would be asked for.
            live.acknowledge();
            if let Some(message) = live.receive() {
                incoming.push(message);
                return Poll::Ready(Ok(()));
            }
            live.acknowledge();
            match Self::check(live, timer, cx) {
                Some(end) => Poll::Ready(Err(Disconnect::silent(end))),
                None => Poll::Pending,
            }
        });
        received.unwrap_or_else(|| {
            let end = self.session.ended().unwrap_or(End::PeerClosed);
            Poll::Ready(Err(Disconnect::silent(end)))
        })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, outgoing: &mut Outgoing) -> Poll<io::Result<()>> {
        let timer = &mut self.timer;
        let ended = self.session.with(|live| {
            let was_over = ended(live).is_some();
            live.send(outgoing);
            let is_over = Self::check(live, timer, cx).is_some();
            if is_over && !was_over {
                // `poll_receive` can say why; it is not asked while the channels are behind.
                cx.waker().wake_by_ref();
            }
            was_over
        });
        match ended {
            Some(false) => Poll::Ready(Ok(())),
            Some(true) | None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    fn handled(&mut self) {
        self.session.with(Live::acknowledge);
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: Option<CloseCode>) -> Poll<()> {
        self.session.end(End::PeerClosed);
        Poll::Ready(())
    }
}

impl Drop for SessionTransport {
    fn drop(&mut self) {
        self.session.end(End::PeerClosed);
    }
}
