//! From WebSockets to long polling (protocol §19.9, quirk Q29).

use std::time::Instant;

use super::config::{Fallback, Transport};
use super::event::{ChannelError, ConnectionState, SocketEvent};
use super::socket::{Socket, Timer};
use super::timers::TimerId;

/// How far the procedure has come.
#[derive(Debug, Default)]
pub(super) struct FallbackState {
    /// Until the socket gives up on the WebSocket.
    pub(super) timer: Option<TimerId>,
    /// Whether the procedure watches the present connection.
    watching: bool,
    /// Whether a WebSocket has ever answered a ping.
    healthy: bool,
    /// Whether long polling is in use because of the procedure, and has not opened yet.
    unconfirmed: bool,
}

impl Socket {
    /// Connects, by the procedure if one is configured and the transport is a WebSocket.
    pub(super) fn connect_with_fallback(&mut self, now: Instant) {
        self.timers.clear(&mut self.fallback.timer);
        self.fallback.watching = false;
        if let Some(fallback) = self.active_fallback() {
            if fallback.memorized {
                self.fall_back(now);
                return;
            }
            self.refs.burn(2);
            self.fallback.watching = true;
            self.fallback.timer = Some(self.timers.set(Timer::Fallback, fallback.after, now));
        }
        self.connect_transport();
    }

    /// The connection opened: a WebSocket has to prove that messages get through.
    pub(super) fn fallback_opened(&mut self, now: Instant) {
        if std::mem::take(&mut self.fallback.unconfirmed) && !self.fallback.healthy {
            self.events.push_back(SocketEvent::FallbackConfirmed);
        }
        if self.fallback.watching
            && let Some(fallback) = self.active_fallback()
        {
            self.timers.clear(&mut self.fallback.timer);
            self.fallback.timer = Some(self.timers.set(Timer::Fallback, fallback.after, now));
            self.ping_for_health(now);
        }
    }

    /// A WebSocket answered the ping.
    pub(super) fn primary_is_healthy(&mut self) {
        self.fallback.healthy = true;
        self.timers.clear(&mut self.fallback.timer);
    }

    /// Whether the failure of the present connection means to give up on WebSockets: if it has not opened.
    pub(super) fn falls_back_on_failure(&self) -> bool {
        self.fallback.watching && self.link.state == ConnectionState::Connecting
    }

    pub(super) fn fallback_due(&mut self, now: Instant) {
        self.fallback.timer = None;
        self.fall_back(now);
    }

    /// Uses long polling from here on.
    pub(super) fn fall_back(&mut self, now: Instant) {
        self.timers.clear(&mut self.fallback.timer);
        self.fallback.watching = false;
        self.fallback.unconfirmed = true;
        self.reset_rejoins();
        self.abort_link();
        // Before anything was established, joins wait in the send buffer and go out by the new transport.
        if self.link.established > 0 {
            self.error_channels(&ChannelError::ConnectionFailed, now);
            self.lose_leaves();
        }
        self.link.transport = Transport::LongPoll;
        self.events.push_back(SocketEvent::FellBack);
        self.connect_transport();
    }

    /// The procedure, as far as it concerns the present transport.
    fn active_fallback(&self) -> Option<Fallback> {
        self.config.fallback.filter(|fallback| {
            self.link.transport == Transport::WebSocket
                && !(fallback.keep_healthy_primary && self.fallback.healthy)
        })
    }
}
