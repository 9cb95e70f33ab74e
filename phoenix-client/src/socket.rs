//! The handle of a socket.

use std::sync::Arc;
use std::time::Duration;

use phoenix_proto::Text;
use phoenix_proto::client::{ConnectionState, Counters};
use tokio::sync::{oneshot, watch};

use crate::builder::SocketBuilder;
use crate::channel::Channel;
use crate::error::{ConnectError, PingError};
use crate::events::{ConnectionEvent, Events, events};
use crate::outcome::Outcome;
use crate::params::Params;
use crate::shared::{Dropped, Shared};

/// A connection to a Phoenix server that re-establishes itself, and the channels on it.
///
/// It is a handle: clones are the same socket. The connection is kept as long as there is a handle of the
/// socket, of one of its channels, or a stream of events; dropping the last one disconnects. What was pushed
/// before is sent first.
#[derive(Clone)]
pub struct Socket {
    handle: Arc<Handle>,
}

/// Disconnects when the last handle is gone.
struct Handle {
    shared: Arc<Shared>,
}

impl Socket {
    /// A socket mounted at this address, without the transport: `wss://example.com/socket`.
    pub fn builder(endpoint: impl Into<Text>) -> SocketBuilder {
        SocketBuilder::new(endpoint)
    }

    /// Connects now, and reconnects from now on. The call does it; the future tells how this attempt ends.
    ///
    /// [`SocketBuilder::connect`] has done this already; it is needed after a [`disconnect`](Self::disconnect),
    /// or when the server closed the connection for good (with code 1000).
    ///
    /// # Errors
    /// [`ConnectError`]. Unless the socket is disconnected, it goes on trying.
    pub fn connect(&self) -> Outcome<Result<(), ConnectError>> {
        let ended = self.shared().act(|core, now| {
            core.machine.connect(now);
            let (sender, ended) = oneshot::channel();
            if core.machine.state() == ConnectionState::Open {
                let _ = sender.send(Ok(()));
            } else if !core.ended {
                core.connects.push(sender);
            }
            ended
        });
        Outcome::new(async { ended.await.unwrap_or(Err(ConnectError::Disconnected)) })
    }

    /// Closes the connection and does not reconnect. The call does it; the future waits until it is closed.
    ///
    /// Channels are kept, and rejoin after [`connect`](Self::connect).
    pub fn disconnect(&self) -> Outcome<()> {
        self.disconnect_with(None, "")
    }

    /// Closes the connection with a code and a reason, and does not reconnect.
    pub fn disconnect_with(&self, code: Option<u16>, reason: impl Into<Text>) -> Outcome<()> {
        let mut state = self.watch_state();
        let reason = reason.into();
        self.shared().act(|core, now| {
            core.machine.disconnect(code, reason, now);
            core.end_connects(&Err(ConnectError::Disconnected));
        });
        Outcome::new(async move {
            // An error means that the socket is gone, connection included.
            let _ = state.wait_for(|state| *state == ConnectionState::Closed).await;
        })
    }

    /// A channel of this socket, which does nothing before [`Channel::join`].
    pub fn channel(&self, topic: impl Into<Text>, params: impl Into<Params>) -> Channel {
        Channel::new(self.clone(), topic.into(), params.into())
    }

    /// Measures a round trip with an extra heartbeat.
    ///
    /// # Errors
    /// [`PingError`] when no connection is open, or it ends before the answer.
    pub fn ping(&self) -> Outcome<Result<Duration, PingError>> {
        let answered = self.shared().act(|core, now| {
            let ping = core.machine.ping(now)?;
            let (sender, answered) = oneshot::channel();
            core.pings.insert(ping, sender);
            Some(answered)
        });
        Outcome::new(async {
            match answered {
                Some(answered) => answered.await.ok().flatten().ok_or(PingError),
                None => Err(PingError),
            }
        })
    }

    /// The state of the connection.
    pub fn state(&self) -> ConnectionState {
        *self.shared().state.borrow()
    }

    /// The state of the connection, to be watched for changes. It does not keep the socket alive.
    pub fn watch_state(&self) -> watch::Receiver<ConnectionState> {
        self.shared().state.subscribe()
    }

    /// What happens to the connection from now on.
    pub fn events(&self) -> Events<ConnectionEvent> {
        events(self.shared().events.subscribe(), self.clone())
    }

    /// How often something was dropped.
    pub fn counters(&self) -> Counters {
        self.shared().with(|core| core.machine.counters())
    }

    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { handle: Arc::new(Handle { shared }) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.drop_handle(Dropped::Socket);
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("state", &self.state()).finish_non_exhaustive()
    }
}
