//! Pushes and leaves, each of which ends in exactly one outcome (protocol §20.4–5, §21).

use std::time::{Duration, Instant};

use super::channel::Channel;
use super::config::Overflow;
use super::event::{
    ChannelId, ChannelState, CloseCause, ConnectionState, PushError, PushId, PushOutcome, Response,
    SocketEvent,
};
use super::refs::Number;
use super::socket::{Socket, Timer};
use super::timers::TimerId;
use crate::{Event, Payload, Text, is_reserved_event};

/// A push that waits for its channel to be joined.
#[derive(Debug)]
pub(super) struct Buffered {
    pub(super) id: PushId,
    event: Event,
    payload: Payload,
    timeout: Duration,
    pub(super) timer: TimerId,
}

/// A push that waits for its reply.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) id: PushId,
    pub(super) timer: TimerId,
}

/// A leave that waits for its reply, its channel being over already.
#[derive(Debug)]
pub(super) struct Leaving {
    id: Option<PushId>,
    topic: Text,
    timer: TimerId,
    /// Whether a connection has carried it, with which it gets lost.
    pub(super) sent: bool,
}

impl Socket {
    /// Pushes an event, at once if the channel is joined, otherwise as soon as it is.
    ///
    /// `timeout` replaces that of the channel; a push that waits for its channel gets the full time again when
    /// it is sent.
    ///
    /// # Errors
    /// [`PushError`]; nothing was sent then.
    pub fn push(
        &mut self,
        channel: ChannelId,
        event: impl Into<Text>,
        payload: Payload,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<PushId, PushError> {
        let event = event.into();
        let state = self.channels.get(&channel).ok_or(PushError::Closed)?;
        if !state.joined_once {
            return Err(PushError::NotJoined);
        }
        if is_reserved_event(&event) {
            return Err(PushError::ReservedEvent(event));
        }
        let timeout = timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(state.timeout);
        let event = Event::from(event);
        if state.state == ChannelState::Joined && self.link.state == ConnectionState::Open {
            if self.is_congested() {
                return Err(PushError::Full(self.config.send_buffer));
            }
            let id = PushId(self.next_id());
            self.send_push(channel, id, event, payload, timeout, now)?;
            return Ok(id);
        }
        self.make_room(channel)?;
        self.refs.burn(1);
        let id = PushId(self.next_id());
        let timer = self.timers.set(Timer::Buffered(channel, id), timeout, now);
        if let Some(state) = self.channels.get_mut(&channel) {
            state.buffered.push_back(Buffered { id, event, payload, timeout, timer });
        }
        Ok(id)
    }

    /// Leaves a channel: it is over at once, and its pushes end. `None` when it was over before.
    ///
    /// The outcome of the leave is what the server answers (quirk Q30). Without a connection the leave is sent
    /// with the next one.
    pub fn leave(&mut self, channel: ChannelId, timeout: Option<Duration>, now: Instant) -> Option<PushId> {
        let id = PushId(self.next_id());
        self.leave_because(channel, Some((id, timeout)), CloseCause::Left, now).then_some(id)
    }

    /// Leaves a channel, with an outcome if somebody asked for it.
    pub(super) fn leave_because(
        &mut self,
        channel: ChannelId,
        asked: Option<(PushId, Option<Duration>)>,
        cause: CloseCause,
        now: Instant,
    ) -> bool {
        let Some(channel) = self.close_channel(channel, cause) else { return false };
        let number = self.refs.make();
        let leave = channel.message(number, Event::LEAVE, Payload::EMPTY);
        let (id, timeout) = asked.unzip();
        match self.send(&leave) {
            Ok(()) => {
                let timeout = timeout.flatten().filter(|timeout| !timeout.is_zero());
                let timeout = timeout.unwrap_or(channel.timeout);
                let timer = self.timers.set(Timer::Leave(number), timeout, now);
                let sent = self.link.state == ConnectionState::Open;
                self.leaving.insert(number, Leaving { id, topic: channel.topic, timer, sent });
            }
            Err(error) => {
                if let Some(id) = id {
                    self.end_push(id, PushOutcome::Unencodable(error));
                }
            }
        }
        true
    }

    /// The channel is joined: what waited is sent in order.
    pub(super) fn flush_pushes(&mut self, channel: ChannelId, now: Instant) {
        let Some(state) = self.channels.get_mut(&channel) else { return };
        for push in std::mem::take(&mut state.buffered) {
            self.timers.cancel(push.timer);
            let sent = self.send_push(channel, push.id, push.event, push.payload, push.timeout, now);
            if let Err(PushError::Encode(error)) = sent {
                self.end_push(push.id, PushOutcome::Unencodable(error));
            }
        }
    }

    /// The server answered a push or leave, if it is still awaited.
    pub(super) fn take_push_reply(
        &mut self,
        channel: ChannelId,
        number: Number,
        response: &Response,
    ) -> bool {
        let push = self.channels.get_mut(&channel).and_then(|state| state.in_flight.remove(&number));
        let Some(push) = push else { return false };
        self.timers.cancel(push.timer);
        self.end_push(push.id, PushOutcome::Replied(response.clone()));
        true
    }

    /// The server answered a leave, if it is still awaited.
    pub(super) fn take_leave_reply(&mut self, topic: &str, number: Number, response: &Response) -> bool {
        if self.leaving.get(&number).is_none_or(|leaving| leaving.topic != *topic) {
            return false;
        }
        self.end_leave(number, PushOutcome::Replied(response.clone()));
        true
    }

    pub(super) fn push_timed_out(&mut self, channel: ChannelId, number: Number) {
        let push = self.channels.get_mut(&channel).and_then(|state| state.in_flight.remove(&number));
        if let Some(push) = push {
            self.end_push(push.id, PushOutcome::TimedOut);
        }
    }

    pub(super) fn buffered_push_timed_out(&mut self, channel: ChannelId, id: PushId) {
        let Some(state) = self.channels.get_mut(&channel) else { return };
        if let Some(index) = state.buffered.iter().position(|push| push.id == id) {
            state.buffered.remove(index);
            self.end_push(id, PushOutcome::TimedOut);
        }
    }

    pub(super) fn leave_timed_out(&mut self, number: Number) {
        self.end_leave(number, PushOutcome::TimedOut);
    }

    /// The pushes of a channel that were sent will not be answered any more.
    pub(super) fn end_in_flight(&mut self, channel: ChannelId, outcome: &PushOutcome) {
        let Some(state) = self.channels.get_mut(&channel) else { return };
        for push in std::mem::take(&mut state.in_flight).into_values() {
            self.timers.cancel(push.timer);
            self.end_push(push.id, outcome.clone());
        }
    }

    /// The connection is gone, and with it what the server would have answered to leaves.
    pub(super) fn lose_leaves(&mut self) {
        let sent = |(number, leaving): (&Number, &Leaving)| leaving.sent.then_some(*number);
        for number in self.leaving.iter().filter_map(sent).collect::<Vec<_>>() {
            self.end_leave(number, PushOutcome::ConnectionLost);
        }
    }

    pub(super) fn end_push(&mut self, push: PushId, outcome: PushOutcome) {
        self.events.push_back(SocketEvent::PushEnded { push, outcome });
    }

    fn end_leave(&mut self, number: Number, outcome: PushOutcome) {
        let Some(leaving) = self.leaving.remove(&number) else { return };
        self.timers.cancel(leaving.timer);
        if let Some(id) = leaving.id {
            self.end_push(id, outcome);
        }
    }

    fn send_push(
        &mut self,
        channel: ChannelId,
        id: PushId,
        event: Event,
        payload: Payload,
        timeout: Duration,
        now: Instant,
    ) -> Result<(), PushError> {
        let number = self.refs.make();
        let Some(state) = self.channels.get(&channel) else { return Err(PushError::Closed) };
        let message = state.message(number, event, payload);
        self.send(&message)?;
        let timer = self.timers.set(Timer::Reply(channel, number), timeout, now);
        if let Some(state) = self.channels.get_mut(&channel) {
            state.in_flight.insert(number, InFlight { id, timer });
        }
        Ok(())
    }

    fn make_room(&mut self, channel: ChannelId) -> Result<(), PushError> {
        let most = self.config.push_buffer;
        let waiting = |channel: &Channel| channel.buffered.len();
        if self.channels.get(&channel).map_or(0, waiting) < most {
            return Ok(());
        }
        let oldest = match self.config.push_overflow {
            Overflow::Refuse => None,
            Overflow::DropOldest => {
                self.channels.get_mut(&channel).and_then(|channel| channel.buffered.pop_front())
            }
        };
        let oldest = oldest.ok_or(PushError::Full(most))?;
        self.timers.cancel(oldest.timer);
        self.counters.discarded_pushes += 1;
        self.end_push(oldest.id, PushOutcome::Discarded);
        Ok(())
    }
}
