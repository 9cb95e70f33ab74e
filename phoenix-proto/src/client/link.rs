//! The connection: connecting, closing, reconnecting (protocol §19.4, §19.6).

use std::time::{Duration, Instant};

use super::backoff::Retry;
use super::config::Transport;
use super::event::{
    ChannelError, Closed, Command, ConnectRequest, ConnectionId, ConnectionState, SocketEvent,
};
use super::socket::{Socket, Timer};
use super::timers::TimerId;
use super::url::connect_url;
use crate::Text;

/// How long a connection may take to drain and close: 1.5 s for each in phoenix.js.
const TEARDOWN: Duration = Duration::from_secs(3);

/// The state of the one connection that a socket has at a time.
#[derive(Debug)]
pub(super) struct Link {
    /// The current connection, or the last one.
    pub(super) id: ConnectionId,
    pub(super) state: ConnectionState,
    pub(super) transport: Transport,
    /// How many connections ever opened.
    pub(super) established: u64,
    reconnect: Retry,
    teardown: Option<TimerId>,
    /// What follows on the end of the connection.
    after_close: AfterClose,
}

/// What follows on the end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterClose {
    /// A reconnect, unless the code is 1000.
    Decide,
    /// Nothing: the application disconnected.
    Stay,
    /// A reconnect whatever the code is: a heartbeat was missed.
    Reconnect,
}

impl Link {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            id: ConnectionId(0),
            state: ConnectionState::Closed,
            transport,
            established: 0,
            reconnect: Retry::default(),
            teardown: None,
            after_close: AfterClose::Decide,
        }
    }
}

impl Socket {
    /// Connects, and stays connected until [`disconnect`](Self::disconnect).
    ///
    /// Without effect on a connection that is open or being made. A connection that is being closed by
    /// `disconnect` is left behind, one that waits for a reconnect does it now.
    pub fn connect(&mut self, now: Instant) {
        match self.link.state {
            ConnectionState::Connecting | ConnectionState::Open => {}
            ConnectionState::Closing if self.link.after_close != AfterClose::Stay => {}
            ConnectionState::Closing => {
                let left_behind = Closed::by_frame(None, "");
                self.close_link(left_behind, false, now);
                self.start_connecting(now);
            }
            ConnectionState::Closed => self.start_connecting(now),
        }
    }

    /// Closes the connection and does not reconnect; channels are errored and rejoin at the next `connect`.
    ///
    /// Without a code the close frame has none, as in phoenix.js. The end is told by
    /// [`SocketEvent::Closed`], within three seconds; there is none when no connection existed.
    pub fn disconnect(&mut self, code: Option<u16>, reason: impl Into<Text>, now: Instant) {
        self.timers.clear(&mut self.fallback.timer);
        self.link.reconnect.reset(&mut self.timers);
        self.link.after_close = AfterClose::Stay;
        if matches!(self.link.state, ConnectionState::Connecting | ConnectionState::Open) {
            self.tear_down(code, reason.into(), now);
        }
    }

    /// A connection opened.
    pub fn handle_open(&mut self, connection: ConnectionId, now: Instant) {
        if connection != self.link.id || self.link.state != ConnectionState::Connecting {
            return;
        }
        self.link.state = ConnectionState::Open;
        self.link.established += 1;
        self.flush_send_buffer();
        for leaving in self.leaving.values_mut() {
            leaving.sent = true;
        }
        self.link.reconnect.reset(&mut self.timers);
        self.start_heartbeats(now);
        self.events.push_back(SocketEvent::Opened { transport: self.link.transport });
        self.rejoin_errored(now);
        self.fallback_opened(now);
    }

    /// A connection ended, or could not be made.
    pub fn handle_closed(&mut self, connection: ConnectionId, closed: Closed, now: Instant) {
        if connection != self.link.id || self.link.state == ConnectionState::Closed {
            return;
        }
        if closed.failed && self.falls_back_on_failure() {
            self.fall_back(now);
            return;
        }
        let reconnecting = match self.link.after_close {
            AfterClose::Decide => closed.code != 1000,
            AfterClose::Stay => false,
            AfterClose::Reconnect => true,
        };
        self.close_link(closed, reconnecting, now);
        if reconnecting {
            let random = self.random.next();
            self.link.reconnect.schedule(
                &mut self.timers,
                Timer::Reconnect,
                &self.config.reconnect,
                random,
                now,
            );
        }
    }

    /// Makes the next connection.
    pub(super) fn connect_transport(&mut self) {
        self.link.id.0 += 1;
        self.link.state = ConnectionState::Connecting;
        self.link.after_close = AfterClose::Decide;
        let config = &self.config;
        let url =
            connect_url(&config.endpoint, self.link.transport, &config.params.get(), config.serializer.vsn());
        let request = ConnectRequest { url, auth_token: config.auth_token.get() };
        let (connection, transport) = (self.link.id, self.link.transport);
        self.commands.push_back(Command::Connect { connection, transport, request });
    }

    /// Drops the connection, if there is one, without a word to the application.
    pub(super) fn abort_link(&mut self) {
        if self.link.state != ConnectionState::Closed {
            self.commands.push_back(Command::Abort { connection: self.link.id });
        }
        self.link.reconnect.reset(&mut self.timers);
        self.release_link();
    }

    /// Closes because of a missed heartbeat; a reconnect follows in any case.
    pub(super) fn close_to_reconnect(&mut self, now: Instant) {
        self.link.after_close = AfterClose::Reconnect;
        self.tear_down(Some(1000), Text::from_static("heartbeat timeout"), now);
    }

    pub(super) fn reconnect_due(&mut self, now: Instant) {
        self.link.reconnect.fired();
        if self.link.state == ConnectionState::Closed {
            self.start_connecting(now);
        }
    }

    /// The transport did not report the end in time (quirk Q33).
    pub(super) fn teardown_due(&mut self, now: Instant) {
        self.link.teardown = None;
        self.commands.push_back(Command::Abort { connection: self.link.id });
        self.handle_closed(self.link.id, Closed { failed: false, ..Closed::failed() }, now);
    }

    fn tear_down(&mut self, code: Option<u16>, reason: Text, now: Instant) {
        self.link.state = ConnectionState::Closing;
        self.stop_heartbeats();
        self.link.teardown = Some(self.timers.set(Timer::Teardown, TEARDOWN, now));
        self.commands.push_back(Command::Close { connection: self.link.id, code, reason });
    }

    fn close_link(&mut self, closed: Closed, reconnecting: bool, now: Instant) {
        let cause = if closed.failed {
            self.reset_rejoins();
            ChannelError::ConnectionFailed
        } else {
            ChannelError::ConnectionClosed
        };
        self.release_link();
        self.error_channels(&cause, now);
        self.lose_leaves();
        self.events.push_back(SocketEvent::Closed { closed, reconnecting });
    }

    /// Everything that goes with a connection.
    fn release_link(&mut self) {
        self.link.state = ConnectionState::Closed;
        self.timers.clear(&mut self.link.teardown);
        self.stop_heartbeats();
        self.lose_pings();
    }

    fn start_connecting(&mut self, now: Instant) {
        // The attempt takes the place of one that is scheduled, without starting the table over.
        self.link.reconnect.disarm(&mut self.timers);
        self.connect_with_fallback(now);
    }
}
