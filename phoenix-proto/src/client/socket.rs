//! The socket: what it holds, what it is asked, and what comes out of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use hashbrown::HashMap;

use super::backoff::Random;
use super::channel::Channel;
use super::codec::Outgoing;
use super::config::Config;
use super::event::{
    ChannelId, ChannelState, Command, ConnectionState, Counters, PushId, SocketEvent, Transmit,
};
use super::fallback::FallbackState;
use super::heartbeat::Heartbeat;
use super::link::Link;
use super::push::Leaving;
use super::refs::{self, Number, Refs};
use super::timers::Timers;
use crate::{EncodeError, Message, Ref, Text};

/// A client socket without IO; the contract is that of the [module](super).
#[derive(Debug)]
pub struct Socket {
    pub(super) config: Config,
    pub(super) link: Link,
    pub(super) heartbeat: Heartbeat,
    pub(super) fallback: FallbackState,
    pub(super) channels: BTreeMap<ChannelId, Channel>,
    /// The channels of every topic, in the order in which they were made.
    pub(super) topics: HashMap<Text, Vec<ChannelId>, foldhash::fast::FixedState>,
    /// Leaves whose channels are over already, by their reference.
    pub(super) leaving: BTreeMap<Number, Leaving>,
    /// Encoded joins and leaves that wait for a connection.
    pub(super) send_buffer: VecDeque<Outgoing>,
    pub(super) timers: Timers<Timer>,
    pub(super) refs: Refs,
    pub(super) random: Random,
    pub(super) counters: Counters,
    pub(super) events: VecDeque<SocketEvent>,
    pub(super) commands: VecDeque<Command>,
    transmits: VecDeque<Transmit>,
    /// The last id given to a channel, push or ping.
    last_id: u64,
}

/// What falls due.
#[derive(Debug, Clone, Copy)]
pub(super) enum Timer {
    Reconnect,
    Heartbeat,
    HeartbeatDeadline,
    Teardown,
    Fallback,
    Rejoin(ChannelId),
    Join(ChannelId),
    /// The reply to a sent push.
    Reply(ChannelId, Number),
    /// The end of a push that waits for its channel.
    Buffered(ChannelId, PushId),
    /// The reply to a leave.
    Leave(Number),
}

impl Socket {
    /// A socket that is not connected.
    pub fn new(config: Config) -> Self {
        let config = config.normalized();
        Self {
            link: Link::new(config.transport),
            heartbeat: Heartbeat::default(),
            fallback: FallbackState::default(),
            channels: BTreeMap::new(),
            topics: HashMap::default(),
            leaving: BTreeMap::new(),
            send_buffer: VecDeque::new(),
            timers: Timers::default(),
            refs: Refs::new(config.ref_style),
            random: Random::new(config.jitter_seed),
            counters: Counters::default(),
            events: VecDeque::new(),
            commands: VecDeque::new(),
            transmits: VecDeque::new(),
            last_id: 0,
            config,
        }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The state of the connection.
    pub fn state(&self) -> ConnectionState {
        self.link.state
    }

    /// The state of a channel; `Closed` for one that is over.
    pub fn channel_state(&self, channel: ChannelId) -> ChannelState {
        self.channels.get(&channel).map(|channel| channel.state).unwrap_or_default()
    }

    /// The topic of a channel that is not over.
    pub fn topic(&self, channel: ChannelId) -> Option<&Text> {
        self.channels.get(&channel).map(|channel| &channel.topic)
    }

    /// The reference of the present join of a channel, which tells a presence state of this join from an
    /// earlier one (protocol §23).
    pub fn join_ref(&self, channel: ChannelId) -> Option<Ref> {
        self.channels.get(&channel)?.join_ref.map(refs::wire)
    }

    /// How often something was dropped.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The next message for the transport; drained before the commands.
    ///
    /// The driver drops a message whose connection has ended.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing for the driver to do.
    #[must_use]
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next thing to tell the application.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<SocketEvent> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does what is due; harmless at any time.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Reconnect => self.reconnect_due(now),
                Timer::Heartbeat => self.heartbeat_due(now),
                Timer::HeartbeatDeadline => self.heartbeat_missed(now),
                Timer::Teardown => self.teardown_due(now),
                Timer::Fallback => self.fallback_due(now),
                Timer::Rejoin(channel) => self.rejoin_due(channel, now),
                Timer::Join(channel) => self.join_timed_out(channel, now),
                Timer::Reply(channel, number) => self.push_timed_out(channel, number),
                Timer::Buffered(channel, push) => self.buffered_push_timed_out(channel, push),
                Timer::Leave(number) => self.leave_timed_out(number),
            }
        }
    }

    /// Encodes a message and hands it to the open connection, or keeps it for the next one.
    pub(super) fn send(&mut self, message: &Message) -> Result<(), EncodeError> {
        let data = self.config.serializer.encode(message)?;
        if self.link.state == ConnectionState::Open {
            self.transmit(data);
            return Ok(());
        }
        if self.send_buffer.len() >= self.config.send_buffer {
            self.send_buffer.pop_front();
            self.counters.dropped_sends += 1;
        }
        self.send_buffer.push_back(data);
        Ok(())
    }

    /// Sends what waited for a connection.
    pub(super) fn flush_send_buffer(&mut self) {
        for data in std::mem::take(&mut self.send_buffer) {
            self.transmit(data);
        }
    }

    /// Whether the transport lags so far behind that no push is taken.
    pub(super) fn is_congested(&self) -> bool {
        self.transmits.len() >= self.config.send_buffer
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn transmit(&mut self, data: Outgoing) {
        self.transmits.push_back(Transmit { connection: self.link.id, data });
    }
}
