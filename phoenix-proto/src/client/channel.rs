//! Channels: joining, rejoining, leaving (protocol §20).

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::backoff::Retry;
use super::config::Source;
use super::event::{
    ChannelError, ChannelId, ChannelState, CloseCause, ConnectionState, JoinError, PushOutcome, Response,
    SocketEvent,
};
use super::push::{Buffered, InFlight};
use super::refs::{self, Number};
use super::socket::{Socket, Timer};
use super::timers::TimerId;
use crate::{Event, Message, Payload, Status, Text};

/// One channel object.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) topic: Text,
    params: Source<Payload>,
    pub(super) state: ChannelState,
    pub(super) joined_once: bool,
    /// How long its joins wait, and its pushes unless they say otherwise.
    pub(super) timeout: Duration,
    /// The reference of the last join, until it is given up.
    pub(super) join_ref: Option<Number>,
    /// Until the join has to be answered; armed exactly while an answer is awaited.
    join_timer: Option<TimerId>,
    rejoin: Retry,
    /// Refusals since the last success.
    refusals: u32,
    /// Pushes that wait for the channel to be joined.
    pub(super) buffered: VecDeque<Buffered>,
    /// Pushes that wait for their replies.
    pub(super) in_flight: BTreeMap<Number, InFlight>,
}

impl Socket {
    /// Makes a channel, which does nothing before [`join`](Self::join).
    ///
    /// A function as `params` is asked at every join and rejoin.
    pub fn channel(&mut self, topic: impl Into<Text>, params: impl Into<Source<Payload>>) -> ChannelId {
        let id = ChannelId(self.next_id());
        let topic = topic.into();
        self.refs.burn(2);
        self.topics.entry(topic.clone()).or_default().push(id);
        let channel = Channel {
            topic,
            params: params.into(),
            state: ChannelState::Closed,
            joined_once: false,
            timeout: self.config.timeout,
            join_ref: None,
            join_timer: None,
            rejoin: Retry::default(),
            refusals: 0,
            buffered: VecDeque::new(),
            in_flight: BTreeMap::new(),
        };
        self.channels.insert(id, channel);
        id
    }

    /// Joins a channel and keeps it joined until [`leave`](Self::leave).
    ///
    /// `timeout` becomes that of the channel; zero means the default. Without a connection the time runs
    /// already. Another channel of this socket on the same topic is left first.
    ///
    /// # Errors
    /// [`JoinError`] when it was joined before, or is over.
    pub fn join(
        &mut self,
        channel: ChannelId,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<(), JoinError> {
        let state = self.channels.get_mut(&channel).ok_or(JoinError::Closed)?;
        if state.joined_once {
            return Err(JoinError::JoinedBefore);
        }
        state.joined_once = true;
        if let Some(timeout) = timeout.filter(|timeout| !timeout.is_zero()) {
            state.timeout = timeout;
        }
        self.rejoin(channel, now);
        Ok(())
    }

    /// A connection opened: what is errored rejoins at once.
    pub(super) fn rejoin_errored(&mut self, now: Instant) {
        self.reset_rejoins();
        let errored =
            |(id, channel): (&ChannelId, &Channel)| (channel.state == ChannelState::Errored).then_some(*id);
        for id in self.channels.iter().filter_map(errored).collect::<Vec<_>>() {
            self.rejoin(id, now);
        }
    }

    /// Starts the rejoin tables of all channels over.
    pub(super) fn reset_rejoins(&mut self) {
        for channel in self.channels.values_mut() {
            channel.rejoin.reset(&mut self.timers);
        }
    }

    pub(super) fn rejoin_due(&mut self, id: ChannelId, now: Instant) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        channel.rejoin.fired();
        if self.link.state == ConnectionState::Open {
            self.rejoin(id, now);
        }
    }

    /// The connection is gone or useless: every channel that relied on it is errored.
    pub(super) fn error_channels(&mut self, cause: &ChannelError, now: Instant) {
        let relying = |(id, channel): (&ChannelId, &Channel)| {
            matches!(channel.state, ChannelState::Joining | ChannelState::Joined).then_some(*id)
        };
        for id in self.channels.iter().filter_map(relying).collect::<Vec<_>>() {
            self.error_channel(id, cause.clone(), now);
        }
    }

    /// A channel is not joined any more, and rejoins when it can.
    pub(super) fn error_channel(&mut self, id: ChannelId, cause: ChannelError, now: Instant) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if channel.state == ChannelState::Joining {
            channel.give_up_join(&mut self.timers);
        }
        channel.state = ChannelState::Errored;
        let outcome = match cause {
            ChannelError::Crashed(_) => PushOutcome::ChannelErrored,
            _ => PushOutcome::ConnectionLost,
        };
        self.end_in_flight(id, &outcome);
        self.events.push_back(SocketEvent::ChannelErrored { channel: id, cause });
        self.schedule_rejoin(id, now);
    }

    /// The server answered the join, if it is still awaited.
    pub(super) fn take_join_reply(
        &mut self,
        id: ChannelId,
        number: Number,
        response: &Response,
        now: Instant,
    ) -> bool {
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        if channel.join_ref != Some(number) || channel.join_timer.is_none() {
            return false;
        }
        self.timers.clear(&mut channel.join_timer);
        if response.status == Status::OK {
            channel.state = ChannelState::Joined;
            channel.refusals = 0;
            channel.rejoin.reset(&mut self.timers);
            let response = response.payload.clone();
            self.events.push_back(SocketEvent::Joined { channel: id, response });
            self.flush_pushes(id, now);
            return true;
        }
        channel.state = ChannelState::Errored;
        channel.refusals = channel.refusals.saturating_add(1);
        let closes = self.config.refused_joins.is_some_and(|most| channel.refusals >= most);
        self.events.push_back(SocketEvent::JoinRefused { channel: id, response: response.clone() });
        if closes {
            self.close_channel(id, CloseCause::Refused);
        } else {
            self.schedule_rejoin(id, now);
        }
        true
    }

    /// The server has to forget a join that it did not answer in time.
    pub(super) fn join_timed_out(&mut self, id: ChannelId, now: Instant) {
        let number = self.refs.make();
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let leave = channel.message(number, Event::LEAVE, Payload::EMPTY);
        channel.state = ChannelState::Errored;
        channel.give_up_join(&mut self.timers);
        // The format has encoded the join of the same fields.
        let _ = self.send(&leave);
        self.events.push_back(SocketEvent::JoinTimedOut { channel: id });
        self.schedule_rejoin(id, now);
    }

    /// A channel is over: it is forgotten, and its pushes end.
    pub(super) fn close_channel(&mut self, id: ChannelId, cause: CloseCause) -> Option<Channel> {
        let mut channel = self.channels.remove(&id)?;
        channel.rejoin.reset(&mut self.timers);
        self.timers.clear(&mut channel.join_timer);
        if let Some(ids) = self.topics.get_mut(&channel.topic) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.topics.remove(&channel.topic);
            }
        }
        for push in std::mem::take(&mut channel.buffered) {
            self.timers.cancel(push.timer);
            self.end_push(push.id, PushOutcome::ChannelClosed);
        }
        for push in std::mem::take(&mut channel.in_flight).into_values() {
            self.timers.cancel(push.timer);
            self.end_push(push.id, PushOutcome::ChannelClosed);
        }
        self.events.push_back(SocketEvent::ChannelClosed { channel: id, cause });
        Some(channel)
    }

    fn rejoin(&mut self, id: ChannelId, now: Instant) {
        self.leave_duplicates(id, now);
        let number = self.refs.make();
        let Some(channel) = self.channels.get_mut(&id) else { return };
        channel.state = ChannelState::Joining;
        channel.join_ref = Some(number);
        self.timers.clear(&mut channel.join_timer);
        channel.join_timer = Some(self.timers.set(Timer::Join(id), channel.timeout, now));
        let join = channel.message(number, Event::JOIN, channel.params.get());
        if let Err(error) = self.send(&join) {
            self.error_channel(id, ChannelError::Unencodable(error), now);
        }
    }

    /// A topic is joined by one channel at a time, or the server would end one of them.
    fn leave_duplicates(&mut self, id: ChannelId, now: Instant) {
        let Some(topic) = self.channels.get(&id).map(|channel| &channel.topic) else { return };
        let others: Vec<_> = self.topics.get(topic).into_iter().flatten().copied().collect();
        for other in others {
            let state = self.channel_state(other);
            if other != id && matches!(state, ChannelState::Joining | ChannelState::Joined) {
                self.leave_because(other, None, CloseCause::Replaced, now);
            }
        }
    }

    fn schedule_rejoin(&mut self, id: ChannelId, now: Instant) {
        if self.link.state != ConnectionState::Open {
            return;
        }
        let random = self.random.next();
        if let Some(channel) = self.channels.get_mut(&id) {
            let backoff = &self.config.rejoin;
            channel.rejoin.schedule(&mut self.timers, Timer::Rejoin(id), backoff, random, now);
        }
    }
}

impl Channel {
    /// A message of this channel.
    pub(super) fn message(&self, number: Number, event: Event, payload: Payload) -> Message {
        Message {
            join_ref: self.join_ref.map(refs::wire),
            reference: Some(refs::wire(number)),
            topic: self.topic.clone().into(),
            event,
            payload,
        }
    }

    /// Forgets the join, so that whatever still comes for it is stale.
    fn give_up_join(&mut self, timers: &mut super::timers::Timers<Timer>) {
        timers.clear(&mut self.join_timer);
        self.join_ref = None;
    }
}
