//! What the handles and the driver of one socket share.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use phoenix_proto::client::{
    ChannelError, ChannelId, ConnectionState, PingId, PushId, PushOutcome, Socket as Machine, SocketEvent,
};
use phoenix_proto::{Payload, Ref, Status};
use tokio::sync::{Notify, broadcast, oneshot, watch};

use crate::Reply;
use crate::error::{ConnectError, JoinError};
use crate::events::{ChannelEvent, ConnectionEvent};

/// The state of a socket. Handles put intents in, the driver puts facts in and carries outputs out.
pub(crate) struct Shared {
    core: Mutex<Core>,
    /// What handles that are gone have left to be done.
    ///
    /// It has a lock of its own, because a handle may be dropped under the lock of the core: a callback or a
    /// params function that holds it goes with its channel.
    dropped: Mutex<Vec<Dropped>>,
    /// Wakes the driver.
    pub(crate) wake: Notify,
    pub(crate) state: watch::Sender<ConnectionState>,
    pub(crate) events: broadcast::Sender<ConnectionEvent>,
    pub(crate) event_buffer: usize,
}

/// A handle that is gone.
pub(crate) enum Dropped {
    /// A presence, with the callback that fills it.
    Callback(ChannelId, CallbackId),
    /// The last one of a channel.
    Channel(ChannelId),
    /// The last one of all.
    Socket,
}

/// The machine, and who waits for what it tells.
pub(crate) struct Core {
    pub(crate) machine: Machine,
    pub(crate) channels: HashMap<ChannelId, Slot>,
    pub(crate) pushes: HashMap<PushId, oneshot::Sender<PushOutcome>>,
    pub(crate) pings: HashMap<PingId, oneshot::Sender<Option<Duration>>>,
    pub(crate) connects: Vec<oneshot::Sender<Result<(), ConnectError>>>,
    /// All handles are gone: the driver ends with the connection.
    pub(crate) abandoned: bool,
    /// The driver is gone: nothing will ever be answered.
    pub(crate) ended: bool,
}

/// Who listens to a channel.
pub(crate) struct Slot {
    pub(crate) events: broadcast::Sender<ChannelEvent>,
    pub(crate) callbacks: Vec<(CallbackId, Arc<Callback>)>,
    pub(crate) last_callback: u64,
    pub(crate) join: Option<oneshot::Sender<Result<Reply, JoinError>>>,
}

/// A function that is told what happens to a channel, with the reference of the join that a message is for.
pub(crate) type Callback = dyn Fn(&ChannelEvent, Option<&Ref>) + Send + Sync;

/// Names one callback of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallbackId(pub(crate) u64);

/// A callback that is due, to be called without the lock.
pub(crate) struct Call {
    callback: Arc<Callback>,
    event: ChannelEvent,
    join_ref: Option<Ref>,
}

impl Shared {
    pub(crate) fn new(machine: Machine, event_buffer: usize) -> Self {
        Self {
            core: Mutex::new(Core {
                machine,
                channels: HashMap::new(),
                pushes: HashMap::new(),
                pings: HashMap::new(),
                connects: Vec::new(),
                abandoned: false,
                ended: false,
            }),
            dropped: Mutex::new(Vec::new()),
            wake: Notify::new(),
            state: watch::Sender::new(ConnectionState::Closed),
            events: broadcast::Sender::new(event_buffer),
            event_buffer,
        }
    }

    /// Asks or tells the socket something, and wakes the driver to carry out what follows.
    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut Core, Instant) -> T) -> T {
        let done = self.with(|core| act(core, now()));
        self.wake.notify_one();
        done
    }

    /// Uses the core, and publishes the state of the connection if that has changed.
    pub(crate) fn with<T>(&self, use_core: impl FnOnce(&mut Core) -> T) -> T {
        let mut core = self.core.lock();
        self.clean_up(&mut core);
        let done = use_core(&mut core);
        let state = core.machine.state();
        self.state.send_if_modified(|published| std::mem::replace(published, state) != state);
        done
    }

    /// Notes that the last handle of something is gone. This never waits for the core.
    pub(crate) fn drop_handle(&self, dropped: Dropped) {
        self.dropped.lock().push(dropped);
        self.wake.notify_one();
    }

    fn clean_up(&self, core: &mut Core) {
        loop {
            // Leaving a channel may drop further handles.
            let dropped = std::mem::take(&mut *self.dropped.lock());
            if dropped.is_empty() {
                return;
            }
            for handle in dropped {
                match handle {
                    Dropped::Callback(channel, callback) => core.remove_callback(channel, callback),
                    Dropped::Channel(channel) => {
                        core.machine.leave(channel, None, now());
                    }
                    Dropped::Socket => {
                        core.abandoned = true;
                        core.machine.disconnect(None, "", now());
                    }
                }
            }
        }
    }
}

/// The time as the machine sees it; tokio's, so that tests can stop it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Core {
    /// Tells the next event to everybody whom it concerns, and collects the callbacks that are due; false when
    /// there is none.
    pub(crate) fn tell_next(
        &mut self,
        connections: &broadcast::Sender<ConnectionEvent>,
        calls: &mut Vec<Call>,
    ) -> bool {
        let Some(event) = self.machine.poll_event() else { return false };
        self.tell(event, connections, calls);
        true
    }

    fn tell(
        &mut self,
        event: SocketEvent,
        connections: &broadcast::Sender<ConnectionEvent>,
        calls: &mut Vec<Call>,
    ) {
        // A receiver that is gone does not want to know.
        let connection_event = match event {
            SocketEvent::PushEnded { push, outcome } => {
                self.pushes.remove(&push).map(|waiting| waiting.send(outcome));
                return;
            }
            SocketEvent::Pong { ping, rtt } => {
                self.pings.remove(&ping).map(|waiting| waiting.send(rtt));
                return;
            }
            SocketEvent::Joined { channel, response } => {
                let reply = Reply { status: Status::OK, payload: response.clone() };
                return self.tell_channel(channel, ChannelEvent::Joined(response), Some(Ok(reply)), calls);
            }
            SocketEvent::JoinRefused { channel, response } => {
                let outcome = Err(JoinError::Refused(response.clone()));
                let event = ChannelEvent::JoinRefused(response);
                return self.tell_channel(channel, event, Some(outcome), calls);
            }
            SocketEvent::JoinTimedOut { channel } => {
                let outcome = Err(JoinError::Timeout);
                return self.tell_channel(channel, ChannelEvent::JoinTimedOut, Some(outcome), calls);
            }
            SocketEvent::ChannelErrored { channel, cause } => {
                let own = matches!(cause, ChannelError::Crashed(_) | ChannelError::Unencodable(_));
                // A join whose connection is lost is repeated with the next one.
                let outcome = own.then(|| Err(JoinError::Channel(cause.clone())));
                return self.tell_channel(channel, ChannelEvent::Errored(cause), outcome, calls);
            }
            SocketEvent::ChannelClosed { channel, cause } => {
                let outcome = Err(JoinError::Closed(cause));
                self.tell_channel(channel, ChannelEvent::Closed(cause), Some(outcome), calls);
                self.channels.remove(&channel);
                return;
            }
            SocketEvent::Message { channel, join_ref, message } => {
                return self.tell_callbacks(
                    channel,
                    ChannelEvent::Message(message),
                    join_ref.as_ref(),
                    calls,
                );
            }
            SocketEvent::Opened { transport } => {
                self.end_connects(&Ok(()));
                ConnectionEvent::Opened(transport)
            }
            SocketEvent::Closed { closed, reconnecting } => {
                let error = match closed.http_status {
                    Some(status) => ConnectError::Refused(status),
                    None => ConnectError::Failed(closed.clone()),
                };
                self.end_connects(&Err(error));
                ConnectionEvent::Closed { closed, reconnecting }
            }
            SocketEvent::FellBack => ConnectionEvent::FellBack,
            SocketEvent::FallbackConfirmed => ConnectionEvent::FallbackConfirmed,
            SocketEvent::Undecodable(error) => ConnectionEvent::Undecodable(error),
            _ => return,
        };
        let _ = connections.send(connection_event);
    }

    /// The outcome of a push.
    pub(crate) fn wait_for(&mut self, push: PushId) -> oneshot::Receiver<PushOutcome> {
        let (sender, ended) = oneshot::channel();
        if !self.ended {
            self.pushes.insert(push, sender);
        }
        ended
    }

    pub(crate) fn remove_callback(&mut self, channel: ChannelId, callback: CallbackId) {
        if let Some(slot) = self.channels.get_mut(&channel) {
            slot.callbacks.retain(|(id, _)| *id != callback);
        }
    }

    /// Ends everything that waits for a connection to open.
    pub(crate) fn end_connects(&mut self, outcome: &Result<(), ConnectError>) {
        for waiting in self.connects.drain(..) {
            let _ = waiting.send(outcome.clone());
        }
    }

    /// The driver is gone: whoever waits learns that by the end of his channel.
    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.channels.clear();
        self.pushes.clear();
        self.pings.clear();
        self.connects.clear();
    }

    fn tell_channel(
        &mut self,
        channel: ChannelId,
        event: ChannelEvent,
        joined: Option<Result<Reply, JoinError>>,
        calls: &mut Vec<Call>,
    ) {
        if let Some(slot) = self.channels.get_mut(&channel)
            && let Some(outcome) = joined
            && let Some(waiting) = slot.join.take()
        {
            let _ = waiting.send(outcome);
        }
        self.tell_callbacks(channel, event, None, calls);
    }

    fn tell_callbacks(
        &mut self,
        channel: ChannelId,
        event: ChannelEvent,
        join_ref: Option<&Ref>,
        calls: &mut Vec<Call>,
    ) {
        let Some(slot) = self.channels.get(&channel) else { return };
        calls.extend(slot.callbacks.iter().map(|(_, callback)| Call {
            callback: Arc::clone(callback),
            event: event.clone(),
            join_ref: join_ref.cloned(),
        }));
        let _ = slot.events.send(event);
    }
}

impl Call {
    pub(crate) fn run(self) {
        guarded(|| (self.callback)(&self.event, self.join_ref.as_ref()));
    }
}

/// Calls into the application. A panic there is its own: the socket and the other callbacks go on.
pub(crate) fn guarded(call: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(call)).is_err() {
        tracing::error!("a callback of a channel panicked");
    }
}

impl Slot {
    pub(crate) fn new(event_buffer: usize) -> Self {
        Self {
            events: broadcast::Sender::new(event_buffer),
            callbacks: Vec::new(),
            last_callback: 0,
            join: None,
        }
    }
}

/// The payload of a push, or why there is none.
pub(crate) type Encoded = Result<Payload, phoenix_proto::PayloadError>;
