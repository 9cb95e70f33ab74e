use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use phoenix_proto::server::ChannelId;

use crate::End;
use crate::presence::until_it_waits;
use crate::runner::{Callback, Done, Runner, Work};
use crate::shield::Shield;

/// The channels of one connection and the callbacks of theirs that are waiting.
///
/// A callback is polled at once where it is started, and mostly done then. Only one that waits becomes a
/// task of its own inside the connection, so that an idle channel costs its own state and nothing else.
#[derive(Default)]
pub(super) struct Channels {
    cells: Vec<Option<Cell>>,
    /// Channels with mail that are not running.
    ready: Ready,
    waiting: Option<Box<Waiting>>,
}

pub(super) type Ready = VecDeque<ChannelId>;

type Waiting = FuturesUnordered<Abortable<Shield<Callback>>>;

struct Cell {
    channel: ChannelId,
    phase: Phase,
    mailbox: VecDeque<Work>,
    /// Ends the callback that waits, if one does.
    abort: Option<AbortHandle>,
}

enum Phase {
    Joining,
    Idle(Box<dyn Runner>),
    Running {
        traps_exit: bool,
    },
    /// Running its last ordinary callback: it is to end with this.
    Ending(End),
    Terminating,
}

/// What became of an attempt to end a channel.
pub(super) enum Ended {
    /// It is gone.
    Gone,
    /// Its last callback has to run first.
    Terminate(Callback),
    /// It is not done yet and reports by itself.
    Later,
}

impl Channels {
    pub(super) fn insert(&mut self, channel: ChannelId) {
        if self.cells.len() <= channel.slot() {
            self.cells.reserve_exact(channel.slot() + 1 - self.cells.len());
            self.cells.resize_with(channel.slot() + 1, || None);
        }
        let cell = Cell { channel, phase: Phase::Joining, mailbox: VecDeque::new(), abort: None };
        self.cells[channel.slot()] = Some(cell);
    }

    pub(super) fn remove(&mut self, channel: ChannelId) {
        if self.cell(channel).is_some() {
            self.cells[channel.slot()] = None;
        }
    }

    /// Puts work into the mailbox of a channel, unless it is ending.
    pub(super) fn deliver(&mut self, channel: ChannelId, work: Work) {
        let Some(cell) = self.cell(channel) else { return };
        match cell.phase {
            Phase::Idle(_) => {
                match cell.mailbox.capacity() {
                    0 => cell.mailbox.reserve_exact(KEPT_MAIL),
                    KEPT_MAIL if cell.mailbox.len() == KEPT_MAIL => {
                        let kept = std::mem::replace(&mut cell.mailbox, SPARE_MAILBOX.take());
                        cell.mailbox.extend(kept);
                    }
                    _ => {}
                }
                cell.mailbox.push_back(work);
                if cell.mailbox.len() == 1 {
                    self.ready.push_back(channel);
                }
            }
            Phase::Joining | Phase::Running { .. } => cell.mailbox.push_back(work),
            Phase::Ending(_) | Phase::Terminating => {}
        }
    }

    /// Whether some channel has mail and is not running.
    pub(super) fn has_callbacks(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Exchanges the list of channels with mail, with what is in it, for another.
    pub(super) fn swap_ready(&mut self, ready: &mut Ready) {
        std::mem::swap(&mut self.ready, ready);
    }

    /// The callback for the next piece of work of a channel that is not running.
    pub(super) fn next_callback(&mut self) -> Option<(ChannelId, Callback)> {
        while let Some(channel) = self.ready.pop_front() {
            let Some(cell) = self.cell(channel) else { continue };
            let Some(work) = cell.mailbox.pop_front() else { continue };
            match std::mem::replace(&mut cell.phase, Phase::Terminating) {
                Phase::Idle(runner) => {
                    cell.phase = Phase::Running { traps_exit: runner.traps_exit() };
                    return Some((channel, runner.run(channel, work)));
                }
                other => cell.phase = other,
            }
        }
        None
    }

    /// A channel is between two callbacks: it waits for mail, or goes on with what it has.
    ///
    /// Returns its last callback when it was told to end meanwhile.
    pub(super) fn idle(&mut self, channel: ChannelId, runner: Box<dyn Runner>) -> Option<Callback> {
        let cell = self.cell(channel)?;
        if let Phase::Ending(end) = cell.phase {
            return self.terminate(channel, runner, end);
        }
        cell.phase = Phase::Idle(runner);
        cell.abort = None;
        let has_mail = !cell.mailbox.is_empty();
        if cell.mailbox.capacity() > KEPT_MAIL && !has_mail {
            let mailbox = std::mem::take(&mut cell.mailbox);
            if mailbox.capacity() <= SPARE_MAIL {
                SPARE_MAILBOX.set(mailbox);
            }
        }
        if has_mail {
            self.ready.push_back(channel);
        }
        None
    }

    /// Starts the end of a channel: no work is done any more but its last callback.
    pub(super) fn terminate(
        &mut self,
        channel: ChannelId,
        runner: Box<dyn Runner>,
        end: End,
    ) -> Option<Callback> {
        let cell = self.cell(channel)?;
        cell.phase = Phase::Terminating;
        cell.mailbox = VecDeque::new();
        Some(runner.terminate(channel, end))
    }

    /// Ends a channel from outside, at once unless it traps that.
    pub(super) fn kill(&mut self, channel: ChannelId) -> Ended {
        let Some(cell) = self.cell(channel) else { return Ended::Gone };
        match std::mem::replace(&mut cell.phase, Phase::Terminating) {
            Phase::Idle(runner) if runner.traps_exit() => {
                self.terminate(channel, runner, End::Replaced).map_or(Ended::Gone, Ended::Terminate)
            }
            Phase::Running { traps_exit: true } => {
                cell.phase = Phase::Ending(End::Replaced);
                cell.mailbox = VecDeque::new();
                Ended::Later
            }
            phase @ (Phase::Ending(_) | Phase::Terminating) => {
                cell.phase = phase;
                Ended::Later
            }
            Phase::Idle(_) | Phase::Joining | Phase::Running { .. } => {
                self.abandon(channel);
                Ended::Gone
            }
        }
    }

    /// Drops a channel, whatever it does.
    pub(super) fn abandon(&mut self, channel: ChannelId) {
        if let Some(abort) = self.cell(channel).and_then(|cell| cell.abort.take()) {
            abort.abort();
        }
        self.remove(channel);
    }

    /// Polls a new callback once, and keeps it if it waits.
    pub(super) fn start(
        &mut self,
        channel: ChannelId,
        mut callback: Callback,
        cx: &mut Context<'_>,
    ) -> Option<Done> {
        if let Poll::Ready(done) = until_it_waits(|| callback.poll_unpin(cx)) {
            return Some(done);
        }
        let (abort, registration) = AbortHandle::new_pair();
        if let Some(cell) = self.cell(channel) {
            cell.abort = Some(abort);
            self.waiting.get_or_insert_default().push(Abortable::new(Shield::new(callback), registration));
        }
        None
    }

    /// The next waiting callback that is done.
    pub(super) fn poll_done(&mut self, cx: &mut Context<'_>) -> Option<Done> {
        let waiting = self.waiting.as_mut()?;
        loop {
            match until_it_waits(|| waiting.poll_next_unpin(cx)) {
                Poll::Ready(Some(Ok(done))) => return Some(done),
                // One of a channel that was ended.
                Poll::Ready(Some(Err(_))) => {}
                Poll::Ready(None) => {
                    self.waiting = None;
                    return None;
                }
                Poll::Pending => return None,
            }
        }
    }

    /// Ends all channels because their connection did: each finishes the callback it is in, then runs its
    /// last one, within `grace` in all. What does not wait is done `at_once`, if that is allowed, the rest in a task.
    pub(super) fn wind_down(mut self, end: End, grace: Duration, at_once: bool) {
        if self.cells.iter().all(Option::is_none) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut waiting = self.waiting.take().unwrap_or_default();
        for cell in self.cells.iter_mut().flatten() {
            match std::mem::replace(&mut cell.phase, Phase::Terminating) {
                Phase::Idle(runner) => {
                    let mut last = runner.terminate(cell.channel, end);
                    // The task asks it again if it waits.
                    let mut cx = Context::from_waker(Waker::noop());
                    if !at_once || until_it_waits(|| last.poll_unpin(&mut cx)).is_pending() {
                        waiting.push(unabortable(last));
                    }
                }
                Phase::Joining => {
                    if let Some(abort) = cell.abort.take() {
                        abort.abort();
                    }
                }
                Phase::Running { .. } | Phase::Ending(_) | Phase::Terminating => {}
            }
        }
        if waiting.is_empty() {
            return;
        }
        let last_callbacks = async move {
            while let Some(done) = waiting.next().await {
                if let Ok(Done::Ran(channel, runner, _)) = done {
                    waiting.push(unabortable(runner.terminate(channel, end)));
                }
            }
        };
        runtime.spawn(tracing::Instrument::instrument(
            async move {
                if tokio::time::timeout(grace, last_callbacks).await.is_err() {
                    tracing::warn!("channels did not terminate in time");
                }
            },
            tracing::Span::current(),
        ));
    }

    fn cell(&mut self, channel: ChannelId) -> Option<&mut Cell> {
        let cell = self.cells.get_mut(channel.slot())?.as_mut()?;
        (cell.channel == channel).then_some(cell)
    }
}

fn unabortable(callback: Callback) -> Abortable<Shield<Callback>> {
    let (_, registration) = AbortHandle::new_pair();
    Abortable::new(Shield::new(callback), registration)
}

/// Room for work that the mailbox of an idle channel may keep.
const KEPT_MAIL: usize = 1;

/// Room for work that a thread may keep, for the next channel that gets more at once.
const SPARE_MAIL: usize = 256;

thread_local! {
    static SPARE_MAILBOX: std::cell::Cell<VecDeque<Work>> = const { std::cell::Cell::new(VecDeque::new()) };
}
