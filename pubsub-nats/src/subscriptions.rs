use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use async_nats::Subscriber;
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use slab::Slab;

use crate::order::{Order, Position, Received};

/// The subscriptions of one connection, read as one stream.
pub(crate) struct Subscriptions {
    slots: Slab<Slot>,
    by_subject: HashMap<String, usize>,
    ready: Arc<Ready>,
    order: Order,
}

struct Slot {
    subscriber: Subscriber,
    mark: Arc<Mark>,
    waker: Waker,
}

/// The slots that may have messages.
#[derive(Default)]
struct Ready {
    keys: Mutex<Vec<usize>>,
    reader: AtomicWaker,
}

/// Puts one slot among the ready ones.
struct Mark {
    key: usize,
    marked: AtomicBool,
    ready: Arc<Ready>,
}

impl Subscriptions {
    pub(crate) fn new() -> Self {
        Self {
            slots: Slab::new(),
            by_subject: HashMap::new(),
            ready: Arc::default(),
            order: Order::default(),
        }
    }

    pub(crate) fn add(&mut self, subject: String, subscriber: Subscriber) {
        let entry = self.slots.vacant_entry();
        let key = entry.key();
        let mark = Arc::new(Mark { key, marked: AtomicBool::new(false), ready: Arc::clone(&self.ready) });
        let waker = Waker::from(Arc::clone(&mark));
        // Messages may have come before there was a waker.
        mark.wake_by_ref();
        entry.insert(Slot { subscriber, mark, waker });
        self.by_subject.insert(subject, key);
    }

    pub(crate) fn remove(&mut self, subject: &str) -> Option<Subscriber> {
        let key = self.by_subject.remove(subject)?;
        // If the slot is among the ready ones, whoever has it then is looked at in vain.
        Some(self.slots.remove(key).subscriber)
    }

    /// What was received, each publisher's messages in order. This has to be polled without the limits that tokio puts
    /// on cooperative tasks, as to these all queues seem empty.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Received>> {
        self.ready.reader.register(cx.waker());
        let (slots, ready) = (&mut self.slots, &self.ready);
        let round = self.order.round(|round| {
            let keys = std::mem::take(&mut *ready.keys.lock());
            for key in keys {
                if let Some(slot) = slots.get_mut(key) {
                    slot.take(round);
                }
            }
        });
        if round.is_empty() { Poll::Pending } else { Poll::Ready(round) }
    }
}

impl Slot {
    fn take(&mut self, round: &mut Vec<Received>) {
        // Before the queue is looked at, so that what comes after that marks the slot again; as a swap, so that it sees
        // what came before.
        self.mark.marked.swap(false, Ordering::AcqRel);
        let mut cx = Context::from_waker(&self.waker);
        while let Poll::Ready(Some(message)) = Pin::new(&mut self.subscriber).poll_next(&mut cx) {
            let position = message.reply.as_deref().and_then(Position::parse);
            round.push(Received { position, message: message.payload });
        }
    }
}

impl Wake for Mark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.marked.swap(true, Ordering::AcqRel) {
            self.ready.keys.lock().push(self.key);
            self.ready.reader.wake();
        }
    }
}
