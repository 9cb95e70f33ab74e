//! Heartbeats and pings (protocol §19.5).

use std::collections::BTreeMap;
use std::time::Instant;

use super::config::Transport;
use super::event::{ChannelError, ConnectionState, PingId, SocketEvent};
use super::refs::{self, Number};
use super::socket::{Socket, Timer};
use super::timers::TimerId;
use crate::{Event, Message, Payload, Topic};

/// The heartbeat of the connection, and the pings asked for.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    /// The reference of the heartbeat that has not been answered.
    pending: Option<Number>,
    /// Until the next heartbeat, or until its answer is overdue.
    timer: Option<TimerId>,
    /// When each ping was sent, and whose it is: `None` is the health check of the fallback.
    pings: BTreeMap<Number, (Instant, Option<PingId>)>,
}

impl Socket {
    /// Measures a round trip with an extra heartbeat; `None` when no connection is open.
    pub fn ping(&mut self, now: Instant) -> Option<PingId> {
        if self.link.state != ConnectionState::Open || self.is_congested() {
            return None;
        }
        let ping = PingId(self.next_id());
        self.send_ping(Some(ping), now);
        Some(ping)
    }

    /// Sends the ping that tells whether a WebSocket is healthy.
    pub(super) fn ping_for_health(&mut self, now: Instant) {
        self.send_ping(None, now);
    }

    pub(super) fn start_heartbeats(&mut self, now: Instant) {
        self.stop_heartbeats();
        if self.link.transport == Transport::WebSocket {
            let interval = self.config.heartbeat_interval;
            self.heartbeat.timer = Some(self.timers.set(Timer::Heartbeat, interval, now));
        }
    }

    pub(super) fn stop_heartbeats(&mut self) {
        self.heartbeat.pending = None;
        self.timers.clear(&mut self.heartbeat.timer);
    }

    /// The connection ended before its pings were answered.
    pub(super) fn lose_pings(&mut self) {
        for (_, (_, ping)) in std::mem::take(&mut self.heartbeat.pings) {
            if let Some(ping) = ping {
                self.events.push_back(SocketEvent::Pong { ping, rtt: None });
            }
        }
    }

    /// Takes a reply if it answers the heartbeat or a ping.
    pub(super) fn take_heartbeat_reply(&mut self, number: Number, now: Instant) -> bool {
        if self.heartbeat.pending == Some(number) {
            self.start_heartbeats(now);
            return true;
        }
        let Some((sent, ping)) = self.heartbeat.pings.remove(&number) else { return false };
        match ping {
            Some(ping) => {
                let rtt = Some(now.saturating_duration_since(sent));
                self.events.push_back(SocketEvent::Pong { ping, rtt });
            }
            None => self.primary_is_healthy(),
        }
        true
    }

    pub(super) fn heartbeat_due(&mut self, now: Instant) {
        let number = self.send_heartbeat();
        self.heartbeat.pending = Some(number);
        let interval = self.config.heartbeat_interval;
        self.heartbeat.timer = Some(self.timers.set(Timer::HeartbeatDeadline, interval, now));
    }

    pub(super) fn heartbeat_missed(&mut self, now: Instant) {
        self.heartbeat.timer = None;
        // Closing comes first, so that the channels do not rejoin over the dead connection.
        self.close_to_reconnect(now);
        self.error_channels(&ChannelError::HeartbeatTimeout, now);
    }

    fn send_ping(&mut self, ping: Option<PingId>, now: Instant) {
        let number = self.send_heartbeat();
        self.refs.burn(1);
        self.heartbeat.pings.insert(number, (now, ping));
    }

    fn send_heartbeat(&mut self) -> Number {
        let number = self.refs.make();
        let message = Message {
            join_ref: None,
            reference: Some(refs::wire(number)),
            topic: Topic::from_static("phoenix"),
            event: Event::HEARTBEAT,
            payload: Payload::EMPTY,
        };
        // A format that has no heartbeats gets no answer to them: that is what the deadline is for.
        let _ = self.send(&message);
        number
    }
}
