//! One session: what its requests and its connection share.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use phoenix_proto::Incoming;
use phoenix_proto::longpoll::{Config, PollId, Polled, Session as Machine};
use phoenix_server::{End, Outgoing, QueueLimits, SlowConsumer};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::token::Ticket;

/// The requests of a client on one side, the connection that runs its channels on the other.
///
/// Wait direction: requests wait for the connection, at most for the window; the connection waits for nobody.
pub(crate) struct Session {
    ticket: Ticket,
    window: Duration,
    state: Mutex<State>,
}

/// What is left when the connection is over is nothing but requests that run into their windows.
enum State {
    Live(Box<Live>),
    Over(End),
}

pub(crate) struct Live {
    machine: Machine,
    /// Answers whose polls have not fetched them yet.
    answers: Vec<(PollId, Polled)>,
    waiting: Vec<(PollId, Waker)>,
    posts: VecDeque<Post>,
    next_post: u64,
    /// The POST whose last message the connection has taken last.
    handling: Option<oneshot::Sender<()>>,
    connection: Option<Waker>,
    warned: bool,
}

/// The messages of a POST that the connection has not taken yet.
struct Post {
    number: u64,
    messages: std::vec::IntoIter<Incoming>,
    handled: oneshot::Sender<()>,
}

/// What becomes of a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Posted {
    Accepted,
    Timeout,
    Gone,
}

impl Session {
    pub(crate) fn new(ticket: Ticket, window: Duration, queue: &QueueLimits) -> Self {
        let mut config = Config::default();
        config.window = window;
        config.max_frames = queue.frames;
        config.max_bytes = queue.bytes;
        config.overflow = match queue.policy {
            SlowConsumer::Drop => phoenix_proto::longpoll::Overflow::Drop,
            _ => phoenix_proto::longpoll::Overflow::End,
        };
        let live = Live {
            machine: Machine::new(config, now()),
            answers: Vec::new(),
            waiting: Vec::new(),
            posts: VecDeque::new(),
            next_post: 0,
            handling: None,
            connection: None,
            warned: false,
        };
        Self { ticket, window, state: Mutex::new(State::Live(Box::new(live))) }
    }

    pub(crate) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Starts a poll; `None` when the session is over.
    pub(crate) fn poll(self: &Arc<Self>) -> Option<Waiting> {
        let poll = self.with(|live| {
            let poll = live.machine.handle_poll(now());
            live.deliver();
            poll
        })?;
        let deadline = after(Instant::now(), self.window);
        Some(Waiting { session: Arc::clone(self), poll, deadline, timer: None, answered: false })
    }

    /// Hands messages to the connection and waits until it has dealt with them, for a window at most.
    pub(crate) async fn post(&self, messages: Vec<Incoming>) -> Posted {
        let (handled, done) = oneshot::channel();
        let Some(number) = self.with(|live| live.post(messages, handled)) else { return Posted::Gone };
        let _queued = Queued { session: self, number };
        match timeout(self.window, done).await {
            Ok(Ok(())) => Posted::Accepted,
            Ok(Err(_)) => Posted::Gone,
            Err(_) => Posted::Timeout,
        }
    }

    /// Ends the session because of a message that is none.
    pub(crate) fn violate(&self) -> Posted {
        self.end(End::ProtocolError);
        Posted::Gone
    }

    /// The answer to a poll is handed to the HTTP server.
    pub(crate) fn written(&self, poll: PollId) {
        self.with(|live| live.machine.handle_written(poll));
    }

    /// The client does not get the answer to a poll.
    pub(crate) fn lost(&self, poll: PollId) {
        self.with(|live| {
            live.answers.retain(|(answered, _)| *answered != poll);
            live.waiting.retain(|(waiting, _)| *waiting != poll);
            live.machine.handle_lost(poll);
            live.deliver();
        });
    }

    /// Drops everything, because nobody will fetch it, and tells the connection.
    pub(crate) fn end(&self, reason: End) {
        let mut state = self.state.lock();
        if let State::Over(_) = *state {
            return;
        }
        let ended = std::mem::replace(&mut *state, State::Over(reason));
        drop(state);
        if let State::Live(live) = ended {
            tracing::debug!(dropped = live.machine.dropped(), "the session is over");
            live.wake_connection();
        }
    }

    /// Why it is over, if it is.
    pub(crate) fn ended(&self) -> Option<End> {
        match *self.state.lock() {
            State::Live(_) => None,
            State::Over(reason) => Some(reason),
        }
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Live) -> T) -> Option<T> {
        match &mut *self.state.lock() {
            State::Live(live) => Some(act(live)),
            State::Over(_) => None,
        }
    }
}

impl Live {
    pub(crate) fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// Whom to wake when there is something to receive.
    pub(crate) fn set_connection(&mut self, waker: &Waker) {
        match &mut self.connection {
            Some(known) => known.clone_from(waker),
            None => self.connection = Some(waker.clone()),
        }
    }

    /// Tells the POST whose messages were taken that these are dealt with.
    pub(crate) fn acknowledge(&mut self) {
        if let Some(handled) = self.handling.take() {
            // A client that does not wait any more is not told.
            let _ = handled.send(());
        }
    }

    /// Takes the next message that is posted. One at a time, as in Phoenix, so that a channel can act on one before the
    /// next is looked at: what follows a leave finds the channel left (protocol §15.6).
    pub(crate) fn receive(&mut self) -> Option<Incoming> {
        loop {
            let post = self.posts.front_mut()?;
            let next = post.messages.next();
            if post.messages.len() == 0 {
                let done = self.posts.pop_front();
                self.acknowledge();
                self.handling = done.map(|post| post.handled);
            }
            if next.is_some() {
                return next;
            }
        }
    }

    /// Keeps what goes out for the next poll.
    pub(crate) fn send(&mut self, outgoing: &mut Outgoing) {
        while let Some(frame) = outgoing.pop() {
            if let Err(error) = self.machine.push(frame)
                && !std::mem::replace(&mut self.warned, true)
            {
                tracing::warn!(%error, "the first message is dropped");
            }
        }
        self.deliver();
    }

    pub(crate) fn handle_timeout(&mut self) {
        self.machine.handle_timeout(now());
        self.deliver();
    }

    /// Takes the answer to a poll, or notes whom to wake when it comes.
    fn answer(&mut self, poll: PollId, waker: &Waker) -> Option<Polled> {
        if let Some(at) = self.answers.iter().position(|(answered, _)| *answered == poll) {
            return Some(self.answers.swap_remove(at).1);
        }
        match self.waiting.iter_mut().find(|(waiting, _)| *waiting == poll) {
            Some((_, known)) => known.clone_from(waker),
            None => self.waiting.push((poll, waker.clone())),
        }
        None
    }

    fn post(&mut self, messages: Vec<Incoming>, handled: oneshot::Sender<()>) -> u64 {
        let number = self.next_post;
        self.next_post += 1;
        self.posts.push_back(Post { number, messages: messages.into_iter(), handled });
        self.wake_connection();
        number
    }

    /// Wakes the polls that have their answers.
    fn deliver(&mut self) {
        while let Some((poll, polled)) = self.machine.poll_answer() {
            if let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == poll) {
                self.waiting.swap_remove(at).1.wake();
            }
            self.answers.push((poll, polled));
        }
    }

    fn wake_connection(&self) {
        if let Some(connection) = &self.connection {
            connection.wake_by_ref();
        }
    }
}

/// A poll that has no answer yet; dropped without one, it is lost.
pub(crate) struct Waiting {
    session: Arc<Session>,
    poll: PollId,
    deadline: Instant,
    /// Only of one that has to wait.
    timer: Option<Pin<Box<Sleep>>>,
    answered: bool,
}

impl Waiting {
    pub(crate) fn id(&self) -> PollId {
        self.poll
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline))).as_mut().poll(cx)
    }
}

impl Future for Waiting {
    type Output = Polled;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Polled> {
        let waiting = self.get_mut();
        let mut polled = waiting.session.with(|live| live.answer(waiting.poll, cx.waker())).flatten();
        if polled.is_none() && waiting.poll_timer(cx).is_ready() {
            let late = waiting.session.with(|live| {
                live.handle_timeout();
                live.answer(waiting.poll, cx.waker())
            });
            // Of a session that is over, too, the client hears after the window only (protocol §15.7).
            polled = Some(late.flatten().unwrap_or(Polled::NoContent));
        }
        match polled {
            Some(polled) => {
                waiting.answered = true;
                Poll::Ready(polled)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answered {
            self.session.lost(self.poll);
        }
    }
}

/// Takes back the messages of a POST that nobody waits for, unless the connection has them.
struct Queued<'a> {
    session: &'a Session,
    number: u64,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.session.with(|live| live.posts.retain(|post| post.number != self.number));
    }
}

/// The time as the runtime has it, which tests may have paused.
pub(crate) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// A moment that much later, or one that nobody will see.
fn after(now: Instant, time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
    now.checked_add(time).unwrap_or_else(|| now + FAR)
}
