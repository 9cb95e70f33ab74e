//! The tasks that do the IO of one connection each.
//!
//! A transport waits for the driver when it reports facts; the driver never waits for a transport, it offers
//! it one order at a time among everything else.

mod http;
mod long_poll;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use phoenix_proto::client::{Closed, ConnectRequest, ConnectionId, Outgoing, Transport};
use phoenix_proto::{Incoming, Text};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::connector::Connect;
use crate::wire::{Observe, WireEvent};

/// How many orders and facts may be on their way; more wait at their source.
const IN_TRANSIT: usize = 64;

/// What a transport is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Send a message.
    Send(Outgoing),
    /// Close, after everything sent before.
    Close { code: Option<u16>, reason: Text },
}

/// What a transport reports; `Closed` is the last.
#[derive(Debug)]
pub(crate) enum Fact {
    Open,
    Frame(Incoming),
    Closed(Closed),
}

/// Whom a transport reports to.
pub(crate) type Facts = mpsc::Sender<(ConnectionId, Fact)>;

/// A running transport; dropping it ends the connection at once.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) connection: ConnectionId,
    pub(crate) orders: mpsc::Sender<Order>,
    task: AbortHandle,
}

/// What all transports of a socket share.
#[derive(Clone)]
pub(crate) struct Environment {
    pub(crate) connector: Arc<dyn Connect>,
    pub(crate) observer: Option<Arc<dyn Observe>>,
    pub(crate) facts: Facts,
    pub(crate) connect_timeout: Duration,
    pub(crate) long_poll_timeout: Duration,
}

/// What one transport needs to report.
#[derive(Clone)]
struct Link {
    connection: ConnectionId,
    environment: Environment,
}

/// Starts a transport.
pub(crate) fn start(
    environment: &Environment,
    connection: ConnectionId,
    transport: Transport,
    request: ConnectRequest,
) -> Running {
    let (orders, received) = mpsc::channel(IN_TRANSIT);
    let link = Link { connection, environment: environment.clone() };
    let task = tokio::spawn(async move {
        let closed = match transport {
            Transport::WebSocket => websocket::run(&link, &request, received).await,
            Transport::LongPoll => long_poll::run(&link, &request, received).await,
        };
        link.report(Fact::Closed(closed)).await;
    });
    Running { connection, orders, task: task.abort_handle() }
}

/// A channel for facts.
pub(crate) fn facts() -> (Facts, mpsc::Receiver<(ConnectionId, Fact)>) {
    mpsc::channel(IN_TRANSIT)
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    async fn report(&self, fact: Fact) {
        // Without a driver nobody wants to know.
        let _ = self.environment.facts.send((self.connection, fact)).await;
    }

    fn observe(&self, event: &WireEvent<'_>) {
        if let Some(observer) = &self.environment.observer {
            observer.observe(self.connection, event);
        }
    }
}
