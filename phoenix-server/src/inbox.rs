use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Waker};

use parking_lot::Mutex;
use phoenix_proto::server::{ChannelId, ChannelInfo, CloseReason};
use phoenix_proto::{Broadcast, Frame};
use tokio::sync::oneshot;

use crate::handle::Place;

/// How much may wait for a client, and what happens to one that does not keep up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueueLimits {
    /// Frames that wait in memory for one connection; 65,536 by default.
    pub frames: usize,
    /// Bytes of those frames; 64 MiB by default. Broadcast frames count for each connection, though all
    /// share the same bytes.
    pub bytes: usize,
    /// Infos and intercepted broadcasts that wait for one channel, or infos for a socket without channels; 16,384 by
    /// default. Beyond it [`ChannelHandle::send`](crate::ChannelHandle::send) fails, and
    /// [`RawHandle::send`](crate::RawHandle::send).
    pub mailbox: usize,
    /// What happens to a client beyond these limits.
    pub policy: SlowConsumer,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { frames: 65_536, bytes: 64 << 20, mailbox: 16_384, policy: SlowConsumer::Disconnect }
    }
}

impl QueueLimits {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many frames may wait for one connection.
    pub fn frames(mut self, frames: usize) -> Self {
        self.frames = frames;
        self
    }

    /// Sets how many bytes of frames may wait for one connection.
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets how many infos and intercepted broadcasts may wait for one channel.
    pub fn mailbox(mut self, messages: usize) -> Self {
        self.mailbox = messages;
        self
    }

    /// Sets what happens to a client beyond the limits.
    pub fn policy(mut self, policy: SlowConsumer) -> Self {
        self.policy = policy;
        self
    }
}

/// What happens to a client that takes its messages too slowly, or whose channels take their broadcasts too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// Its connection is closed with 1013: phoenix.js reconnects and joins again, while a gap in its
    /// messages it could not notice.
    #[default]
    Disconnect,
    /// Frames and broadcasts that do not fit are dropped and counted; see
    /// [`Endpoint::dropped`](crate::Endpoint::dropped).
    Drop,
}

/// Everything that reaches a connection from inside the program, in one order (protocol §11).
///
/// Wait direction: senders never wait for the connection; the connection waits for senders.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    limits: QueueLimits,
}

#[derive(Debug)]
pub(crate) enum Item {
    /// A frame of a channel or for it.
    Frame(ChannelId, Frame),
    /// An intercepted broadcast for a channel.
    Broadcast(ChannelId, Arc<Broadcast>, Place),
    /// A typed message for a channel.
    Info(ChannelId, Box<dyn Any + Send>, Place),
    /// End a channel at once, as a crash.
    Abort(ChannelId),
    /// End the connection.
    Close(Box<CloseReason>),
    /// Tell what channels there are.
    Inspect(oneshot::Sender<Vec<ChannelInfo>>),
    /// End the connection without a word.
    Cut,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// Frames and bytes in `items`.
    queued: Load,
    /// Frames and bytes that the connection has taken but not written.
    unwritten: Load,
    waker: Option<Waker>,
    /// Whether there is a broadcast in `items`.
    fanned_out: bool,
    phase: Phase,
    overflowed: bool,
    dropped: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// The connection runs, and will look again before it sleeps.
    #[default]
    Awake,
    /// An item has to wake it.
    Parked,
    Closed,
}

/// A number of frames with their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

/// Whether the connection may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parked {
    /// Not yet: there is something for it.
    NotEmpty,
    /// It is woken by the waker that it had before.
    Asleep,
    /// It is woken by another waker than before.
    AsleepAnew,
}

/// The connection that an item was for is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

impl Inbox {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self { state: Mutex::default(), limits }
    }

    /// Queues an item and wakes the connection if it sleeps.
    pub(crate) fn push(&self, item: Item) -> Result<(), Gone> {
        self.put(item, false)
    }

    /// The same for a broadcast.
    pub(crate) fn push_broadcast(&self, channel: ChannelId, frame: Frame) -> Result<(), Gone> {
        self.put(Item::Frame(channel, frame), true)
    }

    fn put(&self, item: Item, fanned_out: bool) -> Result<(), Gone> {
        let mut state = self.state.lock();
        if state.phase == Phase::Closed {
            return Err(Gone);
        }
        if let Item::Frame(_, frame) = &item {
            let frames = state.queued.frames + state.unwritten.frames + 1;
            let bytes = state.queued.bytes + state.unwritten.bytes + frame.len();
            if frames > self.limits.frames || bytes > self.limits.bytes {
                state.overflow(self.limits.policy);
                return Ok(());
            }
            state.queued.frames += 1;
            state.queued.bytes += frame.len();
        }
        state.items.push_back(item);
        state.fanned_out |= fanned_out;
        state.wake();
        Ok(())
    }

    /// Something for the client does not fit into the mailbox of a channel: it is dropped and counted, and the policy
    /// applies.
    pub(crate) fn overflow(&self) -> Result<(), Gone> {
        let mut state = self.state.lock();
        if state.phase == Phase::Closed {
            return Err(Gone);
        }
        state.overflow(self.limits.policy);
        Ok(())
    }

    /// How many infos and broadcasts may wait for one channel.
    pub(crate) fn mailbox_limit(&self) -> usize {
        self.limits.mailbox
    }

    /// Moves everything that is queued behind what is in `items`; whether there are broadcasts among it. `unwritten` is
    /// what the connection still has to write of what it took before, if it knows.
    pub(crate) fn take(&self, items: &mut VecDeque<Item>, unwritten: Option<Load>) -> bool {
        let mut state = self.state.lock();
        state.awake();
        if let Some(unwritten) = unwritten {
            state.unwritten = unwritten;
        }
        if state.items.is_empty() {
            return false;
        }
        let taken = std::mem::take(&mut state.queued);
        state.unwritten.frames += taken.frames;
        state.unwritten.bytes += taken.bytes;
        if state.items.len() <= FEW_ITEMS {
            while let Some(item) = state.items.pop_front() {
                items.push_back(item);
            }
        } else {
            items.append(&mut state.items);
        }
        std::mem::take(&mut state.fanned_out)
    }

    /// Lets the connection sleep until the next item, unless there is one already; `unwritten` is what it
    /// still has to write.
    pub(crate) fn park(&self, unwritten: Load, cx: &Context<'_>) -> Parked {
        let mut state = self.state.lock();
        state.unwritten = unwritten;
        if !state.items.is_empty() {
            return Parked::NotEmpty;
        }
        if state.items.capacity() > KEPT_ITEMS {
            state.items = VecDeque::new();
        }
        if state.phase == Phase::Awake {
            state.phase = Phase::Parked;
        }
        if state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Parked::Asleep;
        }
        state.waker = Some(cx.waker().clone());
        Parked::AsleepAnew
    }

    /// Refuses everything from now on and drops what is queued.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Closed;
        state.waker = None;
        let items = std::mem::take(&mut state.items);
        // Dropping an item may run foreign code.
        drop(state);
        drop(items);
    }

    /// How many frames and broadcasts did not fit.
    pub(crate) fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }
}

/// So many items are moved faster one by one.
const FEW_ITEMS: usize = 4;

/// Room for items that a sleeping connection may keep.
const KEPT_ITEMS: usize = 16;

impl State {
    fn awake(&mut self) {
        if self.phase == Phase::Parked {
            self.phase = Phase::Awake;
        }
    }

    fn overflow(&mut self, policy: SlowConsumer) {
        self.dropped += 1;
        if policy == SlowConsumer::Disconnect && !self.overflowed {
            self.overflowed = true;
            self.items.push_back(Item::Close(Box::new(CloseReason::TooSlow)));
            self.wake();
        }
    }

    fn wake(&mut self) {
        if self.phase == Phase::Parked {
            self.phase = Phase::Awake;
            if let Some(waker) = &self.waker {
                waker.wake_by_ref();
            }
        }
    }
}
