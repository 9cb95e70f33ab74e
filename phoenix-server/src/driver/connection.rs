mod callbacks;
mod closing;

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use phoenix_proto::Incoming;
use phoenix_proto::server::{CloseCode, Command, Connection, Notice, Queues};

use super::accepted::AcceptedParts;
use super::channels::{Channels, Ended};
use super::timer::{Timer, now};
use crate::End;
use crate::inbox::{Item, Load, Parked};
use crate::pubsub::TopicGuard;
use crate::runner::Work;
use crate::transport::{Outgoing, Transport};

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

thread_local! {
    /// Buffers that are empty between two polls, shared by all connections of a thread.
    static ITEMS: Cell<VecDeque<Item>> = const { Cell::new(VecDeque::new()) };
    static INCOMING: Cell<Vec<Incoming>> = const { Cell::new(Vec::new()) };
    static QUEUES: Cell<Queues> = const { Cell::new(Queues::new()) };
    static OUTGOING: Cell<Outgoing> = const { Cell::new(Outgoing::new()) };
}

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

    /// Takes the queues of this thread, so that a connection that does nothing owns none.
    fn borrow_queues(&mut self) {
        // What a timeout has left in them is not sent yet.
        if self.machine.has_empty_queues() {
            let mut queues = QUEUES.take();
            self.machine.swap_queues(&mut queues);
        }
        if self.outgoing.is_empty() {
            self.outgoing = OUTGOING.take();
        }
    }

    /// Gives the queues back, unless something is left in them.
    fn return_queues(&mut self) {
        let mut queues = Queues::new();
        if self.machine.has_empty_queues() {
            self.machine.swap_queues(&mut queues);
            QUEUES.set(queues);
        }
        if self.outgoing.is_empty() {
            OUTGOING.set(std::mem::take(&mut self.outgoing));
        }
    }

    fn poll_with_queues(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.borrow_queues();
        let polled = self.poll_state(cx);
        self.return_queues();
        polled
    }

    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.state {
                State::Open => ready!(self.poll_open(cx)),
                State::Closing { code, deadline } => {
                    ready!(self.poll_closing(code, deadline, cx));
                    self.state = State::Closed;
                }
                State::Closed => return Poll::Ready(()),
            }
        }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = now();
        // Whether all that was taken from the inbox is on its way: else it is still in the machine.
        let mut is_sent = !std::mem::take(&mut self.deferred);
        let mut may_defer = is_sent;
        for _ in 0..MAX_ROUNDS {
            // A connection that is never idle has to tell, too, what it has written.
            self.drain_inbox(is_sent.then(|| self.outgoing.load()));
            while let Some(done) = self.channels.poll_done(cx) {
                self.settle(done, now, cx);
                self.drain_inbox(None);
            }
            let received = self.receive(now, cx);
            self.execute(now, cx);
            if self.run_callbacks(now, cx) && self.drain_inbox(None) && std::mem::take(&mut may_defer) {
                self.deferred = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.send(now, cx);
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
            if more {
                continue;
            }
            match self.parts.inbox.park(self.outgoing.load(), cx) {
                Parked::NotEmpty => {}
                Parked::Asleep => return self.poll_timer(cx),
                Parked::AsleepAnew => {
                    self.timer.disarm();
                    return self.poll_timer(cx);
                }
            }
        }
        // Somebody keeps this connection busy; deadlines and the other tasks of the thread have a right too. Nothing
        // else may wake it: whoever was polled had more.
        self.timer.disarm();
        cx.waker().wake_by_ref();
        self.poll_timer(cx)
    }

    /// Moves what other parts of the program sent into the machine and the mailboxes; whether there was a
    /// broadcast among it.
    fn drain_inbox(&mut self, unwritten: Option<Load>) -> bool {
        let mut items = ITEMS.take();
        let fanned_out = self.parts.inbox.take(&mut items, unwritten);
        for item in items.drain(..) {
            match item {
                Item::Frame(channel, frame) => self.machine.send(channel, frame),
                Item::Broadcast(channel, broadcast, place) => {
                    self.channels.deliver(channel, Work::Broadcast(broadcast, place));
                }
                Item::Info(channel, info, place) => self.channels.deliver(channel, Work::Info(info, place)),
                Item::Abort(channel) => {
                    self.channels.abandon(channel);
                    self.machine.ended(channel, now());
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
        ITEMS.set(items);
        fanned_out
    }

    /// Hands what the transport read to the machine.
    fn receive(&mut self, now: Instant, cx: &mut Context<'_>) -> Received {
        if !self.may_receive() {
            return Received::Unasked;
        }
        let mut incoming = INCOMING.take();
        let received = self.transport.poll_receive(cx, &mut incoming);
        if received.is_ready() {
            self.machine.handle_activity(now);
        }
        // Joins are decided one by one, other callbacks only run after all of this: that gives the order in which
        // Phoenix answers (protocol §9.4).
        self.machine.begin_batch();
        for unit in incoming.drain(..) {
            self.machine.handle_incoming(unit, now);
            self.execute(now, cx);
        }
        self.machine.end_batch();
        INCOMING.set(incoming);
        match received {
            Poll::Ready(Ok(())) => Received::Some,
            Poll::Ready(Err(disconnect)) => {
                // A message before that may have ended the connection already.
                if matches!(self.state, State::Open) {
                    self.disconnect(disconnect, now);
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

    fn execute(&mut self, now: Instant, cx: &mut Context<'_>) {
        while matches!(self.state, State::Open)
            && let Some(command) = self.machine.poll_command()
        {
            match command {
                Command::Join(request) => self.join(*request, now, cx),
                Command::Message { channel, event, reference, payload, credit } => {
                    self.channels.deliver(channel, Work::Message { event, reference, payload, credit });
                }
                Command::Leave { channel, reference, credit } => {
                    self.channels.deliver(channel, Work::Leave { reference, credit });
                }
                Command::Kill { channel } => match self.channels.kill(channel) {
                    Ended::Gone => self.machine.ended(channel, now),
                    Ended::Terminate(callback) => self.start(channel, callback, now, cx),
                    Ended::Later => {}
                },
                Command::Abandon { channel } => self.channels.abandon(channel),
                Command::Close(reason) => self.close(&reason, now),
            }
        }
        while let Some(notice) = self.machine.poll_event() {
            log(&notice);
        }
    }

    fn send(&mut self, now: Instant, cx: &mut Context<'_>) {
        while let Some(frame) = self.machine.poll_transmit() {
            self.outgoing.push(frame);
        }
        if matches!(self.state, State::Closed) {
            return;
        }
        let before = self.outgoing.load();
        match self.transport.poll_send(cx, &mut self.outgoing) {
            Poll::Ready(Ok(())) => self.write_deadline = None,
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "write failed");
                self.end(End::PeerClosed);
                self.state = State::Closed;
            }
            Poll::Pending => {
                if self.write_deadline.is_none() || self.outgoing.load() != before {
                    self.write_deadline = Some(now + self.parts.timeouts.write);
                }
            }
        }
    }

    /// Ready when a deadline has ended the connection.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let protocol = self.machine.poll_timeout().map(|(deadline, _)| deadline);
        let deadline = protocol.into_iter().chain(self.write_deadline).min();
        ready!(self.timer.poll(deadline, cx));
        let now = now();
        if self.write_deadline.is_some_and(|deadline| now >= deadline) {
            tracing::info!("nothing could be written for too long");
            self.end(End::TooSlow);
            self.state = State::Closed;
            return Poll::Ready(());
        }
        self.machine.handle_timeout(now);
        self.execute(now, cx);
        // Round again: for what the machine wants now, and for the next deadline.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T: Transport> Future for ChannelDriver<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        if driver.parts.span.is_disabled() {
            return driver.poll_with_queues(cx);
        }
        let span = driver.parts.span.clone();
        let _entered = span.enter();
        driver.poll_with_queues(cx)
    }
}

impl<T: Transport> Drop for ChannelDriver<T> {
    fn drop(&mut self) {
        if matches!(self.state, State::Open) {
            self.end(End::PeerClosed);
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
