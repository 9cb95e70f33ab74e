use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use phoenix_proto::presence::{TopicDiff, TopicList};
use tokio::sync::Notify;

/// The diffs that wait to be published, in order for each topic. One publisher at a time works on a topic, whoever comes
/// first; the others leave theirs to it.
///
/// Bounded: beyond [`MAX_WAITING`] diffs of a topic, each is put together with the one before, which loses
/// nothing but the steps in between.
#[derive(Default)]
pub(super) struct Lanes {
    topics: Mutex<HashMap<Arc<str>, Lane>>,
    /// Notified when nothing waits any more.
    idle: Notify,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Pending>,
    /// Wakes the publisher of this topic, if there is one.
    publisher: Option<Arc<Notify>>,
}

/// A diff and the list it led to.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) diff: TopicDiff,
    pub(super) list: TopicList,
}

/// The right to publish the diffs of a topic.
pub(super) struct Turn {
    lanes: Arc<Lanes>,
    topic: Arc<str>,
    arrived: Arc<Notify>,
    over: bool,
}

const MAX_WAITING: usize = 256;

impl Lanes {
    /// Adds the next diff of its topic; true if it was put together with the one before.
    pub(super) fn push(&self, pending: Pending) -> bool {
        let mut topics = self.topics.lock();
        let lane = topics.entry(Arc::clone(&pending.diff.topic)).or_default();
        if lane.waiting.len() < MAX_WAITING {
            lane.waiting.push_back(pending);
            return false;
        }
        if let Some(last) = lane.waiting.back_mut() {
            last.list = pending.list;
            last.diff.then(pending.diff);
        }
        true
    }

    /// The right to publish what waits, unless nothing does or somebody has it, who then is told of the news.
    pub(super) fn enter(self: &Arc<Self>, topic: &str) -> Option<Turn> {
        let mut topics = self.topics.lock();
        let (topic, _) = topics.get_key_value(topic)?;
        let topic = Arc::clone(topic);
        let lane = topics.get_mut(&topic)?;
        if let Some(publisher) = &lane.publisher {
            publisher.notify_one();
            return None;
        }
        let arrived = Arc::clone(lane.publisher.insert(Arc::default()));
        Some(Turn { lanes: Arc::clone(self), topic, arrived, over: false })
    }

    /// Waits until nothing waits.
    pub(super) async fn idle(&self) {
        loop {
            let mut idle = std::pin::pin!(self.idle.notified());
            idle.as_mut().enable();
            if self.topics.lock().is_empty() {
                return;
            }
            idle.await;
        }
    }

    fn leave(&self, topics: &mut HashMap<Arc<str>, Lane>, topic: &str) {
        if let Some(lane) = topics.get_mut(topic) {
            lane.publisher = None;
            if lane.waiting.is_empty() {
                topics.remove(topic);
            }
        }
        if topics.is_empty() {
            self.idle.notify_waiters();
        }
    }
}

impl Turn {
    /// The next diff.
    pub(super) fn next(&self) -> Option<Pending> {
        self.lanes.topics.lock().get_mut(&self.topic)?.waiting.pop_front()
    }

    /// The next diff; when there is none the turn is over, without a gap in which one could come and be overlooked.
    pub(super) fn next_or_end(&mut self) -> Option<Pending> {
        let mut topics = self.lanes.topics.lock();
        let next = topics.get_mut(&self.topic)?.waiting.pop_front();
        if next.is_none() {
            self.over = true;
            self.lanes.leave(&mut topics, &self.topic);
        }
        next
    }

    /// Waits until there may be another diff.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.over {
            self.lanes.leave(&mut self.lanes.topics.lock(), &self.topic);
        }
    }
}
