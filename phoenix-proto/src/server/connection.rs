use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::command::Credits;
use super::slot::{Slots, State};
use super::{ChannelId, CloseReason, Command, Config, Notice, Timer};
use crate::{
    ChannelEnd, DecodeError, EncodeError, Frame, Incoming, Payload, Ref, Reply, Routes, Serializer, Status,
    Text, Topic,
};

/// The state of one connection: which topics are joined, and what goes out in which order.
///
/// See the [module](super) for how it is driven.
#[derive(Debug)]
pub struct Connection {
    pub(super) config: Config,
    pub(super) routes: Arc<Routes>,
    pub(super) serializer: Arc<dyn Serializer>,
    pub(super) slots: Slots,
    pub(super) credits: Credits,
    /// Messages that wait for a join, over all slots.
    pub(super) held_messages: usize,
    /// Slots in which a duplicate join waits.
    pub(super) replacing: usize,
    pub(super) queues: Queues,
    /// Between [`begin_batch`](Self::begin_batch) and [`end_batch`](Self::end_batch).
    pub(super) in_batch: bool,
    pub(super) last_activity: Instant,
    pub(super) closed: bool,
}

/// The outputs of a connection that wait to be polled.
#[derive(Debug, Default)]
pub struct Queues {
    pub(super) transmits: VecDeque<Frame>,
    /// What channels sent while a batch was handled: it follows what the connection itself answers.
    pub(super) deferred: VecDeque<Frame>,
    pub(super) commands: VecDeque<Command>,
    pub(super) notices: VecDeque<Notice>,
}

impl Queues {
    /// Empty queues that own no memory.
    pub const fn new() -> Self {
        Self {
            transmits: VecDeque::new(),
            deferred: VecDeque::new(),
            commands: VecDeque::new(),
            notices: VecDeque::new(),
        }
    }
}

/// A channel of a connection, for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// The topic.
    pub topic: Text,
    /// The `join_ref` as the client sent it.
    pub join_ref: Option<Ref>,
    /// What it is about.
    pub status: ChannelStatus,
}

/// Where a channel is between its join and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelStatus {
    /// Its join is being decided.
    Joining,
    /// It is joined.
    Joined,
    /// It is ending: its last callback runs, or a newer join waits for it to end.
    Leaving,
}

/// Information that nobody asks for must not pile up.
const MAX_NOTICES: usize = 64;

impl Connection {
    /// A connection without channels; its idle time starts at `now`.
    pub fn new(config: Config, routes: Arc<Routes>, serializer: Arc<dyn Serializer>, now: Instant) -> Self {
        Self {
            config,
            routes,
            serializer,
            slots: Slots::default(),
            credits: Credits::default(),
            held_messages: 0,
            replacing: 0,
            queues: Queues::new(),
            in_batch: false,
            last_activity: now,
            closed: false,
        }
    }

    /// Bytes of any kind arrived, even part of a frame: the idle time starts again (protocol §8.1).
    pub fn handle_activity(&mut self, now: Instant) {
        self.last_activity = now;
    }

    /// The units that follow were read together. Commands may be executed after each of them; what channels
    /// send meanwhile follows behind everything that the connection itself answers, joins included, because
    /// Phoenix looks into its mailbox only after that (FINDINGS §6, §16).
    pub fn begin_batch(&mut self) {
        self.in_batch = true;
    }

    /// All units that were read together are handled.
    pub fn end_batch(&mut self) {
        self.in_batch = false;
        let Queues { transmits, deferred, .. } = &mut self.queues;
        if !deferred.is_empty() {
            transmits.append(deferred);
        }
    }

    /// A whole unit arrived from the client.
    ///
    /// What cannot be decoded closes the connection with 1011 (protocol §8.5).
    pub fn handle_incoming(&mut self, incoming: Incoming, now: Instant) {
        if self.closed {
            return;
        }
        match self.serializer.decode(incoming) {
            Ok(message) => self.dispatch(message, now),
            Err(DecodeError::FieldNotUtf8 { channel: Some((topic, join_ref)), .. })
                if self.crash(&topic, join_ref.as_ref()) => {}
            Err(error) => self.close(CloseReason::Malformed(error)),
        }
    }

    /// Time has passed; harmless when called too early.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        if self.idle_deadline().is_some_and(|deadline| now >= deadline) {
            if self.wants_read() {
                return self.close(CloseReason::Idle);
            }
            // The silence is our own: we do not read.
            self.last_activity = now;
        }
        while let Some(channel) = self.overdue(now).filter(|_| !self.closed) {
            self.queues.commands.push_back(Command::Abandon { channel });
            self.replaced(channel);
        }
    }

    /// A frame of a channel or for it: a reply, a push, a broadcast on its topic.
    ///
    /// It waits behind the reply to a join that is being decided, and is swallowed when the instance is gone.
    pub fn send(&mut self, channel: ChannelId, frame: Frame) {
        if self.closed {
            return;
        }
        let Some(slot) = self.slots.get(channel) else { return };
        match slot.state {
            State::Joined | State::Closing => self.output(frame),
            State::Joining { .. } | State::Replacing { .. } => slot.held().output.push_back(frame),
        }
    }

    /// A channel stops in order: `phx_close` goes out and its topic is free, but what it still sends before
    /// [`ended`](Self::ended) follows (protocol §10.3).
    pub fn close_channel(&mut self, channel: ChannelId) {
        let Some(slot) = self.slots.get(channel) else { return };
        if self.closed || !matches!(slot.state, State::Joined) {
            return;
        }
        slot.state = State::Closing;
        let end = self.serializer.encode_end(
            &slot.topic.clone().into(),
            slot.join_ref.as_ref(),
            ChannelEnd::Closed,
        );
        self.slots.free_topic(channel);
        self.transmit_end(end);
    }

    /// A channel is gone: `phx_error` if it was joined and did not [close](Self::close_channel) (protocol §9.6).
    pub fn ended(&mut self, channel: ChannelId, now: Instant) {
        if self.closed {
            return;
        }
        let Some(slot) = self.slots.get(channel) else { return };
        match slot.state {
            State::Joining { .. } => self.join_crashed(channel, now),
            State::Joined => {
                let topic = slot.topic.clone().into();
                let end = self.serializer.encode_end(&topic, slot.join_ref.as_ref(), ChannelEnd::Crashed);
                self.slots.remove(channel);
                self.transmit_end(end);
            }
            State::Closing => {
                self.slots.remove(channel);
            }
            State::Replacing { .. } => self.replaced(channel),
        }
    }

    /// Ends the connection: the frames queued so far are still to be written, then it is closed.
    pub fn close(&mut self, reason: CloseReason) {
        if !self.closed {
            self.closed = true;
            self.queues.commands.push_back(Command::Close(reason));
        }
    }

    /// Whether the connection is closed or about to be: no input changes anything any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether more should be read from the client; false while its channels are behind, or while what is
    /// for it is not written.
    pub fn wants_read(&self) -> bool {
        !self.closed
            && self.credits.out() + self.held_messages < self.config.max_in_flight
            && self.queues.transmits.len() < self.config.max_transmits
    }

    /// How many topics are joined or being joined.
    pub fn topics(&self) -> usize {
        self.slots.topics()
    }

    /// The channels, also those that are about to end (FEATURES P4).
    pub fn channels(&self) -> impl Iterator<Item = ChannelInfo> {
        self.slots.iter().map(|slot| ChannelInfo {
            topic: slot.topic.clone(),
            join_ref: slot.join_ref.clone(),
            status: match slot.state {
                State::Joining { .. } => ChannelStatus::Joining,
                State::Joined => ChannelStatus::Joined,
                State::Closing | State::Replacing { .. } => ChannelStatus::Leaving,
            },
        })
    }

    /// Whether a join is still being decided.
    pub fn is_joining(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.state, State::Joining { .. } | State::Replacing { .. }))
    }

    /// The next frame to write.
    #[must_use = "the frame has to be written"]
    pub fn poll_transmit(&mut self) -> Option<Frame> {
        self.queues.transmits.pop_front()
    }

    /// The next piece of work.
    #[must_use = "the command has to be executed"]
    pub fn poll_command(&mut self) -> Option<Command> {
        self.queues.commands.pop_front()
    }

    /// The next thing worth telling; at most 64 are kept.
    #[must_use = "an event is taken by polling it"]
    pub fn poll_event(&mut self) -> Option<Notice> {
        self.queues.notices.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next, and what for.
    #[must_use = "the timeout has to be waited for"]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        if self.closed {
            return None;
        }
        let idle = self.idle_deadline().map(|deadline| (deadline, Timer::Idle));
        let replace = self.replace_deadlines().map(|(deadline, _)| (deadline, Timer::Replace));
        idle.into_iter().chain(replace).min_by_key(|(deadline, _)| *deadline)
    }

    /// Exchanges the queues of outputs, with what is in them, for others.
    ///
    /// A driver of many connections lends the same queues to one after the other, so that an idle connection
    /// owns none.
    pub fn swap_queues(&mut self, queues: &mut Queues) {
        std::mem::swap(&mut self.queues, queues);
    }

    /// Whether everything is drained.
    pub fn has_empty_queues(&self) -> bool {
        let Queues { transmits, deferred, commands, notices } = &self.queues;
        transmits.is_empty() && deferred.is_empty() && commands.is_empty() && notices.is_empty()
    }

    /// Until when something has to be received; `None` for never, also if that is beyond all clocks.
    fn idle_deadline(&self) -> Option<Instant> {
        self.config.idle_timeout.and_then(|limit| self.last_activity.checked_add(limit))
    }

    pub(super) fn reply(
        &mut self,
        join_ref: Option<Ref>,
        reference: Option<Ref>,
        topic: Topic,
        status: Status,
        payload: Payload,
    ) {
        let frame = self.serializer.encode_reply(&Reply { join_ref, reference, topic, status, payload });
        self.transmit_own(frame);
    }

    /// Queues a frame of the connection itself; one that cannot be encoded ends the connection.
    pub(super) fn transmit_own(&mut self, frame: Result<Frame, EncodeError>) {
        match frame {
            Ok(frame) => self.queues.transmits.push_back(frame),
            Err(error) => self.close(CloseReason::Unencodable(error)),
        }
    }

    /// Queues a frame of a channel or about its end.
    pub(super) fn output(&mut self, frame: Frame) {
        let Queues { transmits, deferred, .. } = &mut self.queues;
        if self.in_batch { deferred } else { transmits }.push_back(frame);
    }

    fn transmit_end(&mut self, frame: Result<Frame, EncodeError>) {
        match frame {
            Ok(frame) => self.output(frame),
            Err(error) => self.close(CloseReason::Unencodable(error)),
        }
    }

    pub(super) fn note(&mut self, notice: impl FnOnce(Text) -> Notice, topic: &Topic) {
        if self.queues.notices.len() < MAX_NOTICES {
            self.queues.notices.push_back(notice(topic.as_str().into()));
        }
    }
}
