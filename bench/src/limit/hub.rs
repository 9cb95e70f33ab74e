//! Who is joined to what, and whose output waits to be written.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use slab::Slab;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::longpoll::Session;

/// An outgoing buffer that grew beyond this is given back once it is empty.
const KEPT_CAPACITY: usize = 16 * 1024;

/// All topics, all long-poll sessions, and the peers with unwritten output.
#[derive(Default)]
pub(super) struct Hub {
    topics: Mutex<HashMap<Box<[u8]>, Arc<Topic>>>,
    pub(super) sessions: Mutex<Slab<Arc<Session>>>,
    dirty: Mutex<Vec<Arc<Peer>>>,
    wake: Notify,
}

/// The subscribers of one topic.
pub(super) struct Topic {
    pub(super) name: Box<[u8]>,
    subscribers: Mutex<Slab<Arc<Peer>>>,
}

/// One place among the subscribers of a topic.
pub(super) struct Subscription {
    pub(super) topic: Arc<Topic>,
    slot: usize,
}

/// One connected client: where its frames go.
pub(super) struct Peer {
    link: Link,
    out: Mutex<Out>,
}

pub(super) enum Link {
    Socket(OwnedWriteHalf),
    /// Frames stay until a poll collects them.
    Mailbox(Notify),
}

#[derive(Default)]
struct Out {
    frames: Vec<u8>,
    dirty: bool,
    /// A task waits for the socket to take more.
    blocked: bool,
}

impl Hub {
    pub(super) fn subscribe(&self, name: &[u8], peer: &Arc<Peer>) -> Subscription {
        let mut topics = self.topics.lock();
        // Looked up first, so that a topic that exists costs no copy of its name.
        let topic = if let Some(topic) = topics.get(name) {
            Arc::clone(topic)
        } else {
            let topic = Arc::new(Topic { name: name.into(), subscribers: Mutex::default() });
            topics.insert(name.into(), Arc::clone(&topic));
            topic
        };
        let slot = topic.subscribers.lock().insert(Arc::clone(peer));
        Subscription { topic, slot }
    }

    pub(super) fn unsubscribe(&self, subscription: &Subscription) {
        let topic = &subscription.topic;
        let mut topics = self.topics.lock();
        let mut subscribers = topic.subscribers.lock();
        subscribers.remove(subscription.slot);
        if subscribers.is_empty() {
            topics.remove(&topic.name);
        }
    }

    pub(super) fn send(&self, peer: &Arc<Peer>, frame: &[u8]) {
        if peer.append(frame) {
            self.dirty.lock().push(Arc::clone(peer));
            self.wake.notify_one();
        }
    }

    pub(super) fn broadcast(&self, topic: &Topic, frame: &[u8]) {
        let mut dirty = self.dirty.lock();
        let subscribers = topic.subscribers.lock();
        dirty.extend(
            subscribers.iter().filter(|(_, peer)| peer.append(frame)).map(|(_, peer)| Arc::clone(peer)),
        );
        self.wake.notify_one();
    }

    /// Writes what has gathered, once per turn of the scheduler: one write per peer, however many frames.
    pub(super) async fn flush_forever(self: Arc<Self>) {
        let mut work = Vec::new();
        loop {
            self.wake.notified().await;
            // Behind the tasks that are ready now, whose output then leaves in the same writes.
            tokio::task::yield_now().await;
            std::mem::swap(&mut *self.dirty.lock(), &mut work);
            for peer in work.drain(..) {
                peer.flush();
            }
        }
    }
}

impl Peer {
    pub(super) fn new(link: Link) -> Arc<Self> {
        Arc::new(Self { link, out: Mutex::default() })
    }

    /// The frames that wait for a poll.
    pub(super) fn take_frames(&self) -> Vec<u8> {
        std::mem::take(&mut self.out.lock().frames)
    }

    /// Returns once frames have been put since the last call.
    pub(super) async fn mail(&self) {
        match &self.link {
            Link::Mailbox(arrived) => arrived.notified().await,
            Link::Socket(_) => std::future::pending().await,
        }
    }

    /// Whether the peer was clean before, so that somebody has to flush it.
    fn append(&self, frame: &[u8]) -> bool {
        let mut out = self.out.lock();
        out.frames.extend_from_slice(frame);
        !std::mem::replace(&mut out.dirty, true)
    }

    /// Writes as much as the socket takes; a task of its own writes the rest.
    pub(super) fn flush(self: &Arc<Self>) {
        let mut out = self.out.lock();
        out.dirty = false;
        match &self.link {
            Link::Mailbox(arrived) => arrived.notify_one(),
            Link::Socket(_) if out.blocked || out.frames.is_empty() => {}
            Link::Socket(writer) => {
                out.write_to(writer);
                if !out.frames.is_empty() {
                    out.blocked = true;
                    tokio::spawn(Arc::clone(self).unblock());
                }
            }
        }
    }

    async fn unblock(self: Arc<Self>) {
        let Link::Socket(writer) = &self.link else { return };
        while writer.writable().await.is_ok() {
            let mut out = self.out.lock();
            out.write_to(writer);
            if out.frames.is_empty() {
                out.blocked = false;
                return;
            }
        }
    }
}

impl Out {
    /// What a broken connection did not take is forgotten: its reader ends it.
    fn write_to(&mut self, writer: &OwnedWriteHalf) {
        match writer.try_write(&self.frames) {
            Ok(written) if written < self.frames.len() => _ = self.frames.drain(..written),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => {
                self.frames.clear();
                self.frames.shrink_to(KEPT_CAPACITY);
            }
        }
    }
}
