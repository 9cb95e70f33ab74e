//! The connection of a socket without channels: its callbacks run one after the other, in the order in which things
//! arrived, and nothing is read while something that was read waits to be handled.

mod closing;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use phoenix_proto::Frame;
use phoenix_proto::server::{CloseCode, CloseReason};

use super::Timeouts;
use super::closing::poll_good_bye;
use super::timer::{Timer, now};
use super::writing::write;
use crate::End;
use crate::handle::Link;
use crate::inbox::{Inbox, Item, Parked};
use crate::pubsub::{PubSub, TopicGuard};
use crate::raw::{Callback, Close, Fresh, Outcome, Runner, Work};
use crate::registry::Registration;
use crate::telemetry::Diagnostics;
use crate::transport::{Control, Disconnect, Outgoing, RawIncoming, Transport};

/// What an accepted connection of a raw socket is made of.
pub(crate) struct RawParts {
    pub(crate) socket: Box<dyn Fresh>,
    pub(crate) id: Option<Arc<str>>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) timeouts: Timeouts,
    pub(crate) pubsub: PubSub,
    pub(crate) diagnostics: Arc<Diagnostics>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) transport: &'static str,
    pub(crate) registration: Registration,
    pub(crate) span: tracing::Span,
}

pub(super) struct RawDriver<T: Transport> {
    inbox: Arc<Inbox>,
    idle_timeout: Option<Duration>,
    timeouts: Timeouts,
    span: tracing::Span,
    transport: T,
    outgoing: Outgoing,
    timer: Timer,
    /// Until when something has to be written, while the transport is blocked.
    write_deadline: Option<Instant>,
    /// When something was received, or was handled that was received.
    active: Instant,
    queue: VecDeque<Queued>,
    /// How much was received and is not handled.
    unhandled: usize,
    phase: Phase,
    state: State,
    _id_subscription: Option<TopicGuard>,
    _registration: Registration,
}

enum Queued {
    Work(Work),
    /// The transport is at its end; what came before is handled first.
    Disconnect(Disconnect),
}

enum Phase {
    Idle(Box<dyn Runner>),
    Running {
        callback: Callback,
        /// Whether it handles something that was received.
        received: bool,
    },
    /// Its last callback is on its way.
    Over,
}

enum State {
    Open,
    /// What is queued is being written, then the connection is closed.
    Closing {
        close: Close,
        deadline: Instant,
    },
    Closed,
}

/// What asking the transport gave.
#[derive(PartialEq, Eq)]
enum Received {
    Some,
    None,
    Unasked,
}

/// How often the driver goes round before it lets other tasks run.
const MAX_ROUNDS: usize = 32;

/// How many callbacks may run before what they have sent is written and more is read.
const MAX_CALLBACKS: usize = 256;

/// Room for work that an idle connection may keep.
const KEPT_WORK: usize = 4;

impl<T: Transport> RawDriver<T> {
    pub(super) fn new(parts: RawParts, id_subscription: Option<TopicGuard>, transport: T) -> Self {
        let link =
            Link::without_channel(Arc::clone(&parts.inbox), parts.pubsub, parts.transport, parts.diagnostics);
        Self {
            inbox: parts.inbox,
            idle_timeout: parts.idle_timeout,
            timeouts: parts.timeouts,
            span: parts.span,
            transport,
            outgoing: Outgoing::default(),
            timer: Timer::default(),
            write_deadline: None,
            active: now(),
            queue: VecDeque::from([Queued::Work(Work::Init)]),
            unhandled: 0,
            phase: Phase::Idle(parts.socket.start(Arc::new(link))),
            state: State::Open,
            _id_subscription: id_subscription,
            _registration: parts.registration,
        }
    }

    pub(super) fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let span = self.span.clone();
        let _entered = span.enter();
        loop {
            match &self.state {
                State::Open => ready!(self.poll_open(cx)),
                State::Closing { close, deadline } => {
                    let good_bye = |transport: &mut T, cx: &mut Context<'_>| {
                        transport.poll_close_with(cx, close.code(), close.reason())
                    };
                    let (transport, outgoing) = (&mut self.transport, &mut self.outgoing);
                    ready!(poll_good_bye(transport, outgoing, &mut self.timer, *deadline, cx, good_bye));
                    self.state = State::Closed;
                }
                State::Closed => return Poll::Ready(()),
            }
        }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = now();
        for _ in 0..MAX_ROUNDS {
            self.drain_inbox(now);
            self.run_callbacks(now, cx);
            let received = self.receive(now, cx);
            self.send(now, cx);
            if !matches!(self.state, State::Open) {
                return Poll::Ready(());
            }
            let has_work = matches!(self.phase, Phase::Idle(_)) && !self.queue.is_empty();
            if has_work || received == Received::Some || received == Received::Unasked && self.may_receive() {
                continue;
            }
            if self.queue.is_empty() && self.queue.capacity() > KEPT_WORK {
                self.queue = VecDeque::new();
            }
            match self.inbox.park(self.outgoing.load(), cx) {
                Parked::NotEmpty => {}
                Parked::Asleep => return self.poll_timer(cx),
                Parked::AsleepAnew => {
                    self.timer.disarm();
                    return self.poll_timer(cx);
                }
            }
        }
        // Somebody keeps this connection busy; deadlines and the other tasks of the thread have a right too.
        self.timer.disarm();
        cx.waker().wake_by_ref();
        self.poll_timer(cx)
    }

    /// Queues what other parts of the program sent, and what callbacks did.
    fn drain_inbox(&mut self, now: Instant) {
        let mut items = VecDeque::new();
        self.inbox.take(&mut items, Some(self.outgoing.load()));
        for item in items {
            if !matches!(self.state, State::Open) {
                return;
            }
            match item {
                Item::Frame(_, frame) => self.outgoing.push(frame),
                Item::Info(_, info, place) => self.queue.push_back(Queued::Work(Work::Info(info, place))),
                Item::Close(reason) => self.close(&reason, now),
                // Whoever asked may have gone.
                Item::Inspect(answer) => drop(answer.send(Vec::new())),
                Item::Cut => {
                    self.end(End::Internal, None);
                    self.state = State::Closed;
                }
                // Only channels are told of these.
                Item::Broadcast(..) | Item::Abort(_) => {}
            }
        }
    }

    /// Runs what there is to do until a callback waits.
    fn run_callbacks(&mut self, now: Instant, cx: &mut Context<'_>) {
        for _ in 0..MAX_CALLBACKS {
            match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Over => return,
                Phase::Idle(runner) => match self.queue.pop_front() {
                    Some(Queued::Work(work)) => {
                        if let Work::Control(Control::Ping(payload)) = &work {
                            self.answer(payload);
                        }
                        let received = work.is_received();
                        self.phase = Phase::Running { callback: runner.run(work), received };
                    }
                    Some(Queued::Disconnect(disconnect)) => {
                        self.phase = Phase::Idle(runner);
                        return self.disconnect(disconnect, now);
                    }
                    None => {
                        self.phase = Phase::Idle(runner);
                        return;
                    }
                },
                Phase::Running { mut callback, received } => match callback.poll_unpin(cx) {
                    Poll::Ready((runner, outcome)) => {
                        self.phase = Phase::Idle(runner);
                        if received {
                            self.unhandled -= 1;
                            self.active = now;
                        }
                        // What the callback sent comes before what becomes of it.
                        self.drain_inbox(now);
                        self.settle(outcome, received, now);
                    }
                    Poll::Pending => {
                        self.phase = Phase::Running { callback, received };
                        return;
                    }
                },
            }
        }
    }

    fn answer(&mut self, ping: &[u8]) {
        // A ping is as short as a pong has to be, unless a transport of the application's own lets a longer one pass.
        if let Ok(pong) = Frame::pong(ping) {
            self.outgoing.push(pong);
        }
    }

    fn settle(&mut self, outcome: Outcome, received: bool, now: Instant) {
        if !matches!(self.state, State::Open) {
            return;
        }
        match outcome {
            Outcome::Continue => {}
            Outcome::Stop(close) => {
                if received {
                    self.transport.handled();
                }
                self.end(End::Stopped, None);
                self.begin_closing(close, now);
            }
            Outcome::Crash => {
                self.end(End::Crashed, None);
                self.begin_closing(CloseCode::INTERNAL_ERROR.into(), now);
            }
        }
    }

    fn receive(&mut self, now: Instant, cx: &mut Context<'_>) -> Received {
        if !self.may_receive() {
            return Received::Unasked;
        }
        let mut incoming = Vec::new();
        let polled = self.transport.poll_receive_raw(cx, &mut incoming);
        if polled.is_ready() {
            self.active = now;
        }
        self.unhandled += incoming.len();
        self.queue.extend(incoming.into_iter().map(|unit| {
            Queued::Work(match unit {
                RawIncoming::Message(message) => Work::Message(message),
                RawIncoming::Control(control) => Work::Control(control),
            })
        }));
        match polled {
            Poll::Ready(Ok(())) => Received::Some,
            Poll::Ready(Err(disconnect)) => {
                // It is never handled, so that nothing is asked for any more.
                self.unhandled += 1;
                self.queue.push_back(Queued::Disconnect(disconnect));
                Received::Some
            }
            Poll::Pending => Received::None,
        }
    }

    fn may_receive(&self) -> bool {
        self.unhandled == 0 && self.write_deadline.is_none() && matches!(self.state, State::Open)
    }

    fn send(&mut self, now: Instant, cx: &mut Context<'_>) {
        if matches!(self.state, State::Closed) {
            return;
        }
        let (transport, outgoing) = (&mut self.transport, &mut self.outgoing);
        let (deadline, timeout) = (&mut self.write_deadline, self.timeouts.write);
        if write(transport, outgoing, deadline, timeout, now, cx).is_err() {
            self.end(End::PeerClosed, None);
            self.state = State::Closed;
        }
    }

    /// Ready when a deadline has ended the connection.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // While something is handled, nothing can be received.
        let idle = self.idle_timeout.filter(|_| self.unhandled == 0);
        // One that is too far away to be represented never comes.
        let idle = idle.and_then(|timeout| self.active.checked_add(timeout));
        ready!(self.timer.poll(idle.into_iter().chain(self.write_deadline).min(), now(), cx));
        let now = now();
        if self.write_deadline.is_some_and(|deadline| now >= deadline) {
            tracing::info!("nothing could be written for too long");
            self.end(End::TooSlow, None);
            self.state = State::Closed;
            return Poll::Ready(());
        }
        if idle.is_some_and(|deadline| now >= deadline) {
            self.close(&CloseReason::Idle, now);
            return Poll::Ready(());
        }
        // Round again, for the next deadline.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T: Transport> fmt::Debug for RawDriver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("unhandled", &self.unhandled).finish_non_exhaustive()
    }
}
