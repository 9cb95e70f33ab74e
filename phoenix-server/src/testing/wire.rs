use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use phoenix_proto::client::{ClientSerializer, Outgoing as Encoded, Received};
use phoenix_proto::server::CloseCode;
use phoenix_proto::{Incoming, Message, Opcode, Text, V2};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::transport::{Disconnect, Outgoing, Transport};

/// What lies between a test and its connection, and has not been asserted yet.
#[derive(Default)]
pub(super) struct Wire {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    to_server: Vec<Incoming>,
    /// The client is gone.
    cut: bool,
    server: Option<Waker>,
    received: VecDeque<Received>,
    closed: bool,
    code: Option<CloseCode>,
}

/// The server's end.
pub(super) struct ServerEnd(pub(super) Arc<Wire>);

impl Wire {
    /// Sends a message to the server.
    ///
    /// # Panics
    /// If the message cannot be encoded.
    pub(super) fn send(&self, message: &Message) {
        let incoming = match V2.encode(message).expect("the message can be encoded") {
            Encoded::Text(text) => Incoming::Text(text),
            Encoded::Binary(data) => Incoming::Binary(data),
        };
        self.change(|state| state.to_server.push(incoming));
    }

    /// Lets the connection break.
    pub(super) fn cut(&self) {
        self.change(|state| state.cut = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        if let Some(waker) = state.server.take() {
            waker.wake();
        }
    }

    /// Takes the first message for which `pick` returns something, now or within the time.
    ///
    /// # Errors
    /// What is there, for people to read, if none is.
    pub(super) async fn find<T>(
        &self,
        within: Duration,
        mut pick: impl FnMut(&Received) -> Option<T>,
    ) -> Result<T, String> {
        let find = |state: &mut State| {
            let found =
                state.received.iter().enumerate().find_map(|(at, received)| Some((at, pick(received)?)));
            found.map(|(at, picked)| {
                state.received.remove(at);
                picked
            })
        };
        let found = self.wait(within, find).await;
        found.ok_or_else(|| {
            let state = self.state.lock();
            format!("within {within:?}; received: {:#?}, closed: {:?}", state.received, state.closed)
        })
    }

    /// The code with which the server closed the connection, once it does.
    pub(super) async fn closed(&self, within: Duration) -> Option<CloseCode> {
        self.wait(within, |state| state.closed.then_some(state.code)).await.flatten()
    }

    async fn wait<T>(&self, within: Duration, mut check: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + within;
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = check(&mut self.state.lock()) {
                return Some(found);
            }
            if timeout_at(deadline, changed).await.is_err() {
                return None;
            }
        }
    }
}

impl Transport for ServerEnd {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        incoming: &mut Vec<Incoming>,
    ) -> Poll<Result<(), Disconnect>> {
        let mut state = self.0.state.lock();
        if !state.to_server.is_empty() {
            incoming.append(&mut state.to_server);
            return Poll::Ready(Ok(()));
        }
        if state.cut {
            return Poll::Ready(Err(Disconnect::GONE));
        }
        state.server = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_send(&mut self, _: &mut Context<'_>, outgoing: &mut Outgoing) -> Poll<io::Result<()>> {
        let mut state = self.0.state.lock();
        while let Some(frame) = outgoing.pop() {
            let incoming = match frame.opcode() {
                Opcode::Text => {
                    Text::from_utf8(frame.payload()).map(Incoming::Text).map_err(io::Error::other)?
                }
                Opcode::Binary => Incoming::Binary(frame.payload()),
                Opcode::Ping | Opcode::Pong => continue,
            };
            state.received.push_back(V2.decode(incoming).map_err(io::Error::other)?);
        }
        drop(state);
        self.0.changed.notify_waiters();
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, code: Option<CloseCode>) -> Poll<()> {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.code = code;
        drop(state);
        self.0.changed.notify_waiters();
        Poll::Ready(())
    }
}
