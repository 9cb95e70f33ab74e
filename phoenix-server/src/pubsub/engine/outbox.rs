use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use phoenix_proto::Text;
use thiserror::Error;
use tokio::sync::Notify;

use super::{Counters, Link};
use crate::pubsub::NodeName;

/// A broadcast that did not leave this node, and was delivered to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The engine is not connected to other nodes.
    #[error("not connected to the other nodes")]
    Disconnected,
    /// More is being published than the engine can send.
    #[error("too many broadcasts wait to be sent to other nodes")]
    QueueFull,
    /// The broadcast is larger than what the engine can send.
    #[error("the broadcast is larger than the {limit} bytes that can be sent to other nodes")]
    TooLarge {
        /// The largest possible size in bytes, envelope included.
        limit: usize,
    },
}

/// Bytes for other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Who shall get them.
    pub to: Route,
    /// The bytes.
    pub message: Bytes,
}

/// The receivers of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Every node interested in the topic.
    Topic(Text),
    /// One node.
    Node(NodeName),
}

/// The engine's end of the queue of publications.
pub struct Outbox {
    queue: Arc<Queue>,
}

/// What waits to be sent to other nodes: bounded, and refused beyond the bound.
pub(in crate::pubsub) struct Queue {
    state: Mutex<State>,
    arrived: Notify,
    counters: Arc<Counters>,
    link: Link,
    max_messages: usize,
    max_bytes: usize,
    /// The largest message that the engine can send.
    max_message: AtomicUsize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Publication>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(in crate::pubsub) fn new(
        counters: Arc<Counters>,
        max_messages: usize,
        max_bytes: usize,
    ) -> Arc<Self> {
        let link = Link::new(Arc::clone(&counters));
        let (state, arrived) = (Mutex::default(), Notify::new());
        let max_message = AtomicUsize::new(usize::MAX);
        Arc::new(Self { state, arrived, counters, link, max_messages, max_bytes, max_message })
    }

    pub(in crate::pubsub) fn push(&self, publication: Publication) -> Result<(), PublishError> {
        let pushed = self.try_push(publication);
        match pushed {
            Ok(()) => self.counters.published.add(1),
            Err(_) => self.counters.refused.add(1),
        }
        pushed
    }

    fn try_push(&self, publication: Publication) -> Result<(), PublishError> {
        if !self.link.is_up() {
            return Err(PublishError::Disconnected);
        }
        let limit = self.max_message.load(Ordering::Relaxed);
        if publication.message.len() > limit {
            return Err(PublishError::TooLarge { limit });
        }
        let mut state = self.state.lock();
        let bytes = state.bytes + publication.message.len();
        if state.closed {
            return Err(PublishError::Disconnected);
        }
        if state.waiting.len() >= self.max_messages || bytes > self.max_bytes {
            return Err(PublishError::QueueFull);
        }
        state.bytes = bytes;
        state.waiting.push_back(publication);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    pub(in crate::pubsub) fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_one();
    }
}

impl Outbox {
    pub(in crate::pubsub) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    /// Waits for publications and takes up to `limit` of them, oldest first; `None` when the PubSub is gone and
    /// everything is taken. Cancelling the wait loses nothing.
    pub async fn recv(&mut self, limit: usize) -> Option<Vec<Publication>> {
        loop {
            {
                let mut state = self.queue.state.lock();
                if !state.waiting.is_empty() {
                    let count = limit.max(1).min(state.waiting.len());
                    let taken: Vec<_> = state.waiting.drain(..count).collect();
                    state.bytes -= taken.iter().map(|publication| publication.message.len()).sum::<usize>();
                    return Some(taken);
                }
                if state.closed {
                    return None;
                }
            }
            self.queue.arrived.notified().await;
        }
    }

    /// Refuses messages of more than so many bytes from now on. At first there is no limit but that of the queue.
    pub fn limit_message(&self, bytes: usize) {
        self.queue.max_message.store(bytes, Ordering::Relaxed);
    }

    /// Counts publications that were taken but could not be sent.
    pub fn unsent(&self, count: usize) {
        self.queue.counters.unsent.add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

impl Drop for Outbox {
    /// Without an engine nothing is sent any more.
    fn drop(&mut self) {
        self.queue.link.down();
        self.queue.state.lock().closed = true;
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("waiting", &self.queue.state.lock().waiting.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn message(text: &'static str) -> Publication {
        Publication { to: Route::Topic("t".into()), message: Bytes::from_static(text.as_bytes()) }
    }

    fn outbox(max_messages: usize, max_bytes: usize) -> (Arc<Queue>, Outbox) {
        let queue = Queue::new(Arc::default(), max_messages, max_bytes);
        (Arc::clone(&queue), Outbox::new(queue))
    }

    #[test]
    fn publications_are_taken_in_order_and_in_batches() {
        let (queue, mut outbox) = outbox(10, 100);
        queue.link.up();
        assert!(outbox.recv(2).now_or_never().is_none());
        for text in ["a", "b", "c"] {
            queue.push(message(text)).unwrap();
        }
        assert_eq!(outbox.recv(2).now_or_never().unwrap().unwrap(), [message("a"), message("b")]);
        queue.close();
        assert_eq!(outbox.recv(2).now_or_never().unwrap().unwrap(), [message("c")]);
        assert_eq!(outbox.recv(2).now_or_never().unwrap(), None);
    }

    #[test]
    fn beyond_either_bound_publishers_are_refused_and_counted() {
        let (queue, mut outbox) = outbox(2, 5);
        queue.link.up();
        queue.push(message("abcd")).unwrap();
        assert_eq!(queue.push(message("ef")), Err(PublishError::QueueFull));
        queue.push(message("e")).unwrap();
        assert_eq!(queue.push(message("")), Err(PublishError::QueueFull));
        assert!(outbox.recv(9).now_or_never().is_some());
        queue.push(message("again")).unwrap();
        let stats = queue.counters.read();
        assert_eq!((stats.published, stats.refused), (3, 2));
    }

    #[test]
    fn what_the_engine_cannot_send_is_refused() {
        let (queue, outbox) = outbox(2, 5);
        queue.link.up();
        outbox.limit_message(1);
        assert_eq!(queue.push(message("ab")), Err(PublishError::TooLarge { limit: 1 }));
        queue.push(message("a")).unwrap();
    }

    #[test]
    fn without_connection_or_engine_publishers_are_refused() {
        let (queue, outbox) = outbox(2, 5);
        assert_eq!(queue.push(message("a")), Err(PublishError::Disconnected));
        queue.link.up();
        drop(outbox);
        assert_eq!(queue.push(message("a")), Err(PublishError::Disconnected));
        assert_eq!(queue.counters.read().gaps, 1);
    }
}
