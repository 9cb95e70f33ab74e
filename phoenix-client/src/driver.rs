//! The task that drives the machine of one socket: facts in, orders and news out.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use phoenix_proto::Text;
use phoenix_proto::client::{Command, ConnectionId, ConnectionState, Transmit};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{sleep, sleep_until};

use crate::shared::{Core, Shared, now};
use crate::transport::{Environment, Fact, Order, Running, start};

/// How long a connection that was left behind may take to close.
const LINGER: Duration = Duration::from_secs(3);

/// How many facts are handled before the outputs are carried out.
const BATCH: usize = 64;

/// Drives a socket until all its handles are gone and its connection is closed.
pub(crate) struct Driver {
    pub(crate) shared: Arc<Shared>,
    pub(crate) environment: Environment,
    pub(crate) facts: mpsc::Receiver<(ConnectionId, Fact)>,
    /// The transport of the current connection.
    pub(crate) running: Option<Running>,
    /// A message for which the transport had no room.
    pub(crate) staged: Option<Transmit>,
    /// A close that comes after everything sent.
    pub(crate) close: Option<(ConnectionId, Option<u16>, Text)>,
}

impl Driver {
    pub(crate) async fn run(mut self) {
        loop {
            let (deadline, finished) = self.pump();
            if finished {
                return;
            }
            let blocked = self.staged.is_some() || self.close.is_some();
            let orders = self.running.as_ref().filter(|_| blocked).map(|running| running.orders.clone());
            tokio::select! {
                () = self.shared.wake.notified() => {}
                Some((connection, fact)) = self.facts.recv() => self.handle_facts(connection, fact),
                () = until(deadline) => self.shared.with(|core| core.machine.handle_timeout(now())),
                () = has_room(orders) => {}
            }
        }
    }

    fn handle_facts(&mut self, connection: ConnectionId, fact: Fact) {
        self.handle_fact(connection, fact);
        for _ in 1..BATCH {
            let Ok((connection, fact)) = self.facts.try_recv() else { return };
            self.handle_fact(connection, fact);
        }
    }

    fn handle_fact(&mut self, connection: ConnectionId, fact: Fact) {
        if matches!(fact, Fact::Closed(_)) && self.is_running(connection) {
            self.running = None;
        }
        self.shared.with(|core| match fact {
            Fact::Open => core.machine.handle_open(connection, now()),
            Fact::Frame(incoming) => core.machine.handle_frame(connection, incoming, now()),
            Fact::Closed(closed) => core.machine.handle_closed(connection, closed, now()),
        });
    }

    /// Carries the outputs of the machine out; when to wake it next, and whether all is over.
    fn pump(&mut self) -> (Option<Instant>, bool) {
        let shared = Arc::clone(&self.shared);
        shared.with(|core| {
            while let Some(transmit) = self.staged.take().or_else(|| core.machine.poll_transmit()) {
                if let Err(transmit) = self.transmit(transmit) {
                    self.staged = Some(transmit);
                    break;
                }
            }
            while let Some(command) = core.machine.poll_command() {
                self.execute(command);
            }
        });
        self.close_if_sent();
        let mut calls = Vec::new();
        // One event after the other: a callback that adds or removes callbacks does so for the next event.
        while shared.with(|core| core.tell_next(&shared.events, &mut calls)) {
            for call in calls.drain(..) {
                call.run();
            }
        }
        shared.with(|core| {
            let finished = core.abandoned && core.machine.state() == ConnectionState::Closed;
            (core.machine.poll_timeout(), finished)
        })
    }

    fn transmit(&self, transmit: Transmit) -> Result<(), Transmit> {
        let Some(running) = self.running.as_ref().filter(|running| running.connection == transmit.connection)
        else {
            return Ok(());
        };
        match running.orders.try_send(Order::Send(transmit.data)) {
            Err(TrySendError::Full(Order::Send(data))) => Err(Transmit { data, ..transmit }),
            _ => Ok(()),
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Connect { connection, transport, request } => {
                if let Some(left_behind) = self.running.take() {
                    tokio::spawn(async move {
                        sleep(LINGER).await;
                        drop(left_behind);
                    });
                }
                self.running = Some(start(&self.environment, connection, transport, request));
            }
            Command::Close { connection, code, reason } => {
                self.close = Some((connection, code, reason));
                self.close_if_sent();
            }
            Command::Abort { connection } => {
                if self.is_running(connection) {
                    self.running = None;
                }
            }
        }
    }

    /// Orders the close once nothing is waiting in front of it.
    fn close_if_sent(&mut self) {
        let staged = self.staged.as_ref().map(|transmit| transmit.connection);
        let Some((connection, code, reason)) = self.close.take() else { return };
        let Some(running) = self.running.as_ref().filter(|running| running.connection == connection) else {
            return;
        };
        if staged == Some(connection)
            || matches!(
                running.orders.try_send(Order::Close { code, reason: reason.clone() }),
                Err(TrySendError::Full(_))
            )
        {
            self.close = Some((connection, code, reason));
        }
    }

    fn is_running(&self, connection: ConnectionId) -> bool {
        self.running.as_ref().is_some_and(|running| running.connection == connection)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.with(Core::end);
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

/// Waits until a transport takes an order; for ever without one.
async fn has_room(orders: Option<mpsc::Sender<Order>>) {
    match orders {
        // A transport that has ended reports that itself.
        Some(orders) => match orders.reserve().await {
            Ok(_) => {}
            Err(_) => pending().await,
        },
        None => pending().await,
    }
}
