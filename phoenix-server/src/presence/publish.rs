use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use phoenix_proto::presence::{PresenceDiff, TopicList};
use phoenix_proto::{Broadcast, Payload};
use tokio::runtime::Handle;

use super::lanes::{Pending, Turn};
use super::shard::Shard;

/// How many diffs of one topic the fetch hook works on at once.
const MAX_FETCHES: usize = 32;

impl Shard {
    /// Tells the clients of a topic on this node what changed: at once, or as soon as the hooks are done.
    pub(super) fn publish(self: &Arc<Self>, topic: &str) {
        let Some(mut turn) = self.lanes.enter(topic) else { return };
        let hooked = self.fetch.is_some() || self.observer.is_some();
        match Handle::try_current() {
            Ok(runtime) if hooked => {
                runtime.spawn(Arc::clone(self).publish_fetched(turn));
            }
            // Without a runtime the process is about to end.
            _ => {
                while let Some(Pending { diff, .. }) = turn.next_or_end() {
                    self.broadcast(&diff.topic, || Payload::from(&diff));
                }
            }
        }
    }

    /// Fetches for several diffs at once, but publishes them in order (FEATURES J20).
    async fn publish_fetched(self: Arc<Self>, mut turn: Turn) {
        let mut fetches = FuturesOrdered::new();
        loop {
            while fetches.len() < MAX_FETCHES
                && let Some(pending) = turn.next()
            {
                fetches.push_back(self.fetched(pending));
            }
            if fetches.is_empty() {
                match turn.next_or_end() {
                    Some(pending) => fetches.push_back(self.fetched(pending)),
                    None => return,
                }
            }
            tokio::select! {
                Some((topic, diff, list)) = fetches.next() => self.tell(&topic, diff, &list).await,
                () = turn.arrived(), if fetches.len() < MAX_FETCHES => {}
            }
        }
    }

    async fn fetched(&self, pending: Pending) -> (Arc<str>, PresenceDiff, TopicList) {
        let Pending { diff, list } = pending;
        let payload = diff.to_payload();
        let payload = match &self.fetch {
            Some(fetch) => fetch.add_to_diff(&diff.topic, payload, &self.counters).await,
            None => payload,
        };
        (diff.topic, payload, list)
    }

    async fn tell(&self, topic: &str, diff: PresenceDiff, list: &TopicList) {
        self.broadcast(topic, || Payload::from(&diff));
        if let Some(observer) = &self.observer {
            observer.observe(topic, &diff, list).await;
        }
    }

    fn broadcast(&self, topic: &str, payload: impl FnOnce() -> Payload) {
        if self.pubsub.local_subscribers(topic) == 0 {
            return;
        }
        let (topic, event) = (topic.into(), self.diff_event.clone());
        if let Err(error) = self.pubsub.dispatch(&Arc::new(Broadcast { topic, event, payload: payload() })) {
            tracing::warn!(%error, "a presence diff cannot be delivered");
            self.counters.undeliverable.add(1);
        }
    }
}
