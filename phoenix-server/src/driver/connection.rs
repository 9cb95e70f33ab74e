mod callbacks;
mod closing;
mod turn;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use phoenix_proto::server::{CloseCode, Command, Connection, Notice};

use super::accepted::AcceptedParts;
use super::channels::{Channels, Ended};
use super::timer::{Timer, now};
use super::writing::write;
use crate::End;
use crate::inbox::{Item, Load, Parked};
use crate::pubsub::TopicGuard;
use crate::runner::Work;
use crate::transport::{Outgoing, Transport};
use turn::{Buffers, Turn};

/// A running connection with channels: a future that moves frames between its transport, the protocol and the channels
/// until the connection ends.
pub(super) struct ChannelDriver<T: Transport> {
    parts: AcceptedParts,
    machine: Connection,
    channels: Channels,
    transport: T,
    outgoing: Outgoing,
    timer: Timer,
    /// Until when something has to be written, while the transport is blocked.
    write_deadline: Option<Instant>,
    /// A channel of its own has broadcast, so that nothing was sent yet: the other subscribers of the topic do the
    /// same, and what they broadcast is then sent along.
    deferred: bool,
    state: State,
    _id_subscription: Option<TopicGuard>,
}

/// What asking the transport for frames gave.
enum Received {
    Some,
    None,
    Unasked,
}

enum State {
    Open,
    /// What is queued is being written, then the connection is closed with this code.
    Closing {
        code: Option<CloseCode>,
        deadline: Instant,
    },
    Closed,
}

/// How often the driver goes round before it lets other tasks run.
const MAX_ROUNDS: usize = 32;

impl<T: Transport> ChannelDriver<T> {
    pub(super) fn new(
        parts: AcceptedParts,
        machine: Connection,
        id_subscription: Option<TopicGuard>,
        transport: T,
    ) -> Self {
        Self {
            parts,
            machine,
            channels: Channels::default(),
            transport,
            outgoing: Outgoing::default(),
            timer: Timer::default(),
            write_deadline: None,
            deferred: false,
            state: State::Open,
            _id_subscription: id_subscription,
        }
    }

    pub(super) fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    fn poll_with_buffers(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut turn = Turn { now: now(), cx, buffers: Buffers::take() };
        let lent = turn.buffers.lend(&mut self.machine, &mut self.channels, &mut self.outgoing);
        let polled = self.poll_state(&mut turn);
        turn.buffers.take_back(&lent, &mut self.machine, &mut self.channels, &mut self.outgoing);
        turn.buffers.put_back();
        polled
    }

    fn poll_state(&mut self, turn: &mut Turn<'_, '_>) -> Poll<()> {
        loop {
            match self.state {
                State::Open => ready!(self.poll_open(turn)),
                State::Closing { code, deadline } => {
                    ready!(self.poll_closing(code, deadline, turn.cx));
                    self.state = State::Closed;
                }
                State::Closed => return Poll::Ready(()),
            }
        }
    }

    fn poll_open(&mut self, turn: &mut Turn<'_, '_>) -> Poll<()> {
        // Whether all that was taken from the inbox is on its way: else it is still in the machine.
        let mut is_sent = !std::mem::take(&mut self.deferred);
        let mut may_defer = is_sent;
        let mut has_mail = true;
        for _ in 0..MAX_ROUNDS {
            if has_mail {
                self.drain_inbox(is_sent.then(|| self.outgoing.load()), turn);
            }
            while let Some(done) = self.channels.poll_done(turn.cx) {
                self.settle(done, turn);
                self.drain_inbox(None, turn);
            }
            let received = self.receive(!has_mail, turn);
            self.execute(turn);
            if self.run_callbacks(turn) && self.drain_inbox(None, turn) && std::mem::take(&mut may_defer) {
                self.deferred = true;
                turn.cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.send(turn);
            is_sent = true;
            if !matches!(self.state, State::Open) {
                return Poll::Ready(());
            }
            if self.channels.has_callbacks() {
                break;
            }
            // A callback may have closed the connection, or let a join begin that waited for it.
            let more = !self.machine.has_empty_queues()
                || match received {
                    Received::Some => true,
                    Received::None => false,
                    Received::Unasked => self.may_receive(),
                };
            has_mail = false;
            if more {
                continue;
            }
            match self.parts.inbox.park(self.outgoing.load(), turn.cx) {
                Parked::NotEmpty => has_mail = true,
                Parked::Asleep => return self.poll_timer(turn),
                Parked::AsleepAnew => {
                    self.timer.disarm();
                    return self.poll_timer(turn);
                }
            }
        }
        // Somebody keeps this connection busy; deadlines and the other tasks of the thread have a right too. Nothing
        // else may wake it: whoever was polled had more.
        self.timer.disarm();
        turn.cx.waker().wake_by_ref();
        self.poll_timer(turn)
    }

    /// Moves what other parts of the program sent into the machine and the mailboxes; whether there was a
    /// broadcast among it.
    fn drain_inbox(&mut self, unwritten: Option<Load>, turn: &mut Turn<'_, '_>) -> bool {
        let items = &mut turn.buffers.items;
        let fanned_out = self.parts.inbox.take(items, unwritten);
        while let Some(item) = items.pop_front() {
            match item {
                Item::Frame(channel, frame) => self.machine.send(channel, frame),
                Item::Broadcast(channel, broadcast, place) => {
                    self.channels.deliver(channel, Work::Broadcast(broadcast, place));
                }
                Item::Info(channel, info, place) => self.channels.deliver(channel, Work::Info(info, place)),
                Item::Abort(channel) => {
                    self.channels.abandon(channel);
                    self.machine.ended(channel, turn.now);
                }
                Item::Close(reason) => self.machine.close(*reason),
                // Whoever asked may have gone.
                Item::Inspect(answer) => drop(answer.send(self.machine.channels().collect())),
                Item::Cut => {
                    self.end(End::Internal);
                    self.state = State::Closed;
                }
            }
        }
        fanned_out
    }

    /// Hands what the transport read to the machine; `look` first into the inbox, if there is anything.
    fn receive(&mut self, look: bool, turn: &mut Turn<'_, '_>) -> Received {
        if !self.may_receive() {
            return Received::Unasked;
        }
        let mut incoming = std::mem::take(&mut turn.buffers.incoming);
        let received = self.transport.poll_receive(turn.cx, &mut incoming);
        if received.is_ready() {
            self.machine.handle_activity(turn.now);
            if look {
                // A connection that is never idle has to tell, too, what it has written.
                self.drain_inbox(Some(self.outgoing.load()), turn);
            }
            // Joins are decided one by one, other callbacks only run after all of this: that gives the order in which
            // Phoenix answers (protocol §9.4).
            self.machine.begin_batch();
            for unit in incoming.drain(..) {
                self.machine.handle_incoming(unit, turn.now);
                self.execute(turn);
            }
            self.machine.end_batch();
        }
        turn.buffers.incoming = incoming;
        match received {
            Poll::Ready(Ok(())) => Received::Some,
            Poll::Ready(Err(disconnect)) => {
                // A message before that may have ended the connection already.
                if matches!(self.state, State::Open) {
                    self.disconnect(disconnect, turn.now);
                }
                Received::None
            }
            Poll::Pending => Received::None,
        }
    }

    /// Nothing is read while what was read before is not dealt with.
    fn may_receive(&self) -> bool {
        self.machine.wants_read() && self.write_deadline.is_none()
    }

    fn execute(&mut self, turn: &mut Turn<'_, '_>) {
        while matches!(self.state, State::Open)
            && let Some(command) = self.machine.poll_command()
        {
            match command {
                Command::Join(request) => self.join(*request, turn),
                Command::Message { channel, event, reference, payload, credit } => {
                    self.channels.deliver(channel, Work::Message { event, reference, payload, credit });
                }
                Command::Leave { channel, reference, credit } => {
                    self.channels.deliver(channel, Work::Leave { reference, credit });
                }
                Command::Kill { channel } => match self.channels.kill(channel) {
                    Ended::Gone => self.machine.ended(channel, turn.now),
                    Ended::Terminate(callback) => self.start(channel, callback, turn),
                    Ended::Later => {}
                },
                Command::Abandon { channel } => self.channels.abandon(channel),
                Command::Close(reason) => self.close(&reason, turn.now),
            }
        }
        while let Some(notice) = self.machine.poll_event() {
            log(&notice);
        }
    }

    fn send(&mut self, turn: &mut Turn<'_, '_>) {
        while let Some(frame) = self.machine.poll_transmit() {
            self.outgoing.push(frame);
        }
        if matches!(self.state, State::Closed) {
            return;
        }
        let (transport, outgoing) = (&mut self.transport, &mut self.outgoing);
        let (deadline, timeout) = (&mut self.write_deadline, self.parts.timeouts.write);
        if write(transport, outgoing, deadline, timeout, turn.now, turn.cx).is_err() {
            self.end(End::PeerClosed);
            self.state = State::Closed;
        }
    }

    /// Ready when a deadline has ended the connection.
    fn poll_timer(&mut self, turn: &mut Turn<'_, '_>) -> Poll<()> {
        let protocol = self.machine.poll_timeout().map(|(deadline, _)| deadline);
        let deadline = protocol.into_iter().chain(self.write_deadline).min();
        ready!(self.timer.poll(deadline, turn.now, turn.cx));
        turn.now = now();
        if self.write_deadline.is_some_and(|deadline| turn.now >= deadline) {
            tracing::info!("nothing could be written for too long");
            self.end(End::TooSlow);
            self.state = State::Closed;
            return Poll::Ready(());
        }
        self.machine.handle_timeout(turn.now);
        self.execute(turn);
        // Round again: for what the machine wants now, and for the next deadline.
        turn.cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T: Transport> Future for ChannelDriver<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        if driver.parts.span.is_disabled() {
            return driver.poll_with_buffers(cx);
        }
        let span = driver.parts.span.clone();
        let _entered = span.enter();
        driver.poll_with_buffers(cx)
    }
}

impl<T: Transport> Drop for ChannelDriver<T> {
    fn drop(&mut self) {
        if matches!(self.state, State::Open) {
            self.cut(End::PeerClosed);
        }
    }
}

impl<T: Transport> fmt::Debug for ChannelDriver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("transport", &self.parts.transport).finish_non_exhaustive()
    }
}

fn log(notice: &Notice) {
    match notice {
        Notice::DuplicateJoin(topic) => tracing::debug!(%topic, "duplicate join, closing the old channel"),
        Notice::Stale(topic) => tracing::debug!(%topic, "ignoring a message of an earlier join"),
        Notice::TooManyChannels(topic) => tracing::error!(%topic, "too many channels joined"),
        Notice::Unmatched(topic) => tracing::warn!(%topic, "unmatched topic"),
        _ => {}
    }
}
